package import ExchangeCore

/// `DocumentTransport` over RabbitMQ with rabbitmq-c.
///
/// Each loop has a connection and a channel of its own, used on the calling thread only: a broker
/// with an alarm stops reading connections that publish, and acknowledgements must not wait behind
/// that. The loops block: give each a thread, never the cooperative pool.
package final class RabbitTransport: DocumentTransport {
  private let settings: BrokerSettings
  private let clock: any WallClock
  private let retryDelay: @Sendable (Int) -> Duration
  private let firstHost: @Sendable (Int) -> Int
  private let watchdog = Watchdog()

  /// `retryDelay` gives the wait after the n-th time in a row (1, 2, …) that no host could be used;
  /// `firstHost` chooses the host to begin with; `clock` is what `PublishSource.nextDue` is compared
  /// with.
  package init(
    settings: BrokerSettings, clock: any WallClock = SystemClock(),
    retryDelay: @escaping @Sendable (Int) -> Duration = RabbitTransport.jitteredDelay,
    firstHost: @escaping @Sendable (Int) -> Int = { Int.random(in: 0..<$0) }
  ) {
    self.settings = settings
    self.clock = clock
    self.retryDelay = retryDelay
    self.firstHost = firstHost
  }

  /// `Backoff.connection` with the system's random numbers, so that a broker that comes back is not
  /// met by all units at once.
  package static let jitteredDelay: @Sendable (Int) -> Duration = { failure in
    var random = SystemRandomNumberGenerator()
    return Backoff.connection.delay(afterFailure: failure, using: &random)
  }

  /// Publishes until `stop` is requested; then waits at most `BrokerSettings.stopTimeout` for
  /// outstanding confirms. Failures are reported to `source` and never thrown.
  package func publish(from source: any PublishSource, until stop: StopSignal) {
    var session = PublishSession(source: source, settings: settings, clock: clock, until: stop)
    run(&session, until: stop)
  }

  /// Consumes the unit's queue of `lane` until `stop` is requested; then stores and acknowledges
  /// what it has read. Failures are reported to `sink` and never thrown.
  package func consume(_ lane: Lane, into sink: any DeliverySink, until stop: StopSignal) {
    var session = ConsumeSession(lane: lane, sink: sink, settings: settings, until: stop)
    run(&session, until: stop)
  }

  private func run(_ session: inout some LinkSession, until stop: StopSignal) {
    let wake = WakeDescriptor()
    let key = stop.onWake { wake.wake() }
    defer { stop.removeWaker(key) }
    LinkRunner(
      settings: settings, watchdog: watchdog, retryDelay: retryDelay, firstHost: firstHost
    ).run(&session, wake: wake, until: stop)
  }
}
