package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase

/// A delivery that is due, with what is needed to publish it.
package struct DeliveryWork: Sendable {
  package let key: Int64
  package let document: Int64
  package let documentID: RecordID
  package let to: UnitID
  package let urgency: Urgency
  /// Number of leading messages of the plan that the broker confirmed before.
  package let progress: Int64
  package let trouble: Trouble
  package let plan: DeliveryPlan
  /// When the delivery changed last. Another time in the database means that it ended, or was begun
  /// anew, since it was claimed.
  package let changedAt: Timestamp
}

/// How long the broker has been refusing something. Time without a broker does not count.
package struct Trouble: Sendable, Hashable {
  package var failures: Int
  package var failingFor: Duration
  package var failedAt: Timestamp?
}

/// A small signed message of ours that is due: a status, a tally or the answer to one.
package struct NoticeWork: Sendable {
  package let key: Int64
  package let envelope: Envelope
  package let to: UnitID
  package let lane: Lane
  package let trouble: Trouble
  package let signed: Data
}

/// What the relay learnt about a delivery or a status.
package enum RelayResult: Sendable, Hashable {
  /// Every message is confirmed.
  case published
  /// Not finished; the first `progress` messages are confirmed. Not an attempt. Counts only while the
  /// delivery is the one that was claimed: see `DeliveryWork.changedAt`.
  case interrupted(progress: Int64, changedAt: Timestamp)
  case retry(at: Timestamp, trouble: Trouble, code: String, reason: String, progress: Int64)
  case suspend(code: String, reason: String)
}

extension RelayLedger {
  /// Due deliveries within `urgencies`, none whose time to live is over: urgent ones first. Of one
  /// urgency the units take turns, beginning with the one that comes after `last` by identifier: the
  /// oldest delivery to each, then a second to each, and so on. What one unit asks for again is in
  /// nobody's way.
  package func dueDeliveries(
    limit: Int, of urgencies: ClosedRange<Urgency> = .normal ... .flash, after last: String = "",
    excluding busy: Set<Int64>, now: Timestamp
  ) throws -> [DeliveryWork] {
    try read { database in
      var due: [DeliveryWork] = []
      for urgency in Urgency.allCases.reversed() where urgencies.contains(urgency) {
        let keys = try database.retryingDeliveries(
          limit - due.count, urgency, excluding: busy, now: now)
        due += try keys.compactMap(database.delivery)
        due += try database.queuedDeliveries(
          limit - due.count, urgency, after: last, excluding: busy, now: now
        ).compactMap(database.delivery)
      }
      return due
    }
  }

  /// Due notices: the units that come after `last` by identifier take turns, the oldest notice of each,
  /// then a second of each, and so on: what one unit asks for again is in nobody's way. Those of one
  /// unit come in the order in which they were queued last.
  package func dueNotices(
    limit: Int, after last: String, excluding busy: Set<Int64>, now: Timestamp
  )
    throws -> [NoticeWork]
  {
    try read { database in
      let keys = "[" + busy.map(String.init).joined(separator: ",") + "]"
      let next = "SELECT min(toUnit) FROM notice WHERE state = 'queued' AND toUnit >"
      let units = try database.all(
        """
        WITH RECURSIVE turn (unit) AS (
          \(next) ?1 UNION ALL SELECT (\(next) turn.unit) FROM turn WHERE turn.unit IS NOT NULL
          LIMIT ?2)
        SELECT unit FROM turn WHERE unit IS NOT NULL
        """, [last, limit])
      var due: [(turn: Int, place: Int, key: Int64)] = []
      for (place, row) in units.enumerated() {
        let queued = try database.all(
          """
          SELECT key FROM notice WHERE state = 'queued' AND toUnit = ?
            AND key NOT IN (SELECT value FROM json_each(?)) ORDER BY updatedAt, key LIMIT ?
          """, [row["unit"] as String, keys, limit])
        due += queued.enumerated().map { ($0.offset, place, $0.element["key"]) }
      }
      let retrying = try database.all(
        """
        SELECT key FROM notice WHERE state = 'retrying' AND nextAt <= ?
          AND key NOT IN (SELECT value FROM json_each(?)) ORDER BY nextAt LIMIT ?
        """, [now.microseconds, keys, limit])
      due += retrying.enumerated().map { ($0.offset, units.count, $0.element["key"]) }
      due.sort { ($0.turn, $0.place) < ($1.turn, $1.place) }
      return try due.prefix(limit).compactMap { try database.notice($0.key) }
    }
  }

  /// The signed manifest of a document: the same bytes every time.
  package func signedManifest(document: Int64) throws -> Data {
    try read { database in
      guard let row = try database.one("SELECT signed FROM document WHERE key = ?", [document])
      else { throw StoreError(.notFound, "document \(document)") }
      return row["signed"]
    }
  }

