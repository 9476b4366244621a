package import ExchangeCore
package import Foundation
import GRDB

/// A delivery that is due, with what is needed to publish it.
package struct DeliveryWork: Sendable {
  package let key: Int64
  package let document: Int64
  package let documentID: RecordID
  package let to: UnitID
  package let urgency: Urgency
  /// Number of leading messages of the plan that the broker confirmed before.
  package let progress: Int64
  package let failures: Int
  package let failingSince: Timestamp?
  package let plan: DeliveryPlan
}

/// A status of ours that is due.
package struct StatusWork: Sendable {
  package let key: Int64
  package let id: RecordID
  package let documentID: RecordID
  package let to: UnitID
  package let failures: Int
  package let failingSince: Timestamp?
  package let signed: Data
}

/// What the relay learnt about a delivery or a status.
package enum RelayResult: Sendable, Hashable {
  /// Every message is confirmed.
  case published
  /// Not finished; the first `progress` messages are confirmed. Not an attempt.
  case interrupted(progress: Int64)
  case retry(at: Timestamp, failingSince: Timestamp, code: String, reason: String, progress: Int64)
  case suspend(code: String, reason: String)
}

extension Store {
  /// Due deliveries of `urgency` and more, urgent ones first, then in the order they were issued.
  package func dueDeliveries(
    limit: Int, atLeast urgency: Urgency = .normal, excluding busy: Set<Int64>, now: Timestamp
  ) throws -> [DeliveryWork] {
    try pool.read { database in
      let rows = try database.all(
        """
        SELECT d.key, d.document, document.id, d.recipient, d.urgency, d.progress, d.failures,
          d.failingSince
        FROM delivery d JOIN document ON document.key = d.document
        WHERE d.key IN (SELECT key FROM delivery WHERE state = 'queued' AND urgency >= ?3
            ORDER BY urgency DESC, key LIMIT ?1)
          OR d.key IN (SELECT key FROM delivery WHERE state = 'retrying' AND nextAt <= ?2
            AND urgency >= ?3 ORDER BY nextAt LIMIT ?1)
        ORDER BY d.urgency DESC, d.key
        """, [limit + busy.count, now.microseconds, urgency.rawValue])
      var work: [DeliveryWork] = []
      for row in rows where !busy.contains(row["key"]) && work.count < limit {
        let attachments = try database.all(
          "SELECT sha256, size FROM attachment WHERE document = ? ORDER BY position",
          [row["document"] as Int64])
        work.append(
          DeliveryWork(
            key: row["key"], document: row["document"], documentID: try row.recordID("id"),
            to: try row.unit("recipient"), urgency: try row.urgency("urgency"),
            progress: row["progress"], failures: row["failures"],
            failingSince: row.optionalTime("failingSince"),
            plan: DeliveryPlan(
              attachments: try attachments.map { (try $0.digest("sha256"), $0["size"]) })))
      }
      return work
    }
  }

  package func dueStatuses(limit: Int, excluding busy: Set<Int64>, now: Timestamp) throws
    -> [StatusWork]
  {
    try pool.read { database in
      let rows = try database.all(
        """
        SELECT status.key, status.id, status.documentID, status.toUnit, status.signed,
          s.failures, s.failingSince
        FROM statusDelivery s JOIN status ON status.key = s.status
        WHERE s.status IN (SELECT status FROM statusDelivery WHERE state = 'queued'
            ORDER BY status LIMIT ?1)
          OR s.status IN (SELECT status FROM statusDelivery WHERE state = 'retrying'
            AND nextAt <= ?2 ORDER BY nextAt LIMIT ?1)
        ORDER BY s.status
        """, [limit + busy.count, now.microseconds])
      return try rows.filter { !busy.contains($0["key"]) }.prefix(limit).map { row in
        StatusWork(
          key: row["key"], id: try row.recordID("id"), documentID: try row.recordID("documentID"),
          to: try row.unit("toUnit"), failures: row["failures"],
          failingSince: row.optionalTime("failingSince"), signed: row["signed"])
      }
    }
  }

  /// The signed manifest of a document: the same bytes every time.
  package func signedManifest(document: Int64) throws -> Data {
    try pool.read { database in
      guard let row = try database.one("SELECT signed FROM document WHERE key = ?", [document])
      else { throw StoreError(.notFound, "document \(document)") }
      return row["signed"]
    }
  }

  /// Bytes of a stored content.
  package func content(_ digest: SHA256Digest, offset: Int64, count: Int) throws -> Data {
    let inline: Data?? = try pool.read { database in
      try database.one("SELECT content FROM blob WHERE sha256 = ?", [digest.bytes])
        .map { $0["content"] as Data? }
    }
    guard let stored = inline else {
      throw StoreError(.contentMissing, "content \(digest): is not in the database")
    }
    guard let bytes = stored else { return try files.read(digest, offset: offset, count: count) }
    guard offset <= bytes.count else { return Data() }
    return bytes.dropFirst(Int(offset)).prefix(count)
  }

