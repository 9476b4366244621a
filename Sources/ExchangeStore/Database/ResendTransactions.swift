package import ExchangeCore
import Foundation
import GRDB

extension Store {
  /// What happened to one delivery in a resend.
  package struct ResendResult: Sendable, Hashable {
    package let delivery: Int64
    package let document: RecordID
    package let to: UnitID
    package let before: OutgoingState
    /// Nil when it was queued again, otherwise why not.
    package let refusal: String?
  }

  /// Deliveries in one transaction of a resend: a second's work at the most, so that the daemon and
  /// other commands are not kept waiting for the database.
  package static let resendStep = 500

  /// Queues deliveries again with the same id and the same bytes. In flight (`queued`, `published`) and
  /// final ones are left alone and say so. `dryRun` changes nothing.
  ///
  /// More than `resendStep` of them are written down as a job first and worked off step by step; when
  /// this process ends half way, the daemon goes on (`continueResends`). A key that does not exist
  /// throws `.notFound`, and nothing is queued.
  package func resend(
    _ keys: [Int64], reason: String, dryRun: Bool, at time: Timestamp, by actor: Actor
  ) throws -> [ResendResult] {
    guard keys.count > Self.resendStep, !dryRun else {
      return try write { database in
        try keys.map {
          try database.resend($0, reason: reason, dryRun: dryRun, at: time, by: actor)
        }
      }
    }
    // The lock first: otherwise the daemon could take the job up before this process does.
    return try files.exclusively("resend.lock") {
      let job = try write { database in
        for key in keys {
          guard try database.one("SELECT 1 FROM delivery WHERE key = ?", [key]) != nil else {
            throw StoreError(.notFound, "delivery \(key)")
          }
        }
        return try database.insertJob(keys, reason: reason, at: time, by: actor)
      }
      var results: [ResendResult] = []
      while let step = try self.step(job: job, at: time) { results += step }
      return results
    } ?? []
  }

  /// Goes on with the resends whose process ended before they did, unless one is at work right now.
  /// Returns how many deliveries were looked at.
  package func continueResends(at time: Timestamp) throws -> Int {
    let open = try read { database in
      try database.all("SELECT key FROM resendJob WHERE finishedAt IS NULL ORDER BY key")
        .map { $0["key"] as Int64 }
    }
    guard !open.isEmpty else { return 0 }
    return try files.exclusively("resend.lock", waits: false) {
      var count = 0
      for job in open { while let step = try self.step(job: job, at: time) { count += step.count } }
      return count
    } ?? 0
  }

  /// The next deliveries of a job, in one transaction; nil when there are none left.
  private func step(job: Int64, at time: Timestamp) throws -> [ResendResult]? {
    try write { database in
      let items = try database.all(
        """
        SELECT delivery, reason, actor FROM resendItem
        JOIN resendJob ON resendJob.key = resendItem.job WHERE job = ? ORDER BY delivery LIMIT ?
        """, [job, Self.resendStep])
      guard let last = items.last else {
        try database.run(
          "UPDATE resendJob SET finishedAt = ? WHERE key = ? AND finishedAt IS NULL",
          [time.microseconds, job])
        return nil
      }
      let results = try items.map { item in
        try database.resend(
          item["delivery"], reason: item["reason"], dryRun: false, at: time,
          by: Actor(item["actor"]))
      }
      try database.run(
        "DELETE FROM resendItem WHERE job = ? AND delivery <= ?",
        [job, last["delivery"] as Int64])
      let queued = results.count { $0.refusal == nil }
      try database.run(
        "UPDATE resendJob SET queued = queued + ?, leftAlone = leftAlone + ? WHERE key = ?",
        [queued, results.count - queued, job])
      return results
    }
  }
}

extension Database {
  fileprivate func insertJob(_ keys: [Int64], reason: String, at time: Timestamp, by actor: Actor)
    throws -> Int64
  {
    try run(
      "INSERT INTO resendJob (actor, reason, total, createdAt) VALUES (?, ?, ?, ?)",
      [actor.name, reason, Set(keys).count, time.microseconds])
    let job = lastInsertedRowID
    for key in keys {
      try run(
        "INSERT INTO resendItem (job, delivery) VALUES (?, ?) ON CONFLICT DO NOTHING", [job, key])
    }
    return job
  }

  fileprivate func resend(
    _ key: Int64, reason: String, dryRun: Bool, at time: Timestamp, by actor: Actor
  ) throws -> Store.ResendResult {
    guard
      let row = try one(
        """
        SELECT d.state, d.document, d.recipient, document.id, document.frozen FROM delivery d
        JOIN document ON document.key = d.document WHERE d.key = ?
        """, [key])
    else { throw StoreError(.notFound, "delivery \(key)") }
    let state = try row.outgoingState("state")
    let frozen: String? = row["frozen"]
    let refusal: String? =
      switch state {
      case _ where frozen != nil: "the document was \(frozen ?? "")"
      case .queued: "it is already waiting to be sent"
      case .published: "the broker has it and the receipt is outstanding"
      case .delivered: "the receipt is there"
      case .retrying, .suspended, .refused, .expired, .cancelled: nil
      }
    if refusal == nil, !dryRun {
      // `progress` starts again: the receiver may have dropped altered pieces.
      try run(
        """
        UPDATE delivery SET state = 'queued', progress = 0, failures = 0, failingFor = 0,
          failedAt = NULL, publishedAt = NULL, expiresAt = NULL, warnedAt = NULL, nextAt = NULL,
          updatedAt = ?
        WHERE key = ?
        """, [time.microseconds, key])
      try record(
        "delivery", key, document: row["document"], from: state.rawValue, to: "queued", at: time,
        by: actor, cause: "resent", detail: reason)
    }
    return Store.ResendResult(
      delivery: key, document: try row.recordID("id"), to: try row.unit("recipient"),
      before: state, refusal: refusal)
  }
}

extension Store.ResendResult {
  /// A delivery that is not queued, for a reason outside of the database.
  package static func leftAlone(_ delivery: DeliverySummary, because reason: String) -> Self {
    Self(
      delivery: delivery.key, document: delivery.document, to: delivery.to,
      before: delivery.state, refusal: reason)
  }
}
