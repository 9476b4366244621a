import ExchangeCore
import Foundation
import ServiceLifecycle
import Synchronization

/// Runs blocking work on a thread of its own as a service: the cooperative pool is never blocked.
///
/// `body` returns soon after `stop` was requested; the service ends when it has returned.
struct ThreadService: Service {
  let name: String
  let stop: StopSignal
  let body: @Sendable () -> Void

  func run() async throws {
    await withGracefulShutdownHandler {
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let thread = Thread {
            body()
            continuation.resume()
          }
          thread.name = name
          thread.start()
        }
      } onCancel: {
        stop.request()
      }
    } onGracefulShutdown: {
      stop.request()
    }
  }
}

/// A bell between threads: rung any number of times, it lets one wait through.
package final class Doorbell: Sendable {
  private let condition = NSCondition()
  private let isRung = Mutex(false)

  package init() {}

  package func ring() {
    condition.lock()
    isRung.withLock { $0 = true }
    condition.signal()
    condition.unlock()
  }

  /// Waits until the bell rings, or `seconds` at most. True when it rang.
  package func wait(seconds: Double) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    let deadline = Date(timeIntervalSinceNow: seconds)
    while !isRung.withLock({ $0 }) {
      if !condition.wait(until: deadline) { break }
    }
    return isRung.withLock { rung in
      defer { rung = false }
      return rung
    }
  }
}
