package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase

/// A tally or an answer of ours with its signature.
package struct SignedTally: Sendable {
  package let tally: Tally
  package let signed: Data

  package init(tally: Tally, signed: Data) {
    self.tally = tally
    self.signed = signed
  }
}

package struct SignedAnswer: Sendable {
  package let answer: TallyAnswer
  package let signed: Data

  package init(answer: TallyAnswer, signed: Data) {
    self.answer = answer
    self.signed = signed
  }
}

/// How things stand between this unit and another, from this unit's side.
package struct Reconciliation: Sendable {
  package let unit: UnitID
  /// Deliveries to the unit that the broker took, without those that were taken back before they
  /// arrived.
  package let sent: Int
  package let receipts: Int
  package let lastTally: Timestamp?
  package let answeredAt: Timestamp?
  /// What the unit lacked according to its last answer and was queued again at once.
  package let missing: Int?
}

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

extension Store {
  /// What tallies to `unit` say: every delivery without a receipt, and those that ended since
  /// `since`, oldest first. All of them: what a unit lost that was restored from a backup is the
  /// newest. Cancelled and expired ones may have arrived all the same, and so may what was taken back
  /// or replaced.
  package func tallyEntries(for unit: UnitID, since: Timestamp) throws -> [Tally.Entry] {
    try read { database in
      try database.all(
        """
        SELECT d.sequence, d.state, document.id, document.manifestSha256,
          (SELECT count(*) FROM status WHERE status.document = d.document
            AND direction = 'received' AND fromUnit = d.recipient) AS statuses,
          (SELECT id FROM status WHERE status.document = d.document
            AND direction = 'received' AND fromUnit = d.recipient
            ORDER BY \(StatusOrder.latestFirstInTallies("status")) LIMIT 1) AS lastStatus,
          CASE document.frozen WHEN 'recalled' THEN (
            SELECT id FROM status WHERE status.document = d.document AND direction = 'sent'
              AND toUnit = d.recipient AND code = '13' ORDER BY key DESC LIMIT 1) END AS takeBack
        FROM delivery d
        JOIN document ON document.key = d.document
        WHERE d.recipient = ?1 AND (d.state = 'published'
          OR (d.state IN ('delivered', 'refused', 'expired', 'cancelled') AND d.updatedAt >= ?2))
        ORDER BY d.state = 'published' DESC, d.sequence
        """, [unit.rawValue, since.microseconds]
      ).map { row in
        let hasAnswer = [.delivered, .refused].contains(try row.outgoingState("state"))
        return Tally.Entry(
          sequence: row["sequence"], documentId: try row.recordID("id"),
          manifestSha256: try row.digest("manifestSha256"), statuses: row["statuses"],
          lastStatus: try row.optionalRecordID("lastStatus"), awaiting: hasAnswer ? nil : true,
          takeBack: try row.optionalRecordID("takeBack"))
      }
    }
  }

  /// Units to which something went out and no tally since `before`; with nothing new since `window`,
  /// no tally since then. Deliveries younger than `before` are given time for their receipt. What lies
  /// after `now` was written while the clock was wrong.
  package func unitsWithoutTally(since before: Timestamp, window: Timestamp, now: Timestamp) throws
    -> [UnitID]
  {
    try read { database in
      try database.all(
        """
        -- From unit to unit along the index, and each only until the first delivery that asks for it:
        -- there are years of deliveries.
        WITH RECURSIVE pair (unit) AS (
          SELECT min(recipient) FROM delivery
          UNION ALL SELECT (SELECT min(recipient) FROM delivery WHERE recipient > pair.unit)
          FROM pair WHERE pair.unit IS NOT NULL)
        SELECT unit FROM pair
        WHERE unit IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM tally WHERE tally.unit = pair.unit AND direction = 'sent'
            AND at BETWEEN ?1 AND ?3)
          AND (EXISTS (SELECT 1 FROM delivery WHERE recipient = pair.unit AND state = 'published'
              AND (createdAt < ?1 OR createdAt > ?3))
            OR EXISTS (SELECT 1 FROM delivery WHERE recipient = pair.unit
              AND state IN ('delivered', 'refused', 'expired', 'cancelled') AND updatedAt >= ?2
              AND (createdAt < ?1 OR createdAt > ?3))
            OR (EXISTS (SELECT 1 FROM delivery WHERE recipient = pair.unit
                AND state = 'delivered' AND updatedAt < ?2)
              AND NOT EXISTS (SELECT 1 FROM tally WHERE tally.unit = pair.unit
                AND direction = 'sent' AND at BETWEEN ?2 AND ?3)))
        UNION SELECT unit FROM tallyDue WHERE at <= ?3
        LIMIT 1000
        """, [before.microseconds, window.microseconds, now.microseconds]
      ).map { try $0.unit("unit") }
    }
  }