  /// Commits what became of a group of deliveries and statuses: one fsync for all of them.
  package func settle(
    deliveries: [(key: Int64, result: RelayResult)], statuses: [(key: Int64, result: RelayResult)],
    at time: Timestamp
  ) throws {
    guard !(deliveries.isEmpty && statuses.isEmpty) else { return }
    try pool.write { database in
      for (key, result) in deliveries { try database.settleDelivery(key, result, at: time) }
      for (key, result) in statuses { try database.settleStatus(key, result, at: time) }
    }
  }

  /// The earliest `nextAt` of anything that waits, or nil.
  package func nextRetry() throws -> Timestamp? {
    try pool.read { database in
      try database.one(
        """
        SELECT min(nextAt) AS nextAt FROM (
          SELECT min(nextAt) AS nextAt FROM delivery WHERE state = 'retrying'
          UNION ALL SELECT min(nextAt) FROM statusDelivery WHERE state = 'retrying')
        """)?.optionalTime("nextAt")
    }
  }

  /// True when something could be published now.
  package func hasDueWork(now: Timestamp) throws -> Bool {
    try pool.read { database in
      try database.one(
        """
        SELECT 1 WHERE EXISTS (SELECT 1 FROM delivery WHERE state = 'queued')
          OR EXISTS (SELECT 1 FROM statusDelivery WHERE state = 'queued')
          OR EXISTS (SELECT 1 FROM delivery WHERE state = 'retrying' AND nextAt <= ?1)
          OR EXISTS (SELECT 1 FROM statusDelivery WHERE state = 'retrying' AND nextAt <= ?1)
        """, [now.microseconds]) != nil
    }
  }
}

extension Database {
  fileprivate func settleDelivery(_ key: Int64, _ result: RelayResult, at time: Timestamp) throws {
    guard
      let row = try one("SELECT state, document FROM delivery WHERE key = ?", [key])
    else { return }
    let state = try row.outgoingState("state")
    // A receipt may overtake the broker's confirm, and a person may have acted meanwhile.
    guard state == .queued || state == .retrying else { return }
    let next: OutgoingState
    var detail: String?
    var cause: String
    switch result {
    case .interrupted(let progress):
      try run("UPDATE delivery SET progress = ? WHERE key = ?", [progress, key])
      return
    case .published:
      next = .published
      cause = "confirmed"
      try run(
        """
        UPDATE delivery SET state = 'published', attempts = attempts + 1, failures = 0,
          failingSince = NULL, nextAt = NULL, lastError = NULL, lastErrorText = NULL, progress = 0,
          publishedAt = ?, updatedAt = ?1 WHERE key = ?
        """, [time.microseconds, key])
    case .retry(let at, let since, let code, let reason, let progress):
      next = .retrying
      cause = code
      detail = reason
      try run(
        """
        UPDATE delivery SET state = 'retrying', attempts = attempts + 1, failures = failures + 1,
          failingSince = ?, nextAt = ?, lastError = ?, lastErrorText = ?, progress = ?,
          updatedAt = ? WHERE key = ?
        """,
        [
          since.microseconds, at.microseconds, code, reason, progress, time.microseconds, key,
        ])
    case .suspend(let code, let reason):
      next = .suspended
      cause = code
      detail = reason
      try run(
        """
        UPDATE delivery SET state = 'suspended', attempts = attempts + 1, nextAt = NULL,
          lastError = ?, lastErrorText = ?, updatedAt = ? WHERE key = ?
        """, [code, reason, time.microseconds, key])
    }
    try record(
      "delivery", key, document: row["document"], from: state.rawValue, to: next.rawValue,
      at: time, by: .daemon, cause: cause, detail: detail)
  }

  fileprivate func settleStatus(_ key: Int64, _ result: RelayResult, at time: Timestamp) throws {
    switch result {
    case .interrupted: return
    case .published:
      try run(
        """
        UPDATE statusDelivery SET state = 'published', attempts = attempts + 1, failures = 0,
          failingSince = NULL, nextAt = NULL, lastError = NULL, lastErrorText = NULL, updatedAt = ?
        WHERE status = ?
        """, [time.microseconds, key])
    case .retry(let at, let since, let code, let reason, _):
      try run(
        """
        UPDATE statusDelivery SET state = 'retrying', attempts = attempts + 1,
          failures = failures + 1, failingSince = ?, nextAt = ?, lastError = ?, lastErrorText = ?,
          updatedAt = ? WHERE status = ?
        """, [since.microseconds, at.microseconds, code, reason, time.microseconds, key])
    case .suspend(let code, let reason):
      try run(
        """
        UPDATE statusDelivery SET state = 'suspended', attempts = attempts + 1, nextAt = NULL,
          lastError = ?, lastErrorText = ?, updatedAt = ? WHERE status = ?
        """, [code, reason, time.microseconds, key])
    }
  }
}