  /// True while pieces of a delivery may go out: it was not taken back, suspended or expired. An answer
  /// to what went out before is no reason to stop: the other unit may have asked for them.
  package func mayGoOn(_ work: DeliveryWork, now: Timestamp) throws -> Bool {
    try read { database in
      try database.one(
        """
        SELECT 1 FROM delivery WHERE key = ? AND state NOT IN ('cancelled', 'expired', 'suspended')
          AND (expiresAt IS NULL OR expiresAt > ?)
        """, [work.key, now.microseconds]) != nil
    }
  }

  /// True while the manifest may go out: it was not taken back, answered or begun anew meanwhile, and
  /// its time to live is not over.
  package func isUnderWay(_ work: DeliveryWork, now: Timestamp) throws -> Bool {
    try read { database in
      try database.one(
        """
        SELECT 1 FROM delivery WHERE key = ? AND state IN ('queued', 'retrying') AND updatedAt = ?
          AND (expiresAt IS NULL OR expiresAt > ?)
        """, [work.key, work.changedAt.microseconds, now.microseconds]) != nil
    }
  }

  /// Commits what became of a group of deliveries and statuses: one fsync for all of them.
  package func settle(
    deliveries: [(key: Int64, result: RelayResult)], notices: [(key: Int64, result: RelayResult)],
    at time: Timestamp
  ) throws {
    guard !(deliveries.isEmpty && notices.isEmpty) else { return }
    try write(as: .daemon, at: time, around: (.settleBeforeCommit, .settleAfterCommit)) { tx in
      for (key, result) in deliveries { try tx.settleDelivery(key, result) }
      for (key, result) in notices { try tx.settleNotice(key, result) }
    }
  }

  /// The earliest `nextAt` of anything that waits, or nil.
  package func nextRetry() throws -> Timestamp? {
    try read { database in
      try database.one(
        """
        SELECT min(nextAt) AS nextAt FROM (
          SELECT min(nextAt) AS nextAt FROM delivery WHERE state = 'retrying'
          UNION ALL SELECT min(nextAt) FROM notice WHERE state = 'retrying')
        """)?.optionalTime("nextAt")
    }
  }

  /// True when something could be published now.
  package func hasDueWork(now: Timestamp) throws -> Bool {
    try read { database in
      try database.one(
        """
        SELECT 1 WHERE EXISTS (SELECT 1 FROM delivery WHERE state = 'queued')
          OR EXISTS (SELECT 1 FROM notice WHERE state = 'queued')
          OR EXISTS (SELECT 1 FROM delivery WHERE state = 'retrying' AND nextAt <= ?1)
          OR EXISTS (SELECT 1 FROM notice WHERE state = 'retrying' AND nextAt <= ?1)
        """, [now.microseconds]) != nil
    }
  }
}

extension Database {
  fileprivate func retryingDeliveries(
    _ count: Int, _ urgency: Urgency, excluding busy: Set<Int64>, now: Timestamp
  ) throws -> [Int64] {
    try first(
      count, besides: busy,
      of: """
        SELECT key FROM delivery WHERE state = 'retrying' AND nextAt <= ?1 AND urgency = ?2
          AND (expiresAt IS NULL OR expiresAt > ?1) ORDER BY nextAt
        """, [now.microseconds, urgency.rawValue])
  }

  /// Unit by unit along the index: the cost does not depend on what any of them has piled up.
  fileprivate func queuedDeliveries(
    _ count: Int, _ urgency: Urgency, after last: String, excluding busy: Set<Int64>,
    now: Timestamp
  ) throws -> [Int64] {
    var units: [[Int64]] = []
    func visit(after start: String, to end: String?) throws {
      var unit = start
      while units.count < count,
        let next: String = try one(
          """
          SELECT min(recipient) AS unit FROM delivery
          WHERE state = 'queued' AND urgency = ? AND recipient > ?
          """, [urgency.rawValue, unit])?["unit"], end.map({ next <= $0 }) ?? true
      {
        unit = next
        let keys = try first(
          count, besides: busy,
          of: """
            SELECT key FROM delivery WHERE state = 'queued' AND urgency = ? AND recipient = ?
              AND (expiresAt IS NULL OR expiresAt > ?) ORDER BY key
            """, [urgency.rawValue, unit, now.microseconds])
        if !keys.isEmpty { units.append(keys) }
      }
    }
    guard count > 0 else { return [] }
    try visit(after: last, to: nil)
    if !last.isEmpty { try visit(after: "", to: last) }
    let turns = (0..<count).lazy.flatMap { turn in
      units.lazy.compactMap { $0.count > turn ? $0[turn] : nil }
    }
    return Array(turns.prefix(count))
  }

  /// The first `count` keys that are not `busy`; reads no further.
  private func first(
    _ count: Int, besides busy: Set<Int64>, of sql: String, _ arguments: StatementArguments
  ) throws -> [Int64] {
    guard count > 0 else { return [] }
    let cursor = try Int64.fetchCursor(try cachedStatement(sql: sql), arguments: arguments)
    var keys: [Int64] = []
    while keys.count < count, let key = try cursor.next() {
      if !busy.contains(key) { keys.append(key) }
    }
    return keys
  }

