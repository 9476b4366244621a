package import ExchangeCore
package import Foundation
import GRDB
package import NodeDatabase

/// A document as lists show it.
package struct DocumentSummary: Sendable {
  package let key: Int64
  package let id: RecordID
  package let sender: UnitID
  package let number: String
  package let codeNumber: String
  package let codeNotation: String
  package let issuedDate: String
  package let typeName: String
  package let subject: String
  package let urgency: Urgency
  package let createdAt: Timestamp
  /// `recalled` or `replaced` by its sender, or nil.
  package let frozen: String?
  package let attachments: [Attachment]
}

/// An incoming document with its transport state.
package struct IncomingSummary: Sendable {
  /// Of the row in `received`; later arrivals have greater ones.
  let arrival: Int64
  package let document: DocumentSummary
  package let state: IncomingState
  package let outcome: String?
  package let detail: String?
  package let receivedAt: Timestamp
  package let duplicates: Int
  /// The last business code that we sent about it.
  package let status: String?
  /// Its sender takes it back (13) and this unit has not answered (15, 16).
  package let hasOpenTakeBack: Bool
}

/// One outgoing delivery with its transport state and last business status.
package struct DeliverySummary: Sendable {
  package let key: Int64
  package let document: RecordID
  package let to: UnitID
  package let state: OutgoingState
  /// The last business code of the unit that counts (`StatusOrder`), in harmony with `state`.
  package let status: String?
  /// Statuses of the unit that came and were not believed.
  package let unbelieved: Unbelieved?
  package let attempts: Int
  package let lastError: String?
  package let lastErrorText: String?
  package let nextAt: Timestamp?
  package let expiresAt: Timestamp?
  package let createdAt: Timestamp
  package let publishedAt: Timestamp?
  package let finishedAt: Timestamp?
  package let updatedAt: Timestamp
}

extension DeliverySummary {
  /// How many statuses were not believed, and what is known of the last of them.
  package struct Unbelieved: Sendable, Hashable {
    package let count: Int
    /// What it claims, unverified; nil when it could not be read.
    package let code: String?
    /// Outcome code.
    package let outcome: String
    package let receivedAt: Timestamp
    /// Its id in the quarantine.
    package let message: Int64
  }
}

package struct StatusSummary: Sendable {
  package let id: RecordID
  package let direction: String
  package let from: UnitID
  package let to: UnitID
  package let code: String
  package let at: Timestamp
  package let reasonCode: String?
  package let note: String?
  package let signed: Data
}

package struct HistoryEntry: Sendable {
  package let at: Timestamp
  package let subject: String
  /// The recipient for a delivery.
  package let unit: String?
  package let from: String?
  package let to: String
  package let actor: String
  package let cause: String
  package let detail: String?
}

extension HistoryEntry {
  init(_ row: Row) {
    self.init(
      at: row.time("at"), subject: row["subject"], unit: row["recipient"], from: row["fromState"],
      to: row["toState"], actor: row["actor"], cause: row["cause"], detail: row["detail"])
  }
}

/// Which deliveries a list or a resend is about; every criterion narrows.
package struct DeliveryFilter: Sendable {
  package var states: [OutgoingState] = []
  /// Identifiers of units; a unit may have had several.
  package var to: [UnitID] = []
  package var documents: [RecordID] = []
  /// Only of documents that are not taken back or replaced: nothing is left to do about the others.
  package var isInForce = false
  /// Changed then or later.
  package var since: Timestamp?
  /// Changed before then.
  package var until: Timestamp?
  /// Published then or earlier, and without a receipt.
  package var overdueBefore: Timestamp?
  /// Ends then or earlier, and without a receipt.
  package var expiringBefore: Timestamp?

  package init() {}
}

extension ExchangeReader {
  /// Outgoing documents, newest first, at most `limit`. Returns true when there are more of them.
  package func eachOutgoing(limit: Int, _ body: (DocumentSummary) throws -> Void) throws -> Bool {
    try pages(limit, key: \.key, body) { before, count in
      try read { database in
        try database.all(
          """
          SELECT * FROM document WHERE direction = 'outgoing' AND key < ?
          ORDER BY key DESC LIMIT ?
          """, [before, count]
        ).map { try database.summary($0) }
      }
    }
  }

  /// Incoming documents that are or were believed, newest first, at most `limit`; with `recalled` only
  /// those whose take-back this unit has to answer. Returns true when there are more of them.
  package func eachIncoming(
    limit: Int, recalled: Bool = false, _ body: (IncomingSummary) throws -> Void
  ) throws -> Bool {
    try pages(limit, key: \.arrival, body) { before, count in
      try read { database in
        try database.all(
          incomingSQL + " WHERE received.key < ?" + (recalled ? " AND hasOpenTakeBack" : "")
            + " ORDER BY received.key DESC LIMIT ?", [before, count]
        ).map { try database.incoming($0) }
      }
    }
  }

