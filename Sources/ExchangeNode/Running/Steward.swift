package import ExchangeCore
import ExchangeStore
import Foundation
package import Logging

/// The node's regular work: ends deliveries whose time is over, sends again what the broker refused
/// and no person sees, and reconciles with other units.
/// Steps are idempotent and cheap when there is nothing to do.
package struct Steward: Sendable {
  package struct Policy: Sendable, Hashable {
    /// A unit gets a tally when something went to it and this long none did. Also the time that a
    /// receipt is given before its sender asks.
    package var interval: Duration
    /// Receipts older than this are not tallied any more.
    package var window: Duration

    package init(interval: Duration = .seconds(86_400), window: Duration = .seconds(30 * 86_400)) {
      self.interval = interval
      self.window = window
    }
  }

  private let context: NodeContext
  private let policy: Policy
  private let log: Logger

  package init(context: NodeContext, policy: Policy, log: Logger) {
    self.context = context
    self.policy = policy
    self.log = log
  }

  /// One round. Returns whether there may be something to publish now.
  package func step() throws -> Bool {
    let now = context.clock.now
    let hastened = try context.store.hastenRetries(
      beyond: now.advanced(by: Backoff.message.cap), at: now)
    if hastened > 0 {
      log.warning(
        "retries were set by a clock that was ahead: they are due now",
        metadata: ["count": "\(hastened)"])
    }
    let expired = try context.store.expire(at: now)
    if expired > 0 {
      log.warning("deliveries expired without a receipt", metadata: ["count": "\(expired)"])
    }
    let revived = try context.store.reviveNotices(
      suspendedBefore: now.advanced(by: .zero - Backoff.message.cap), at: now)
    if revived > 0 {
      log.warning("statuses that the broker refused go again", metadata: ["count": "\(revived)"])
    }
    let due = try context.store.unitsWithoutTally(
      since: now.advanced(by: .zero - policy.interval),
      window: now.advanced(by: .zero - policy.window), now: now)
    for unit in due { try tally(unit) }
    try context.store.checkpoint()
    return hastened > 0 || revived > 0 || !due.isEmpty
  }

  /// Sends `unit` a tally of what went to it. False when there is nothing to tally.
  @discardableResult
  package func tally(_ unit: UnitID) throws -> Bool {
    let now = context.clock.now
    var entries = try context.store.tallyEntries(
      for: unit, since: now.advanced(by: .zero - policy.window))
    if entries.isEmpty {
      // A person asks, perhaps because the unit lost content of an old document.
      entries = try context.store.tallyEntries(for: unit, since: Timestamp(microseconds: 0))
    }
    guard !entries.isEmpty else { return false }
    let tally = Tally(
      id: RecordID(at: now), from: context.unit, to: unit, timestamp: now, entries: entries)
    let signed = try context.signer.sign(TallyCodec.encode(tally), at: now)
    try context.store.send(SignedTally(tally: tally, signed: signed), at: now)
    return true
  }
}
