package import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

/// What happened to one delivery in a resend.
package struct ResendResult: Sendable, Hashable {
  package let delivery: Int64
  package let document: RecordID
  package let to: UnitID
  package let before: OutgoingState
  /// Nil when it was queued again, otherwise why not.
  package let refusal: String?
  /// What a person should know about it.
  package var remark: String?
}

extension Joining {
  /// Deliveries in one transaction of a resend: at most a second's work, so that the daemon and other
  /// commands do not wait long for the database.
  package static let resendStep = 500

  /// Queues deliveries again with the same id and the same bytes. In flight (`queued`, `published`) and
  /// final ones are left alone and say so. `dryRun` changes nothing.
  ///
  /// More than `resendStep` of them are written down as a job first and worked off step by step; when
  /// this process ends half way, the daemon goes on (`continueResends`). A key that does not exist
  /// throws `.notFound`, and nothing is queued.
  ///
  /// `report` gets the results step by step, after each step is committed.
  package func resend(
    _ keys: [Int64], reason: String, dryRun: Bool, at time: Timestamp, by actor: Actor,
    report: ([ResendResult]) throws -> Void
  ) throws {
    guard keys.count > Self.resendStep, !dryRun else {
      // What is changed fits into one step; a dry run of many is looked at step by step.
      for start in stride(from: 0, to: keys.count, by: Self.resendStep) {
        let step = Array(keys[start..<min(start + Self.resendStep, keys.count)])
        try report(
          try write(as: actor, at: time) { tx in
            let subject = try tx.database.subject(ofDeliveries: step)
            // One act for the command, and none when nothing was done.
            var act: Int64?
            return try step.map {
              try tx.resend($0, reason: reason, dryRun: dryRun) {
                if act == nil {
                  act = try tx.act(
                    .resend, about: subject, reason: reason)
                }
                return act
              }
            }
          })
      }
      return
    }
    // The lock first: otherwise the daemon could take the job up before this process does.
    _ = try files.exclusively("resend.lock") {
      let job = try write(as: actor, at: time) { tx in
        for key in keys {
          guard try tx.one("SELECT 1 FROM delivery WHERE key = ?", [key]) != nil else {
            throw StoreError(.notFound, "delivery \(key)")
          }
        }
        return try tx.insertJob(keys, reason: reason)
      }
      while let step = try self.step(job: job, at: time) { try report(step) }
    }
  }

  /// As above, with all results at once.
  package func resend(
    _ keys: [Int64], reason: String, dryRun: Bool, at time: Timestamp, by actor: Actor
  ) throws -> [ResendResult] {
    var results: [ResendResult] = []
    try resend(keys, reason: reason, dryRun: dryRun, at: time, by: actor) { results += $0 }
    return results
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
    let actor = try read { database in
      try database.one("SELECT actor FROM resendJob WHERE key = ?", [job])?["actor"] as String?
    }
    return try write(as: Actor(actor ?? Actor.daemon.name), at: time) { tx -> [ResendResult]? in
      let items = try tx.all(
        """
        SELECT delivery, reason, act FROM resendItem
        JOIN resendJob ON resendJob.key = resendItem.job WHERE job = ? ORDER BY delivery LIMIT ?
        """, [job, Self.resendStep])
      guard let last = items.last else {
        try tx.run(
          "UPDATE resendJob SET finishedAt = ? WHERE key = ? AND finishedAt IS NULL",
          [time.microseconds, job])
        return nil
      }
      let results = try items.map { item in
        try tx.resend(item["delivery"], reason: item["reason"], dryRun: false) { item["act"] }
      }
      try tx.run(
        "DELETE FROM resendItem WHERE job = ? AND delivery <= ?",
        [job, last["delivery"] as Int64])
      let queued = results.count { $0.refusal == nil }
      try tx.run(
        "UPDATE resendJob SET queued = queued + ?, leftAlone = leftAlone + ? WHERE key = ?",
        [queued, results.count - queued, job])
      return results
    }
  }
}

