import Foundation
import Synchronization

/// Ends connections whose library call does not come back.
///
/// `amqp_basic_publish` has no timeout (alanxz/rabbitmq-c#519) and in 0.11 can wait for ever on a
/// dead line (#780, fixed in 0.14); only `shutdown(2)` from another thread frees it. One thread
/// serves all connections of a transport; it sleeps while there are none.
final class Watchdog: Sendable {
  /// How late the cut may come after a deadline.
  static let grain = Duration.milliseconds(200)

  private struct State {
    var watches: [ObjectIdentifier: CallWatch] = [:]
    var isRunning = false
  }

  private let state = Mutex(State())

  func add(_ watch: CallWatch) {
    let mustStart = state.withLock { state in
      state.watches[ObjectIdentifier(watch)] = watch
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard mustStart else { return }
    let thread = Thread { [self] in patrol() }
    thread.name = "amqp-watchdog"
    thread.start()
  }

  func remove(_ watch: CallWatch) {
    state.withLock { _ = $0.watches.removeValue(forKey: ObjectIdentifier(watch)) }
  }

  /// Ends, in the same step in which it finds nothing to watch, so that no connection is left out.
  private func patrol() {
    while true {
      let watches = state.withLock { state in
        state.isRunning = !state.watches.isEmpty
        return Array(state.watches.values)
      }
      if watches.isEmpty { return }
      let now = Monotonic.now
      for watch in watches { watch.expire(now: now) }
      Thread.sleep(forTimeInterval: Double(Self.grain.wholeNanoseconds) / 1e9)
    }
  }
}
