import ExchangeCore
import Foundation
import ServiceLifecycle
import Synchronization

/// Runs blocking loops, each on a thread of its own, as one service: the cooperative pool is never
/// blocked.
///
/// They listen to one stop signal and end together, which separate services of a group may not: it
/// stops them one by one and takes every other end for a failure. When one returns, all are stopped.
struct ThreadsService: Service {
  struct Loop: Sendable {
    let name: String
    /// Returns soon after `stop` was requested.
    let body: @Sendable () -> Void
  }

  let stop: StopSignal
  let loops: [Loop]

  func run() async throws {
    await withGracefulShutdownHandler {
      await withTaskCancellationHandler {
        await withTaskGroup { group in
          for loop in loops {
            group.addTask {
              await Self.runOnThread(loop)
              stop.request()
            }
          }
        }
      } onCancel: {
        stop.request()
      }
    } onGracefulShutdown: {
      stop.request()
    }
  }

  private static func runOnThread(_ loop: Loop) async {
    await withCheckedContinuation { continuation in
      let thread = Thread {
        loop.body()
        continuation.resume()
      }
      thread.name = loop.name
      thread.start()
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