extension Database {

  /// The document when all the deliveries are of one.
  fileprivate func subject(ofDeliveries keys: [Int64]) throws -> ActSubject {
    var only: (key: Int64, id: RecordID)?
    for key in keys {
      guard
        let row = try one(
          """
          SELECT document.key, document.id FROM delivery
          JOIN document ON document.key = delivery.document WHERE delivery.key = ?
          """, [key])
      else { continue }
      let found = (key: row["key"] as Int64, id: try row.recordID("id"))
      if let only, only.key != found.key { return .deliveries }
      only = found
    }
    return only.map { .document($0.key, $0.id) } ?? .deliveries
  }
}

extension WriteTransaction {
  fileprivate func insertJob(_ keys: [Int64], reason: String)
    throws -> Int64
  {
    let act = try act(
      .resend, about: try database.subject(ofDeliveries: keys), reason: reason)
    try run(
      "INSERT INTO resendJob (actor, reason, total, createdAt, act) VALUES (?, ?, ?, ?, ?)",
      [actor.name, reason, Set(keys).count, time.microseconds, act])
    let job = lastInsertedRowID
    for key in keys {
      try run(
        "INSERT INTO resendItem (job, delivery) VALUES (?, ?) ON CONFLICT DO NOTHING", [job, key])
    }
    return job
  }

  /// `act` is asked for when the delivery is queued.
  fileprivate func resend(
    _ key: Int64, reason: String, dryRun: Bool,
    act: () throws -> Int64?
  ) throws -> ResendResult {
    guard
      let row = try one(
        """
        SELECT d.state, d.document, d.recipient, document.id, document.frozen, u.outcome,
          claim.code FROM delivery d
        JOIN document ON document.key = d.document
        LEFT JOIN received u ON u.key = (SELECT max(claim.received) FROM claim
          JOIN received r ON r.key = claim.received AND r.state = 'quarantined'
          WHERE claim.document = d.document AND claim.unit = d.recipient)
        LEFT JOIN claim ON claim.received = u.key WHERE d.key = ?
        """, [key])
    else { throw StoreError(.notFound, "delivery \(key)") }
    let state = try row.outgoingState("state")
    let frozen: String? = row["frozen"]
    // An answer that came and was not believed is as good as none: sent again, the document makes the
    // unit answer anew, with the certificates that it signs with now.
    let unbelieved: String? = (row["outcome"] as String?).map { outcome in
      let code: String? = row["code"]
      return "a status\(code.map { " \($0)" } ?? "") came and was not believed: \(outcome)"
    }
    let refusal: String? =
      switch state {
      case _ where frozen != nil: "the document was \(frozen ?? "")"
      case .queued: "it is already waiting to be sent"
      case .published where unbelieved != nil: nil
      case .published: "the broker has it and the receipt is outstanding"
      case .delivered: "the receipt is there"
      case .retrying, .suspended, .refused, .expired, .cancelled: nil
      }
    if refusal == nil, !dryRun {
      // `progress` starts again: the receiver may have dropped altered pieces.
      try move(
        delivery: key, to: .queued,
        setting: """
          progress = 0, failures = 0, failingFor = 0, failedAt = NULL, publishedAt = NULL,
          expiresAt = NULL, warnedAt = NULL, nextAt = NULL
          """, act: try act(), cause: "resent", detail: reason)
    }
    return ResendResult(
      delivery: key, document: try row.recordID("id"), to: try row.unit("recipient"),
      before: state, refusal: refusal,
      remark: [.published, .queued].contains(state) ? unbelieved : nil)
  }
}

extension ResendResult {
  /// A delivery that is not queued, for a reason outside of the database.
  package static func leftAlone(_ delivery: DeliverySummary, because reason: String) -> Self {
    Self(
      delivery: delivery.key, document: delivery.document, to: delivery.to,
      before: delivery.state, refusal: reason)
  }
}