  /// As `eachIncoming`, all at once.
  package func incomingDocuments(limit: Int, recalled: Bool = false) throws -> [IncomingSummary] {
    var documents: [IncomingSummary] = []
    _ = try eachIncoming(limit: limit, recalled: recalled) { documents.append($0) }
    return documents
  }

  /// Hands out rows from the newest to the oldest. `fetch` gets a key that they are below, and how many.
  func pages<Item>(
    _ limit: Int, key: (Item) -> Int64, _ body: (Item) throws -> Void,
    fetch: (_ before: Int64, _ count: Int) throws -> [Item]
  ) throws -> Bool {
    var (left, before) = (limit, Int64.max)
    while true {
      // One more than is handed out tells whether there are more.
      let page = try fetch(before, min(left, pageRows) + 1)
      for item in page.prefix(min(left, pageRows)) {
        try body(item)
        before = key(item)
      }
      guard page.count > min(left, pageRows) else { return false }
      left -= min(left, pageRows)
      if left == 0 { return true }
    }
  }

  /// True when something was ever sent to the unit under this identifier.
  package func hasDeliveries(to unit: UnitID) throws -> Bool {
    try read { database in
      try database.one("SELECT 1 FROM delivery WHERE recipient = ? LIMIT 1", [unit.rawValue]) != nil
    }
  }

  package func incomingDocument(key: Int64) throws -> IncomingSummary? {
    try read { try $0.incomingDocument(key: key) }
  }

  /// The first ten documents whose id begins with `text`, of either direction: those of the
  /// `preferred` one before the others.
  package func documents(idPrefix text: String, preferring preferred: String? = nil) throws -> [(
    summary: DocumentSummary, direction: String
  )] {
    try read { database in
      try database.all(
        """
        SELECT * FROM document WHERE id >= ?1 AND id < ?1 || '~'
        ORDER BY direction = ?2 DESC, id LIMIT 10
        """, [text, preferred]
      ).map { (try database.summary($0), $0["direction"]) }
    }
  }

  /// The ids, in their order, that begin with `text`.
  package func ids(idPrefix text: String) throws -> [String] {
    try read { database in
      try database.all(
        "SELECT DISTINCT id FROM document WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id", [text]
      ).map { $0["id"] }
    }
  }

  /// All deliveries that `filter` leaves, in the order in which they were issued. For few; a list
  /// without an end takes `eachDelivery`.
  package func deliveries(_ filter: DeliveryFilter) throws -> [DeliverySummary] {
    var deliveries: [DeliverySummary] = []
    try eachDelivery(filter) { deliveries.append($0) }
    return deliveries
  }

  /// Deliveries in the order in which they were issued, however many there are; memory stays flat.
  package func eachDelivery(
    _ filter: DeliveryFilter, _ body: (DeliverySummary) throws -> Void
  ) throws {
    // Large pages: each page may have to sort all rows that follow.
    let count = 5000
    var last: Int64 = 0
    while true {
      let page = try deliveries(filter, after: last, limit: count)
      for delivery in page { try body(delivery) }
      guard page.count == count, let end = page.last else { return }
      last = end.key
    }
  }

