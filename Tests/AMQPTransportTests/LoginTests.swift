import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct LoginTests {
  private func failure(_ settings: BrokerSettings) -> AMQPError? {
    do {
      _ = try BrokerCheck.run(settings, at: settings.hosts[0])
      return nil
    } catch {
      return error
    }
  }

  @Test func aProvisionedUnitPassesTheCheck() throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    let settings = unit.settings(broker)
    let check = try BrokerCheck.run(settings, at: settings.hosts[0])
    let major = try broker.majorVersion()
    #expect(check.broker.hasPrefix("RabbitMQ \(major)."))
    // Only from 4.0 on a broker deletes by itself, and no login sees whether it may.
    #expect(check.caveat?.contains("congvan broker check") == (major >= 4 ? true : nil))
    #expect(check.waiting == [.ordinary: 0, .express: 0])
  }

  @Test func aWrongPasswordIsRefusedAndNotShown() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    var settings = unit.settings(broker)
    settings.authentication = .password("s3cret")
    let error = try #require(failure(settings))
    #expect(error.kind == .loginRefused)
    var dumped = ""
    dump(settings, to: &dumped)
    let shown = [error.description, error.hint, "\(settings)", "\(settings.authentication)"]
    for text in shown + [dumped] { #expect(!text.contains("s3cret")) }
    let source = RecordingSource()
    let publisher = RunningLoop.publish(settings, from: source)
    try await source.failed(.loginRefused)
    await publisher.end()
  }

  @Test func anAbsentBrokerIsUnreachable() async throws {
    let unit = try #require(UnitID("A"))
    let settings = BrokerSettings(
      hosts: [BrokerHost(name: "localhost", port: 1)], user: unit, authentication: .password("x"))
    #expect(failure(settings)?.kind == .unreachable)
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(settings, into: sink)
    try await sink.failed(.unreachable)
    await consumer.end()
  }

  @Test func anUnknownNameIsUnreachable() throws {
    let unit = try #require(UnitID("A"))
    let settings = BrokerSettings(
      hosts: [BrokerHost(name: "broker.invalid", port: 5672)], user: unit,
      authentication: .password("x"))
    #expect(failure(settings)?.kind == .unreachable)
  }

  @Test func anUnknownVhostIsNamed() throws {
    let broker = try TestBroker.shared
    var settings = try broker.units(1)[0].settings(broker)
    settings.vhost = "nowhere"
    #expect(failure(settings)?.kind == .vhost)
  }

  @Test func missingTopologyIsNamed() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    try broker.deleteQueue(Topology.queue(.express, of: units[0].id))
    #expect(failure(units[0].settings(broker))?.kind == .queueMissing)
    try broker.api("DELETE", "/api/exchanges/%2F/\(Topology.outExchange(of: units[1].id))")
    #expect(failure(units[1].settings(broker))?.kind == .exchangeMissing)
    // No message may be held responsible for that.
    let source = RecordingSource()
    source.submit([Sample.message(1, to: units[0].id)])
    let publisher = RunningLoop.publish(units[1].settings(broker), from: source)
    try await source.failed(.exchangeMissing)
    await publisher.end()
    #expect(source.state.value.final.isEmpty && source.state.value.queue.count == 1)
  }

  @Test func anotherUnitsQueueIsForbidden() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    try broker.api(
      "PUT", "/api/permissions/%2F/\(unit.id)", ["configure": "^$", "write": "^$", "read": "^$"])
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    try await sink.failed(.permission)
    await consumer.end()
  }

  @Test func everyCodeHasAHint() {
    for code in AMQPErrorCode.allCases { #expect(!code.hint.isEmpty) }
  }
}
