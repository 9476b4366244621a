import Dispatch
import Synchronization

/// A value that tests can wait on: every change is offered to those who wait, so no test sleeps to
/// let time pass.
package final class Watched<Value: Sendable>: Sendable {
  private struct Waiter {
    let predicate: @Sendable (Value) -> Bool
    let resume: @Sendable (Value?) -> Void
  }

  private struct State {
    var value: Value
    var waiters: [UInt64: Waiter] = [:]
    var nextKey: UInt64 = 0
  }

  private let state: Mutex<State>

  /// Begins with `value`.
  package init(_ value: Value) { state = Mutex(State(value: value)) }

  /// The value now.
  package var value: Value { state.withLock { $0.value } }

  /// Changes the value and wakes those whose condition now holds. What `change` did before it threw
  /// stays done.
  @discardableResult
  package func update<Result: Sendable>(_ change: (inout Value) throws -> Result) throws -> Result {
    let (result, value, ready) = state.withLock { state in
      let result = Swift.Result { try change(&state.value) }
      let value = state.value
      let keys = state.waiters.filter { $0.value.predicate(value) }.map(\.key)
      return (result, value, keys.compactMap { state.waiters.removeValue(forKey: $0) })
    }
    for waiter in ready { waiter.resume(value) }
    return try result.get()
  }

  /// As the throwing form, for a change that cannot fail.
  @discardableResult
  package func update<Result: Sendable>(_ change: (inout Value) -> Result) -> Result {
    let (result, value, ready) = state.withLock { state in
      let result = change(&state.value)
      let value = state.value
      let keys = state.waiters.filter { $0.value.predicate(value) }.map(\.key)
      return (result, value, keys.compactMap { state.waiters.removeValue(forKey: $0) })
    }
    for waiter in ready { waiter.resume(value) }
    return result
  }

  /// The value as soon as `predicate` holds for it; nil when that takes longer than `limit`.
  package func wait(
    within limit: Duration = .seconds(10), until predicate: @escaping @Sendable (Value) -> Bool
  ) async -> Value? {
    await withCheckedContinuation { continuation in
      let key = state.withLock { state -> UInt64? in
        if predicate(state.value) {
          continuation.resume(returning: state.value)
          return nil
        }
        state.nextKey += 1
        state.waiters[state.nextKey] = Waiter(predicate: predicate) {
          continuation.resume(returning: $0)
        }
        return state.nextKey
      }
      guard let key else { return }
      let milliseconds = Int(limit / .milliseconds(1))
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [self] in
        state.withLock { $0.waiters.removeValue(forKey: key) }?.resume(nil)
      }
    }
  }
}