  private func deliveries(_ filter: DeliveryFilter, after key: Int64, limit: Int) throws
    -> [DeliverySummary]
  {
    var conditions = ["d.key > ?"]
    var arguments: [any DatabaseValueConvertible] = [key]
    if !filter.states.isEmpty {
      conditions.append("d.state IN (\(filter.states.map { _ in "?" }.joined(separator: ",")))")
      arguments += filter.states.map(\.rawValue)
    }
    if !filter.to.isEmpty {
      conditions.append("d.recipient IN (\(filter.to.map { _ in "?" }.joined(separator: ",")))")
      arguments += filter.to.map(\.rawValue)
    }
    if !filter.documents.isEmpty {
      conditions.append(
        "document.id IN (\(filter.documents.map { _ in "?" }.joined(separator: ",")))")
      arguments += filter.documents.map(\.rawValue)
    }
    if filter.isInForce { conditions.append("document.frozen IS NULL") }
    if let since = filter.since {
      conditions.append("d.updatedAt >= ?")
      arguments.append(since.microseconds)
    }
    if let until = filter.until {
      conditions.append("d.updatedAt < ?")
      arguments.append(until.microseconds)
    }
    if let moment = filter.overdueBefore {
      conditions.append("d.state = 'published' AND d.publishedAt <= ?")
      arguments.append(moment.microseconds)
    }
    if let moment = filter.expiringBefore {
      conditions.append(
        "d.expiresAt IS NOT NULL AND d.state IN ('queued', 'retrying', 'published')"
          + " AND d.expiresAt <= ?")
      arguments.append(moment.microseconds)
    }
    let condition = "WHERE " + conditions.joined(separator: " AND ")
    arguments.append(limit)
    return try read { [arguments] database in
      try Row.fetchAll(
        database,
        sql: """
          SELECT d.*, document.id AS documentID,
            \(StatusOrder.shownCode("""
              said.document = d.document AND said.direction = 'received'
                AND said.fromUnit = d.recipient
              """)) AS status,
            u.key AS unbelievedKey, u.outcome, u.receivedAt,
            (SELECT code FROM claim WHERE claim.received = u.key) AS claimedCode,
            (SELECT count(*) FROM claim JOIN received r ON r.key = claim.received
              WHERE claim.document = d.document AND claim.unit = d.recipient
                AND r.state = 'quarantined') AS unbelieved
          FROM delivery d JOIN document ON document.key = d.document
          LEFT JOIN received u ON u.key = (SELECT max(claim.received) FROM claim
            JOIN received r ON r.key = claim.received
            WHERE claim.document = d.document AND claim.unit = d.recipient
              AND r.state = 'quarantined')
          \(condition)
          ORDER BY d.key LIMIT ?
          """, arguments: StatementArguments(arguments)
      ).map { row in
        DeliverySummary(
          key: row["key"], document: try row.recordID("documentID"), to: try row.unit("recipient"),
          state: try row.outgoingState("state"), status: row["status"],
          unbelieved: (row["unbelievedKey"] as Int64?).map { key in
            DeliverySummary.Unbelieved(
              count: row["unbelieved"], code: row["claimedCode"], outcome: row["outcome"] ?? "",
              receivedAt: row.time("receivedAt"), message: key)
          }, attempts: row["attempts"],
          lastError: row["lastError"], lastErrorText: row["lastErrorText"],
          nextAt: row.optionalTime("nextAt"), expiresAt: row.optionalTime("expiresAt"),
          createdAt: row.time("createdAt"),
          publishedAt: row.optionalTime("publishedAt"),
          finishedAt: row.optionalTime("finishedAt"), updatedAt: row.time("updatedAt"))
      }
    }
  }

  /// SHA-256 of a document's manifest.
  package func manifestDigest(document: Int64) throws -> SHA256Digest {
    let row = try read {
      try $0.one("SELECT manifestSha256 FROM document WHERE key = ?", [document])
    }
    guard let row else { throw StoreError(.notFound, "document \(document)") }
    return try row.digest("manifestSha256")
  }

  /// In the order in which they were said, whatever came when.
  package func statuses(document: Int64) throws -> [StatusSummary] {
    try read { database in
      try database.all(
        """
        SELECT * FROM status WHERE document = ? ORDER BY \(StatusOrder.earliestFirst("status"))
        """, [document]
      ).map { row in
        StatusSummary(
          id: try row.recordID("id"), direction: row["direction"], from: try row.unit("fromUnit"),
          to: try row.unit("toUnit"), code: row["code"], at: row.time("at"),
          reasonCode: row["reasonCode"], note: row["note"], signed: row["signed"])
      }
    }
  }

  package func history(document: Int64) throws -> [HistoryEntry] {
    try read { database in
      try database.all(
        """
        SELECT h.*, delivery.recipient FROM history h
        LEFT JOIN delivery ON h.subject = 'delivery' AND delivery.key = h.subjectKey
        WHERE h.document = ?1 OR (h.subject = 'received' AND h.subjectKey IN
          (SELECT key FROM received WHERE document = ?1))
        ORDER BY h.key
        """, [document]
      ).map(HistoryEntry.init)
    }
  }

  /// The newest delivery's key, or 0.
  package func lastDelivery() throws -> Int64 {
    try read { try $0.one("SELECT coalesce(max(key), 0) AS key FROM delivery")?["key"] ?? 0 }
  }

  /// Deliveries newer than `key` that have no receipt yet.
  package func openDeliveries(after key: Int64) throws -> Int {
    try read { database in
      try database.one(
        "SELECT count(*) AS open FROM delivery WHERE key > ? AND state <> 'delivered'", [key])?[
          "open"] ?? 0
    }
  }

  /// Issue and receipt of delivered deliveries in a range of keys.
  package func deliverySpans(after first: Int64, through last: Int64) throws
    -> [(created: Timestamp, finished: Timestamp)]
  {
    try read { database in
      try database.all(
        """
        SELECT createdAt, finishedAt FROM delivery
        WHERE key > ? AND key <= ? AND state = 'delivered'
        """, [first, last]
      ).map { ($0.time("createdAt"), $0.time("finishedAt")) }
    }
  }

