import ExchangeCore

/// Keeps one loop connected until it is asked to stop: connect, serve, and after a failure go on to
/// the next host; when all have failed, wait with jitter. rabbitmq-c has no recovery of its own
/// (rule 15).
struct LinkRunner {
  /// A connection that lasted this long was a good one, whatever it achieved.
  static let settledAfter = Duration.seconds(30)
  /// How long a goodbye may take.
  static let goodbyeLimit = Duration.seconds(2)
  /// The longest wait while the session cannot begin. Asking again costs the broker nothing, and the
  /// work goes on within this time after the trouble has ended.
  static let preparingDelay = Duration.seconds(2)
  /// Refusals for which the broker closes only the channel.
  static let leavesLineOpen: Set<AMQPErrorCode> = [.queueMissing, .exchangeMissing, .permission]

  let settings: BrokerSettings
  let watchdog: Watchdog
  /// The wait after the n-th round of failures in a row.
  let retryDelay: @Sendable (Int) -> Duration
  /// Index of the host to begin with, of so many.
  let firstHost: @Sendable (Int) -> Int

  /// Blocks until `stop` was requested; then the session has finished and reported `stopped`.
  func run(_ session: inout some LinkSession, wake: WakeDescriptor, until stop: StopSignal) {
    var failures = 0
    var refusals = 0
    let count = settings.hosts.count
    var rotation = HostRotation(count: count, first: firstHost(count))
    while !stop.isRequested {
      if let error = prepare(&session) {
        refusals += 1
        let delay = min(retryDelay(refusals), Self.preparingDelay)
        session.report(.down(code: error.code, reason: error.reason, retryIn: delay))
        pause(delay, wake: wake, until: stop)
        continue
      }
      refusals = 0
      session.hasProgressed = false
      let start = Monotonic.now
      let host = settings.hosts[rotation.current]
      guard let error = attempt(&session, at: host, wake: wake, until: stop) else { break }
      let hasLasted = Monotonic.now - start >= Self.settledAfter.wholeNanoseconds
      if session.hasProgressed || hasLasted { failures = 0 }
      if hasLasted { rotation.settled() }
      // Trouble of our own (the database, the disk) is the same at every host.
      let isOurs = (error as? AMQPError).map { $0.kind == .storeFailed } ?? true
      var delay = Duration.zero
      if isOurs || rotation.failed() {
        failures += 1
        delay = retryDelay(failures)
      }
      session.report(.down(code: error.code, reason: error.reason, retryIn: delay))
      pause(delay, wake: wake, until: stop)
    }
    session.finish()
    session.report(.stopped)
  }

  /// Why the session cannot begin; nil when it can.
  private func prepare(_ session: inout some LinkSession) -> (any ReportableError)? {
    do {
      try session.prepare()
      return nil
    } catch {
      return LinkEnd.storeError(error)
    }
  }

  /// One connection from beginning to end; the error that ended it, or nil after a stop.
  private func attempt(
    _ session: inout some LinkSession, at host: BrokerHost, wake: WakeDescriptor,
    until stop: StopSignal
  ) -> (any ReportableError)? {
    session.report(.connecting(to: host.description))
    do throws(AMQPError) {
      let connection = try BrokerConnection(
        settings, at: host, role: session.role, wake: wake, watchdog: watchdog)
      // A stop that came during the login; nothing has been sent or read yet.
      guard !stop.isRequested else {
        connection.close(within: Self.goodbyeLimit)
        return nil
      }
      return serve(&session, with: connection)
    } catch {
      return error
    }
  }

  private func serve(
    _ session: inout some LinkSession, with opened: consuming BrokerConnection
  ) -> (any ReportableError)? {
    var connection = opened
    do {
      try session.serve(&connection)
      connection.close(within: Self.goodbyeLimit)
      return nil
    } catch let end as LinkEnd {
      switch end.parting {
      case .goodbye: connection.close(within: Self.goodbyeLimit)
      case .acknowledge: connection.acknowledgeClose()
      }
      return end.error
    } catch let error as AMQPError where Self.leavesLineOpen.contains(error.kind) {
      connection.close(within: Self.goodbyeLimit)
      return error
    } catch {
      // The line is broken: only let go of it.
      return LinkEnd.storeError(error)
    }
  }

  private func pause(_ delay: Duration, wake: WakeDescriptor, until stop: StopSignal) {
    let end = Monotonic.after(delay)
    while !stop.isRequested {
      let now = Monotonic.now
      guard now < end else { return }
      wake.wait(socket: -1, nanoseconds: end - now)
      // New work does not shorten the wait: the broker is not better for it.
      _ = wake.take()
    }
  }
}
