package import ExchangeCore
import ExchangeStore
import Foundation
package import Logging
import NodeDatabase

/// The node's regular work: ends deliveries whose time is over and says which wait too long for
/// their receipt, sends again what the broker refused
/// and no person sees, and reconciles with other units.
/// Steps are idempotent and cheap when there is nothing to do.
package struct Upkeep: Sendable {
  package struct Policy: Sendable, Hashable {
    /// A unit gets a tally when something went to it and this long none did. Also the time that a
    /// receipt is given before its sender asks.
    package var interval: Duration
    /// Receipts older than this are not tallied any more.
    package var window: Duration
    /// How long content of another unit is kept here although no document names it.
    package var pendingTime = Duration.seconds(30 * 86_400)
    /// Entries of one tally; what is more goes into further ones.
    package var part: Int
    /// When a missing receipt is worth a line in the log.
    package var receipts = ReceiptPolicy()

    package init(
      interval: Duration = .seconds(86_400), window: Duration = .seconds(30 * 86_400),
      part: Int = TallyCodec.maximumEntries
    ) {
      self.interval = interval
      self.window = window
      self.part = part
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
    let hastened = try context.store.relay.hastenRetries(
      beyond: now.advanced(by: Backoff.message.cap), at: now)
    if hastened > 0 {
      log.warning(
        "retries were set by a clock that was ahead: they are due now",
        metadata: ["count": "\(hastened)"])
    }
    let expired = try context.store.relay.expire(at: now)
    if expired > 0 {
      log.warning("deliveries expired without a receipt", metadata: ["count": "\(expired)"])
    }
    let resent = try context.store.joining.continueResends(at: now)
    if resent > 0 {
      log.notice("a resend that had ended half way is finished", metadata: ["count": "\(resent)"])
    }
    try warn(at: now)
    let revived = try context.store.relay.reviveNotices(
      suspendedBefore: now.advanced(by: .zero - Backoff.message.cap), at: now)
    if revived > 0 {
      log.warning("statuses that the broker refused go again", metadata: ["count": "\(revived)"])
    }
    try context.store.review.removeDiscarded(waits: true)
    let collected = try context.store.contents.collectUnnamed(
      patience: policy.pendingTime, at: now)
    if collected > 0 {
      log.notice("content that no document names is removed", metadata: ["count": "\(collected)"])
    }
    let due = try context.store.relay.unitsWithoutTally(
      since: now.advanced(by: .zero - policy.interval),
      window: now.advanced(by: .zero - policy.window), now: now)
    // Why nothing is signed, `CertificateWatch` says.
    let signs = due.isEmpty || isBelieved(at: now)
    for unit in signs ? due : [] {
      do {
        try tally(unit, everything: false)
      } catch {
        // One unit that nothing can be sent to keeps no other from its tally.
        log.error("no tally can be sent", metadata: ["to": "\(unit)", "error": "\(error)"])
      }
    }
    try context.store.file.checkpoint()
    return hastened > 0 || revived > 0 || resent > 0 || !due.isEmpty
  }

  private func isBelieved(at now: Timestamp) -> Bool {
    do {
      try context.signer.requireBelieved(at: now)
      return true
    } catch {
      return false
    }
  }

  /// More deliveries than this become one line with their number.
  private static let linesAtOnce = 10

  private func warn(at now: Timestamp) throws {
    let (overdue, expiring) = try context.store.relay.warnOutstanding(
      ReceiptWatch(policy.receipts, now: now), at: now)
    say("no receipt yet: a delivery is overdue", overdue, see: "congvan deliveries --overdue") {
      ["publishedAt": "\($0.publishedAt?.iso8601 ?? "")"]
    }
    say("no receipt yet: a delivery expires soon", expiring, see: "congvan deliveries --expiring") {
      ["expiresAt": "\($0.expiresAt?.iso8601 ?? "")"]
    }
  }

  private func say(
    _ text: Logger.Message, _ deliveries: [OutstandingDelivery], see command: String,
    _ more: (OutstandingDelivery) -> Logger.Metadata
  ) {
    guard deliveries.count <= Self.linesAtOnce else {
      log.warning(text, metadata: ["count": "\(deliveries.count)", "see": "\(command)"])
      return
    }
    for delivery in deliveries {
      let place: Logger.Metadata = ["document": "\(delivery.document)", "to": "\(delivery.to)"]
      log.warning(text, metadata: place.merging(more(delivery)) { $1 })
    }
  }

  /// Sends `unit` a tally of what went to it, in as many parts as its limit asks for. When nothing went
  /// to it lately: of all that ever did, or only of the latest, which is enough for the unit to name
  /// what it lost the content of. False when there is nothing to tally. `actor` is who asked for it.
  @discardableResult
  package func tally(_ unit: UnitID, everything: Bool = true, by actor: Actor = .daemon) throws
    -> Bool
  {
    let now = context.clock.now
    var entries = try context.store.relay.tallyEntries(
      for: unit, since: now.advanced(by: .zero - policy.window))
    if entries.isEmpty {
      entries = try context.store.relay.tallyEntries(for: unit, since: Timestamp(microseconds: 0))
      if !everything { entries = entries.suffix(policy.part) }
    }
    guard !entries.isEmpty else { return false }
    for start in stride(from: 0, to: entries.count, by: policy.part) {
      let part = entries[start..<min(start + policy.part, entries.count)]
      let tally = Tally(
        id: RecordID(at: now), from: context.unit, to: unit, timestamp: now, entries: Array(part),
        isPartial: entries.count > policy.part)
      let signed = try context.signer.sign(TallyCodec.encode(tally), at: now)
      // One act, however many parts.
      try context.store.joining.send(
        SignedTally(tally: tally, signed: signed), at: now, by: start == 0 ? actor : .daemon)
    }
    return true
  }
}