  /// Counts that say whether anything is in motion, for `--until-idle` and for people.
  /// A message that waits for this machine's clock is in no motion.
  package func openWork(now: Timestamp) throws -> (
    unsent: Int, unjudged: Int, awaitingReceipt: Int, failed: Int
  ) {
    try read { database in
      let row = try database.one(
        """
        SELECT
          (SELECT count(*) FROM delivery WHERE state IN ('queued', 'retrying'))
            + (SELECT count(*) FROM notice WHERE state IN ('queued', 'retrying')) AS unsent,
          (SELECT count(*) FROM restatement)
            + (SELECT count(*) FROM received WHERE state = 'received' AND notBefore IS NULL)
            + (SELECT count(*) FROM received WHERE state = 'received' AND notBefore <= ?)
            AS unjudged,
          (SELECT count(*) FROM delivery WHERE state = 'published') AS awaiting,
          (SELECT count(*) FROM delivery d JOIN document ON document.key = d.document
            WHERE d.state IN ('suspended', 'refused', 'expired') AND frozen IS NULL) AS failed
        """, [now.microseconds])
      return (
        row?["unsent"] ?? 0, row?["unjudged"] ?? 0, row?["awaiting"] ?? 0, row?["failed"] ?? 0
      )
    }
  }
}

/// Rows of one page: so many are in memory at a time. No transaction is open between two pages, so a
/// slow reader (a pager) holds up nobody.
private let pageRows = 500

/// A take-back is open until an answer follows the last 13. The 13 of a document that it overtook is
/// not linked with it; such a document has no earlier answer.
private let incomingSQL = """
  SELECT document.*, received.key AS arrival, received.state, received.outcome, received.detail, received.receivedAt,
    received.duplicates,
    \(StatusOrder.shownCode("said.document = document.key AND said.direction = 'sent'")) AS status,
    document.frozen IS 'recalled' AND received.state NOT IN ('quarantined', 'discarded')
      AND NOT EXISTS (SELECT 1 FROM status answer WHERE answer.document = document.key
        AND answer.direction = 'sent' AND answer.code IN ('15', '16')
        AND NOT EXISTS (SELECT 1 FROM status again WHERE again.document = document.key
          AND again.direction = 'received' AND again.code = '13' AND again.key > answer.key))
      AS hasOpenTakeBack
  FROM document JOIN received ON received.document = document.key
  """

extension ExchangeReader {
  /// What people did with a document, oldest first: also what they did with many at once.
  package func acts(document: Int64) throws -> [ActSummary] {
    try read { database in
      try database.all(
        """
        SELECT act.*, actText.reason FROM act LEFT JOIN actText ON actText.act = act.key
        WHERE act.document = ?1 OR act.key IN (
          SELECT history.act FROM history WHERE history.document = ?1 AND history.act IS NOT NULL)
        ORDER BY act.key
        """, [document]
      ).map(ActSummary.init)
    }
  }
}

extension Database {
  func incomingDocument(key: Int64) throws -> IncomingSummary? {
    try one(incomingSQL + " WHERE document.key = ?", [key]).map { try incoming($0) }
  }

  fileprivate func summary(_ row: Row) throws -> DocumentSummary {
    let key: Int64 = row["key"]
    let attachments = try all(
      "SELECT * FROM attachment WHERE document = ? ORDER BY position", [key]
    ).map { row in
      Attachment(
        name: row["name"], mediaType: row["mediaType"], size: row["size"],
        sha256: try row.digest("sha256"))
    }
    let number: String = row["codeNumber"]
    let separator: String = row["codeSeparator"]
    let notation: String = row["codeNotation"]
    return DocumentSummary(
      key: key, id: try row.recordID("id"), sender: try row.unit("sender"),
      number: number + separator + notation, codeNumber: number, codeNotation: notation,
      issuedDate: row["issuedDate"], typeName: row["typeName"], subject: row["subject"],
      urgency: try row.urgency("urgency"), createdAt: row.time("createdAt"),
      frozen: row["frozen"], attachments: attachments)
  }

  fileprivate func incoming(_ row: Row) throws -> IncomingSummary {
    IncomingSummary(
      arrival: row["arrival"], document: try summary(row), state: try row.incomingState("state"),
      outcome: row["outcome"],
      detail: row["detail"], receivedAt: row.time("receivedAt"), duplicates: row["duplicates"],
      status: row["status"], hasOpenTakeBack: row["hasOpenTakeBack"])
  }
}
