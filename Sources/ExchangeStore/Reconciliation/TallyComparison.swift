package import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

/// What a tally says that is not so here.
package struct TallyComparison: Sendable, Hashable {
  /// Not here, or attachments are missing, also of documents that the tally does not name and whose
  /// content was damaged since.
  package var missing: [RecordID] = []
  /// Take-backs that are not here.
  package var missingTakeBacks: [RecordID] = []
  /// Stored statuses (keys) that the sender lacks, also about documents of the last week that the
  /// tally does not name: its database may be a backup that does not know them.
  package var owed: [Int64] = []
  /// More statuses are owed than one tally can ask for.
  package var hasMore = false
  /// Bytes that statuses may still take up: a tally asks for no more than a multiple of its own.
  var budget: Int

  init(size: Int) { budget = size * Self.answerFactor - Self.answerBytes }

  /// All that a tally sets in motion has at most so many times its bytes.
  static let answerFactor = 4
  /// The answer itself without the ids that it lists: CMS with a certificate.
  private static let answerBytes = 2_500

  /// Notes statuses as owed, as far as the budget goes. `first` begins with that one and goes on from
  /// the start: the sender may have those before it.
  mutating func owe(_ statuses: [(key: Int64, bytes: Int)], first: Int) {
    guard !statuses.isEmpty else { return }
    let start = first % statuses.count
    for status in statuses[start...] + statuses[..<start] {
      // One goes always, however large it is: it would never go otherwise.
      guard owed.isEmpty || status.bytes <= budget else {
        hasMore = true
        continue
      }
      budget = max(0, budget - status.bytes)
      owed.append(status.key)
    }
  }
}

extension ReviewLedger {
  /// Compares a tally of `size` bytes with what is here. The cost depends on what it lists.
  package func compare(_ tally: Tally, of size: Int, from sender: UnitID) throws
    -> TallyComparison
  {
    try read { database in
      var found = TallyComparison(size: size)
      var seen: Set<RecordID> = []
      for entry in tally.entries where seen.insert(entry.documentId).inserted {
        try database.compare(entry, from: sender, &found)
        if let takeBack = entry.takeBack, try !database.hasCome(takeBack, from: sender) {
          found.missingTakeBacks.append(takeBack)
        }
      }
      if !tally.isPartial, tally.entries.count < TallyCodec.maximumEntries {
        try database.oweUnnamedDocuments(tally, of: sender, &found)
      }
      // Also for a part, because a busy sender's tallies all are: what another part's answer has set in
      // motion already, its sender leaves alone.
      let room = TallyCodec.maximumEntries - found.missing.count
      found.missing += try database.documentsWithoutContent(
        of: sender, besides: Set(found.missing), limit: room)
      return found
    }
  }
}

extension Database {
  /// True when the statement came and was not disbelieved.
  fileprivate func hasCome(_ statement: RecordID, from sender: UnitID) throws -> Bool {
    try one(
      "SELECT 1 FROM received WHERE sender = ? AND messageID = ? AND state IN ('received', 'accepted')",
      [sender.rawValue, statement.rawValue]) != nil
  }

  /// Compares one entry. What was refused of other copies under the same id is no status of the
  /// document.
  fileprivate func compare(
    _ entry: Tally.Entry, from sender: UnitID, _ found: inout TallyComparison
  ) throws {
    let document = try one(
      """
      SELECT document.key AS document, received.key, received.state FROM document
      JOIN received ON received.document = document.key
      WHERE document.sender = ? AND document.id = ? AND direction = 'incoming'
      """, [sender.rawValue, entry.documentId.rawValue])
    // Copies that were refused: of many the latest will do.
    let rows =
      try document.map { [$0] }
      ?? all(
        "SELECT key, state FROM received WHERE sender = ? AND messageID = ? ORDER BY key DESC LIMIT 16",
        [sender.rawValue, entry.documentId.rawValue])
    let given = try rows.flatMap { row in
      try all(
        """
        SELECT key, at, id, length(signed) AS bytes FROM status
        WHERE received = ? AND direction = 'sent' AND \(StatusOrder.isCurrent("status")) ORDER BY key
        """, [row["key"] as Int64])
    }
    // Times cross the wire in milliseconds.
    let last = given.map { ($0["at"] as Int64 / 1000, $0["id"] as String) }.max { $0 < $1 }?.1
    let states = try rows.map { try $0.incomingState("state") }
    let isHere = states.contains { [.received, .verified, .accepted, .discarded].contains($0) }
    // An incomplete one may have a refusal from before: its pieces are what it lacks.
    if states.contains(.incomplete) || (!isHere && (given.isEmpty || entry.statuses > given.count))
    {
      // Not here, not whole, or refused without an answer that the sender could have. With more of our
      // answers than we know the sender may hold a receipt that we forgot: this unit was restored from
      // a backup, and refused a copy (altered, or the clock was wrong) afterwards.
      found.missing.append(entry.documentId)
    } else if let document, try lacksContent(document["document"], of: sender) {
      // Its statuses come with the manifest, which is a duplicate. Sent now they would end the delivery
      // before its content is here.
      found.missing.append(entry.documentId)
    } else if entry.awaiting == true || given.count > entry.statuses
      || last != entry.lastStatus?.rawValue
    {
      found.owe(
        given.map { (key: $0["key"], bytes: $0["bytes"]) },
        first: entry.awaiting == true ? 0 : entry.statuses)
    }
  }

