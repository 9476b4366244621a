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
  /// What comes before the workers. Here, and not before the service, because checking a large
  /// database takes seconds, in which a SIGTERM must be heard already.
  let prepare: @Sendable () throws -> Void
  let workers: [Worker]

  /// Returns when every worker has; the first that ends stops the others. Throws what `prepare`
  /// throws.
  func run() async throws {
    try await withGracefulShutdownHandler {
      try await withTaskCancellationHandler {
        try await onThread("start", prepare)
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
    // Its body does not throw.
    try? await onThread(worker.name) {
      worker.body()
      stop.request()
    }
  }

  private func onThread(_ name: String, _ body: @escaping @Sendable () throws -> Void) async throws
  {
    try await withCheckedThrowingContinuation { continuation in
      let thread = Thread { continuation.resume(with: Result { try body() }) }
      thread.name = name
      // rabbitmq-c 0.11 decodes nested header tables by recursion without a limit: a frame of 128 KiB
      // takes almost 3 MiB. The default depends on `ulimit -s`.
      thread.stackSize = 16 << 20
      thread.start()
    }
  }
}