  /// Logs a tally and queues it. It travels in the ordinary lane, behind the documents it counts.
  /// `actor` is who asked for it; only a person's asking is an act.
  package func send(_ tally: SignedTally, at time: Timestamp, by actor: Actor = .daemon) throws {
    try write(as: actor, at: time) { tx in
      try tx.act(.reconcile, about: .unit(tally.tally.to))
      try tx.run(
        "INSERT INTO tally (direction, id, unit, entries, at) VALUES ('sent', ?, ?, ?, ?)",
        [
          tally.tally.id.rawValue, tally.tally.to.rawValue, tally.tally.entries.count,
          time.microseconds,
        ])
      try tx.run("DELETE FROM tallyDue WHERE unit = ?", [tally.tally.to.rawValue])
      try tx.enqueueNotice(
        tally: tx.lastInsertedRowID, .tally, id: tally.tally.id, about: nil,
        to: tally.tally.to, signed: tally.signed)
    }
  }

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

  package func reconciliations(with unit: UnitID?) throws -> [Reconciliation] {
    try read { database in
      try database.all(
        """
        SELECT d.recipient, count(*) AS sent,
          sum(d.state IN ('delivered', 'refused')) AS receipts, t.at, t.answeredAt, t.missing
        FROM delivery d LEFT JOIN (
          -- The tallies of one round have the same time.
          SELECT unit, at, sum(missing) AS missing,
            CASE WHEN count(answeredAt) = count(*) THEN max(answeredAt) END AS answeredAt
          FROM tally WHERE direction = 'sent' GROUP BY unit, at
        ) t ON t.unit = d.recipient AND t.at = (SELECT at FROM tally
          WHERE unit = d.recipient AND direction = 'sent' ORDER BY key DESC LIMIT 1)
        WHERE d.state IN ('published', 'delivered', 'refused') AND (?1 IS NULL OR d.recipient = ?1)
        GROUP BY d.recipient ORDER BY d.recipient
        """, [unit?.rawValue]
      ).map { row in
        Reconciliation(
          unit: try row.unit("recipient"), sent: row["sent"], receipts: row["receipts"],
          lastTally: row.optionalTime("at"), answeredAt: row.optionalTime("answeredAt"),
          missing: row["missing"])
      }
    }
  }

  /// Queues statuses, tallies and answers again that the broker refused for good before `before`: no
  /// person sees them in a list, and what was wrong (a right, an exchange) may have been repaired.
  /// Returns how many.
  package func reviveNotices(suspendedBefore before: Timestamp, at time: Timestamp) throws -> Int {
    let isDue = try read { database in
      try database.one(
        """
        SELECT 1 FROM notice WHERE state = 'suspended' AND (updatedAt <= ?1 OR updatedAt > ?2)
        LIMIT 1
        """, [before.microseconds, time.microseconds]) != nil
    }
    guard isDue else { return 0 }
    return try write(at: time) { tx in
      try tx.all(
        """
        UPDATE notice SET state = 'queued', failures = 0, failingFor = 0, failedAt = NULL,
          updatedAt = ?1 WHERE state = 'suspended' AND (updatedAt <= ?2 OR updatedAt > ?1)
        RETURNING key
        """, [time.microseconds, before.microseconds]
      ).count
    }
  }