  fileprivate func delivery(_ key: Int64) throws -> DeliveryWork? {
    let row = try one(
      """
      SELECT d.document, document.id, d.recipient, d.urgency, d.progress, d.failures,
        d.failingFor, d.failedAt, d.updatedAt
      FROM delivery d JOIN document ON document.key = d.document WHERE d.key = ?
      """, [key])
    guard let row else { return nil }
    let attachments = try all(
      "SELECT sha256, size FROM attachment WHERE document = ? ORDER BY position",
      [row["document"] as Int64])
    return DeliveryWork(
      key: key, document: row["document"], documentID: try row.recordID("id"),
      to: try row.unit("recipient"), urgency: try row.urgency("urgency"),
      progress: row["progress"], trouble: row.trouble,
      plan: DeliveryPlan(
        attachments: try attachments.map { (try $0.digest("sha256"), $0["size"]) }),
      changedAt: row.time("updatedAt"))
  }

  fileprivate func notice(_ key: Int64) throws -> NoticeWork? {
    try one(
      """
      SELECT n.key, n.type, n.messageID, n.correlationID, n.toUnit, n.lane, n.failures,
        n.failingFor, n.failedAt, coalesce(n.signed, status.signed) AS signed
      FROM notice n LEFT JOIN status ON status.key = n.status WHERE n.key = ?
      """, [key]
    ).map { row in
      NoticeWork(
        key: row["key"],
        envelope: Envelope(
          type: row["type"], messageID: row["messageID"], correlationID: row["correlationID"]),
        to: try row.unit("toUnit"), lane: try row.lane("lane"), trouble: row.trouble,
        signed: row["signed"])
    }
  }
}

extension WriteTransaction {

  fileprivate func settleDelivery(_ key: Int64, _ result: RelayResult) throws {
    guard
      let row = try one("SELECT state, document FROM delivery WHERE key = ?", [key])
    else { return }
    let state = try row.outgoingState("state")
    // A receipt may overtake the broker's confirm, and a person may have acted meanwhile.
    guard state == .queued || state == .retrying else { return }
    switch result {
    case .interrupted(let progress, let changedAt):
      try run(
        "UPDATE delivery SET progress = ? WHERE key = ? AND updatedAt = ?",
        [progress, key, changedAt.microseconds])
    case .published:
      try move(
        delivery: key, to: .published,
        setting: """
          attempts = attempts + 1, failures = 0, failingFor = 0, failedAt = NULL, nextAt = NULL,
          lastError = NULL, lastErrorText = NULL, progress = 0,
          publishedAt = coalesce(publishedAt, ?)
          """, [time.microseconds], cause: "confirmed")
    case .retry(let at, let trouble, let code, let reason, let progress):
      try move(
        delivery: key, to: .retrying,
        setting: """
          attempts = attempts + 1, failures = ?, failingFor = ?, failedAt = ?, nextAt = ?,
          lastError = ?, lastErrorText = ?, progress = ?
          """,
        [
          trouble.failures, trouble.failingFor.microseconds, trouble.failedAt?.microseconds,
          at.microseconds, code, reason, progress,
        ], cause: code, detail: reason)
    case .suspend(let code, let reason):
      try move(
        delivery: key, to: .suspended,
        setting: "attempts = attempts + 1, nextAt = NULL, lastError = ?, lastErrorText = ?",
        [code, reason], cause: code, detail: reason)
    }
  }

  fileprivate func settleNotice(_ key: Int64, _ result: RelayResult) throws {
    switch result {
    case .interrupted: return
    case .published:
      try run(
        """
        UPDATE notice SET state = 'published', attempts = attempts + 1, failures = 0,
          failingFor = 0, failedAt = NULL, nextAt = NULL, lastError = NULL, lastErrorText = NULL, updatedAt = ?
        WHERE key = ?
        """, [time.microseconds, key])
    case .retry(let at, let trouble, let code, let reason, _):
      try run(
        """
        UPDATE notice SET state = 'retrying', attempts = attempts + 1,
          failures = ?, failingFor = ?, failedAt = ?, nextAt = ?, lastError = ?, lastErrorText = ?,
          updatedAt = ? WHERE key = ?
        """,
        [
          trouble.failures, trouble.failingFor.microseconds, trouble.failedAt?.microseconds,
          at.microseconds, code, reason, time.microseconds, key,
        ])
    case .suspend(let code, let reason):
      try run(
        """
        UPDATE notice SET state = 'suspended', attempts = attempts + 1, nextAt = NULL,
          lastError = ?, lastErrorText = ?, updatedAt = ? WHERE key = ?
        """, [code, reason, time.microseconds, key])
    }
  }
}
