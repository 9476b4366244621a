package import ExchangeCore
package import Logging
import Synchronization

/// Says in the log what comes into quarantine: of each sender and reason the first at once, then once
/// a minute how many more there were, so that a flood of messages is no flood of lines.
package final class QuarantineLog: Sendable {
  private struct Kind: Hashable {
    let sender: String
    let outcome: OutcomeCode
  }

  private struct Count {
    var since: Timestamp
    /// Messages since then that have no line of their own.
    var unsaid = 0
  }

  private static let span = Duration.seconds(60)
  private let log: Logger
  private let clock: any WallClock
  private let counts = Mutex<[Kind: Count]>([:])

  package init(log: Logger, clock: any WallClock) {
    self.log = log
    self.clock = clock
  }

  package func note(sender: String, message: String, outcome: OutcomeCode, detail: String) {
    flush()
    let isFirst = counts.withLock { counts in
      let kind = Kind(sender: sender, outcome: outcome)
      counts[kind, default: Count(since: clock.now, unsaid: -1)].unsaid += 1
      return counts[kind]?.unsaid == 0
    }
    guard isFirst else { return }
    log.warning(
      "message is quarantined",
      metadata: [
        "sender": "\(sender)", "message": "\(message)", "code": "\(outcome)",
        "detail": "\(detail)",
      ])
  }

  /// Says the numbers whose minute is over. Call it now and then, also when nothing comes.
  package func flush() {
    let now = clock.now
    let over = counts.withLock { counts in
      // Also when the clock was set back.
      let over = counts.filter {
        now < $0.value.since || $0.value.since.advanced(by: Self.span) <= now
      }
      for (kind, count) in over { counts[kind] = count.unsaid > 0 ? Count(since: now) : nil }
      return over.filter { $0.value.unsaid > 0 }
    }
    for (kind, count) in over {
      log.warning(
        "more messages are quarantined",
        metadata: [
          "sender": "\(kind.sender)", "code": "\(kind.outcome)", "count": "\(count.unsaid)",
          "see": "congvan quarantine",
        ])
    }
  }
}