  /// Ends deliveries whose time to live is over. Returns how many.
  package func expire(at time: Timestamp) throws -> Int {
    let isDue = try read { database in
      try database.one(
        """
        SELECT 1 FROM delivery WHERE expiresAt <= ?
          AND state IN ('queued', 'retrying', 'published') LIMIT 1
        """, [time.microseconds]) != nil
    }
    guard isDue else { return 0 }
    return try write(at: time) { tx in
      let rows = try tx.all(
        """
        SELECT key, document, state, expiresAt FROM delivery
        WHERE expiresAt <= ? AND state IN ('queued', 'retrying', 'published') LIMIT 1000
        """, [time.microseconds])
      for row in rows {
        let key: Int64 = row["key"]
        try tx.run(
          """
          UPDATE delivery SET state = 'expired', nextAt = NULL, lastError = 'EXPIRED',
            lastErrorText = ?, updatedAt = ? WHERE key = ?
          """,
          ["no receipt until \(row.time("expiresAt").shown)", time.microseconds, key])
        try tx.record(
          "delivery", key, document: row["document"], from: row["state"], to: "expired", cause: "EXPIRED")
      }
      return rows.count
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

extension WriteTransaction {

  func enqueueNotice(
    tally: Int64, _ kind: MessageKind, id: RecordID, about: RecordID?, to unit: UnitID,
    signed: Data
  ) throws {
    try run(
      """
      INSERT INTO notice (tally, type, messageID, correlationID, toUnit, lane, signed, state,
        updatedAt) VALUES (?, ?, ?, ?, ?, 'ordinary', ?, 'queued', ?)
      """,
      [
        tally, kind.rawValue, id.rawValue, about?.rawValue, unit.rawValue, signed,
        time.microseconds,
      ])
  }

  /// Logs a tally that came in with its answer; a tally that is known gets the stored answer again.
  func answer(
    _ tally: Tally, owed: [Int64], with answer: SignedAnswer
  ) throws {
    for key in owed {
      try run(
        """
        UPDATE notice SET state = 'queued', nextAt = NULL, updatedAt = ?
        WHERE state <> 'queued' AND status = ?
        """, [time.microseconds, key])
      try noteRestatements("said.key = ?3", key)
    }
    try run(
      """
      INSERT INTO tally (direction, id, unit, entries, missing, at, answeredAt)
      VALUES ('received', ?, ?, ?, ?, ?, ?5) ON CONFLICT DO NOTHING
      """,
      [
        tally.id.rawValue, tally.from.organId.rawValue, tally.entries.count,
        answer.answer.missing.count, time.microseconds,
      ])
    if changesCount == 1 {
      try enqueueNotice(
        tally: lastInsertedRowID, .tallyAnswer, id: answer.answer.id, about: tally.id,
        to: answer.answer.to, signed: answer.signed)
      try forgetTallies(beyond: Self.keptTallies, of: tally.from.organId)
    } else {
      try run(
        """
        UPDATE notice SET state = 'queued', nextAt = NULL, updatedAt = ? WHERE state <> 'queued'
          AND tally = (SELECT key FROM tally WHERE direction = 'received' AND unit = ? AND id = ?)
        """, [time.microseconds, tally.from.organId.rawValue, tally.id.rawValue])
    }
  }

  /// When a unit that owes more statuses is asked for the rest.
  private static let nextTallyAfter = Duration.seconds(120)
  /// Beyond that a unit's word that it owes more brings no further tally.
  private static let talliesPerDay = 40
  /// Tallies of one unit that are kept with their answers. An older one that comes again is answered
  /// anew.
  private static let keptTallies = 100

  private func forgetTallies(beyond count: Int, of unit: UnitID) throws {
    let old = """
      SELECT key FROM tally WHERE direction = 'received' AND unit = ?1 ORDER BY key DESC LIMIT -1 OFFSET ?2
      """
    let arguments: StatementArguments = [unit.rawValue, count]
    try run("DELETE FROM notice WHERE tally IN (\(old))", arguments)
    try run("DELETE FROM tally WHERE key IN (\(old))", arguments)
  }

  /// Takes in an answer to a tally of ours: what the other unit lacks goes out again by itself. Not
  /// what was taken back or replaced before it arrived: its delivery is over. And not what was taken
  /// back after that; a replaced document belongs to the other unit's records.
  func settle(_ answer: TallyAnswer, from sender: UnitID) throws {
    let tally = try one(
      "SELECT key, at FROM tally WHERE direction = 'sent' AND unit = ? AND id = ? AND answeredAt IS NULL",
      [sender.rawValue, answer.tallyID.rawValue])
    guard let tally else { return }
    var sentAgain = 0
    for id in answer.missing {
      guard
        let row = try one(
          """
          SELECT d.key, d.document, d.state, d.finishedAt, document.frozen FROM delivery d
          JOIN document ON document.key = d.document
          WHERE document.id = ? AND document.direction = 'outgoing' AND d.recipient = ?
            AND (d.state = 'published'
              OR (d.state = 'delivered' AND document.frozen IS NOT 'recalled'))
            -- What has changed since the tally is for the next one to judge.
            AND (d.updatedAt <= ? OR d.updatedAt > ?)
          """,
          [id.rawValue, sender.rawValue, tally["at"] as Int64, time.microseconds])
      else { continue }
      let key: Int64 = row["key"]
      // A time to live that a receipt had ended begins no second time. What waits for a receipt does
      // not begin to wait anew: it becomes overdue, however often it goes out.
      try run(
        """
        UPDATE delivery SET state = 'queued', progress = 0, updatedAt = ?,
          expiresAt = CASE WHEN state = 'published' THEN expiresAt END,
          publishedAt = CASE WHEN state = 'published' THEN publishedAt END,
          warnedAt = CASE WHEN state = 'published' THEN warnedAt END WHERE key = ?
        """, [time.microseconds, key])
      try record(
        "delivery", key, document: row["document"], from: row["state"], to: "queued", cause: "reconciled", detail: "“\(sender)” does not have it")
      if let frozen: String = row["frozen"],
        frozen == "recalled" || row["finishedAt"] as Int64? == nil
      {
        try cancel(delivery: key, cause: frozen, detail: nil)
        try endRecall(document: row["document"])
      } else {
        sentAgain += 1
      }
    }
    for id in answer.missingTakeBacks {
      try run(
        """
        UPDATE notice SET state = 'queued', nextAt = NULL, updatedAt = ? WHERE state <> 'queued'
          AND status = (SELECT key FROM status WHERE fromUnit = ? AND id = ?
            AND direction = 'sent' AND code = '13' AND toUnit = ?)
        """, [time.microseconds, answer.to.rawValue, id.rawValue, sender.rawValue])
      // It may have come and not been believed.
      let asked = try one(
        """
        SELECT key FROM status WHERE fromUnit = ? AND id = ? AND direction = 'sent' AND code = '13'
          AND toUnit = ?
        """, [answer.to.rawValue, id.rawValue, sender.rawValue])
      if let key: Int64 = asked?["key"] { try noteRestatements("said.key = ?3", key) }
    }
    if answer.hasMore {
      try run(
        """
        INSERT INTO tallyDue (unit, at) SELECT ?1, ?2 WHERE (SELECT count(*) FROM tally
          WHERE unit = ?1 AND direction = 'sent' AND at > ?3) < ?4
        ON CONFLICT DO NOTHING
        """,
        [
          sender.rawValue, time.advanced(by: Self.nextTallyAfter).microseconds,
          time.advanced(by: .seconds(-86_400)).microseconds, Self.talliesPerDay,
        ])
    }
    try run(
      "UPDATE tally SET answeredAt = ?, missing = ? WHERE key = ?",
      [time.microseconds, sentAgain, tally["key"] as Int64])
  }
}
