import ExchangeCore
import Foundation
import ServiceLifecycle

/// Blocking work, each on a thread of its own, as one service: the cooperative pool is never blocked.
///
/// One service and not one each, because a `ServiceGroup` stops its services one after the other and
/// takes it for a failure when they end in another order; these share one stop signal.
struct ThreadsService: Service {
  struct Worker: Sendable {
    let name: String
    /// Returns soon after `stop` was requested.
    let body: @Sendable () -> Void
  }

  let stop: StopSignal
  let workers: [Worker]

  /// Returns when every worker has; the first that ends stops the others.
  func run() async throws {
    await withGracefulShutdownHandler {
      await withTaskCancellationHandler {
        await withTaskGroup(of: Void.self) { group in
          for worker in workers { group.addTask { await run(worker) } }
        }
      } onCancel: {
        stop.request()
      }
    } onGracefulShutdown: {
      stop.request()
    }
  }

  private func run(_ worker: Worker) async {
    await withCheckedContinuation { continuation in
      let thread = Thread {
        worker.body()
        stop.request()
        continuation.resume()
      }
      thread.name = worker.name
      thread.start()
    }
  }
}
