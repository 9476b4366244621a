package import ExchangeCore

/// What a check of the connection found; for `congvan config check`.
package struct BrokerCheck: Sendable, Hashable {
  /// As the broker names itself, for example `RabbitMQ 3.10.8`. A claim, for display only.
  package let broker: String
  /// Messages that wait in the unit's queues.
  package let waiting: [Lane: Int]

  /// Connects to one of the hosts, logs in and looks for the unit's exchange and both queues,
  /// without changing anything. Blocks for a few times the timeouts in `settings` at most; the first thing that is
  /// wrong is thrown. The right to write and to read cannot be tried without writing and reading.
  package static func run(_ settings: BrokerSettings, at host: BrokerHost) throws(AMQPError)
    -> BrokerCheck
  {
    let connection = try open(settings, at: host)
    try connection.openChannel()
    try connection.checkExchange()
    var waiting: [Lane: Int] = [:]
    for lane in Lane.allCases {
      waiting[lane] = try connection.waitingMessages(
        in: Topology.queue(lane, of: settings.user))
    }
    let properties = connection.serverProperties
    let broker = [properties.text("product"), properties.text("version")].compactMap { $0 }
    connection.close(within: LinkRunner.goodbyeLimit)
    return BrokerCheck(broker: broker.joined(separator: " "), waiting: waiting)
  }

  /// Logs in; looks at the port when that fails in a way that has several causes.
  private static func open(_ settings: BrokerSettings, at host: BrokerHost) throws(AMQPError)
    -> BrokerConnection
  {
    do {
      return try BrokerConnection(
        settings, at: host, role: "check", wake: WakeDescriptor(), watchdog: Watchdog())
    } catch {
      throw error.diagnosed(at: host, settings: settings)
    }
  }

  /// What no login can see, said for a broker that names itself as `broker` does; nil when there is
  /// nothing to say: before 4.0 RabbitMQ has no delivery limit by itself.
  package var caveat: String? {
    let version = broker.split(separator: " ").last.flatMap { $0.split(separator: ".").first }
    if let major = version.flatMap({ Int($0) }), major < 4 { return nil }
    return "\(broker.isEmpty ? "this broker" : broker) may delete a message after 20 failed "
      + "deliveries; whether its definitions forbid that (delivery-limit) a node's login cannot see: the operator "
      + "imports the definitions of this version of congvan and checks with: congvan broker check"
  }
}
