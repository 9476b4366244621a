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
    let connection = try BrokerConnection(
      settings, at: host, role: "check", wake: WakeDescriptor(), watchdog: Watchdog())
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
}