  /// True when content of a document that we believe is no longer here, nor on its way from the spool.
  private func lacksContent(_ document: Int64, of sender: UnitID) throws -> Bool {
    try one(
      """
      SELECT 1 FROM document
      JOIN received ON received.document = document.key AND received.state IN ('accepted', 'verified')
      JOIN attachment a ON a.document = document.key
      WHERE document.key = ?1 AND document.frozen IS NULL
        AND NOT EXISTS (SELECT 1 FROM blob JOIN contentSource c USING (sha256)
          WHERE sha256 = a.sha256 AND c.sender = ?2)
        AND NOT EXISTS (SELECT 1 FROM transfer t WHERE t.sender = ?2 AND t.sha256 = a.sha256
          AND t.pieces * \(WireLimits.pieceBytes) >= t.size)
      """, [document, sender.rawValue]) != nil
  }

  /// Documents of `sender` that were whole here and whose content is lost, whatever the tally names.
  fileprivate func documentsWithoutContent(
    of sender: UnitID, besides named: Set<RecordID>, limit: Int
  ) throws -> [RecordID] {
    try all(
      """
      -- CROSS JOIN: from what is missing, which is little, and not from all documents of the sender.
      SELECT DISTINCT document.id FROM missingContent CROSS JOIN attachment a USING (sha256)
      CROSS JOIN document ON document.key = a.document
      JOIN received ON received.document = document.key AND received.state = 'accepted'
      WHERE document.sender = ?1 AND document.direction = 'incoming' AND document.frozen IS NULL
        AND NOT EXISTS (SELECT 1 FROM transfer t WHERE t.sender = ?1 AND t.sha256 = a.sha256
          AND t.pieces * \(WireLimits.pieceBytes) >= t.size)
      ORDER BY document.id LIMIT ?2
      """, [sender.rawValue, limit + named.count]
    ).map { try $0.recordID("id") }.filter { !named.contains($0) }.prefix(limit).map { $0 }
  }

  /// Statuses of documents of the last week that a tally should name and does not.
  fileprivate func oweUnnamedDocuments(
    _ tally: Tally, of sender: UnitID, _ found: inout TallyComparison
  ) throws {
    let named = Set(tally.entries.map(\.documentId))
    let rows = try all(
      """
      SELECT received.key, document.id FROM received JOIN document ON document.key = received.document
      WHERE received.sender = ? AND received.state = 'accepted' AND document.frozen IS NULL
        AND receivedAt BETWEEN ? AND ? ORDER BY receivedAt DESC LIMIT ?
      """,
      [
        sender.rawValue, tally.timestamp.advanced(by: .seconds(-7 * 86_400)).microseconds,
        // Younger ones may have overtaken it.
        tally.timestamp.advanced(by: .seconds(-3600)).microseconds,
        // No more than the budget allows can be owed beside those that are named.
        named.count + max(0, found.budget / 1_000) + 1,
      ])
    for row in rows where try !named.contains(row.recordID("id")) {
      let given = try all(
        """
        SELECT key, length(signed) AS bytes FROM status
        WHERE received = ? AND direction = 'sent' AND \(StatusOrder.isCurrent("status")) ORDER BY key
        """, [row["key"] as Int64])
      found.owe(given.map { (key: $0["key"], bytes: $0["bytes"]) }, first: 0)
      guard !found.hasMore else { return }
    }
  }
}
