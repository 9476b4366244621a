package import ExchangeCore
import Synchronization

/// A clock that stands still until a test moves it. Safe to share between threads.
package final class ManualClock: WallClock {
  private let time: Mutex<Timestamp>

  /// 21 September 2026: within the validity of every certificate that tests make.
  package init(_ start: Timestamp = Timestamp(microseconds: 1_790_000_000_000_000)) {
    time = Mutex(start)
  }

  package var now: Timestamp { time.withLock { $0 } }

  /// Moves on by `duration`; negative moves back, as a clock that is set does.
  package func advance(by duration: Duration) {
    time.withLock { $0 = $0.advanced(by: duration) }
  }
}
