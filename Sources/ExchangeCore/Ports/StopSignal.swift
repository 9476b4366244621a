import Synchronization

/// A request to stop, and a way to wake a thread that waits for something else.
///
/// Stopping twice, or before anyone listens, is legal.
package final class StopSignal: Sendable {
  private struct State {
    var isRequested = false
    var wakers: [UInt64: @Sendable () -> Void] = [:]
    var nextKey: UInt64 = 0
  }

  private let state = Mutex(State())

  package init() {}

  package var isRequested: Bool { state.withLock { $0.isRequested } }

  /// Asks everyone who listens to stop, and wakes them.
  package func request() {
    let wakers = state.withLock { state in
      state.isRequested = true
      return Array(state.wakers.values)
    }
    for wake in wakers { wake() }
  }

  /// Wakes the listening threads without stopping them: there is new work.
  package func wake() {
    let wakers = state.withLock { Array($0.wakers.values) }
    for wake in wakers { wake() }
  }

  /// Registers `wake`, called on another thread at every `wake()` and `request()`. The returned key
  /// removes it again.
  package func onWake(_ wake: @escaping @Sendable () -> Void) -> UInt64 {
    let (key, isRequested) = state.withLock { state in
      state.nextKey += 1
      state.wakers[state.nextKey] = wake
      return (state.nextKey, state.isRequested)
    }
    if isRequested { wake() }
    return key
  }

  package func removeWaker(_ key: UInt64) {
    state.withLock { _ = $0.wakers.removeValue(forKey: key) }
  }
}
