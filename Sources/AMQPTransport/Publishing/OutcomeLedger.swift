import ExchangeCore

/// Outcomes that the source has not committed yet. They outlive connections: an outcome is dropped
/// only after `settle` returned.
struct OutcomeLedger {
  typealias Entry = (token: UInt64, outcome: PublishOutcome)

  /// As many as are worth one commit of their own while others are still in flight.
  static let group = 32
  /// How long an outcome waits for company: a group commit is one fsync instead of many.
  static let linger = Duration.milliseconds(5)

  private var entries: [Entry] = []
  /// When the oldest entry must be settled (`Monotonic`); nil without entries.
  private(set) var dueAt: UInt64?

  var isEmpty: Bool { entries.isEmpty }

  mutating func add(_ entry: Entry) {
    if entries.isEmpty { dueAt = Monotonic.after(Self.linger) }
    entries.append(entry)
  }

  /// True when it is time to settle; with nothing left in flight there is nobody to wait for.
  func isDue(nothingInFlight: Bool) -> Bool {
    guard let dueAt else { return false }
    return nothingInFlight || entries.count >= Self.group || Monotonic.now >= dueAt
  }

  /// Hands all entries to the source. When that throws, they are all kept.
  ///
  /// Returns true when the broker took at least one message.
  mutating func settle(with source: any PublishSource) throws -> Bool {
    guard !entries.isEmpty else { return false }
    try source.settle(entries)
    defer {
      entries.removeAll(keepingCapacity: true)
      dueAt = nil
    }
    return entries.contains { $0.outcome == .confirmed }
  }
}
