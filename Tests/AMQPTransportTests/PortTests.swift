import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// What a person is told when `broker.port` is not what the configuration takes it for: what was
/// seen there, and the next step for that cause.
@Suite struct PortTests {
  private func failure(_ settings: BrokerSettings) -> AMQPError? {
    do {
      _ = try BrokerCheck.run(settings, at: settings.hosts[0])
      return nil
    } catch {
      return error
    }
  }

  private func settings(port: Int, tls: Bool) throws -> BrokerSettings {
    let broker = try TestBroker.shared
    var settings = BrokerSettings(
      hosts: [BrokerHost(name: "localhost", port: port)], user: try #require(UnitID("PORT")),
      authentication: .password("x"))
    settings.connectTimeout = .seconds(2)
    settings.callTimeout = .seconds(3)
    if tls { settings.tls = BrokerSettings.TLS(caFile: broker.certificates.caFile) }
    return settings
  }

  @Test func theTLSPortWithoutTLSIsNamed() async throws {
    let broker = try TestBroker.shared
    let settings = try settings(port: broker.tlsPort, tls: false)
    let error = try #require(failure(settings))
    #expect(error.kind == .tlsMismatch)
    #expect(error.reason == "broker.tls is false, and localhost:\(broker.tlsPort) is a TLS port")
    #expect(error.hint.contains("broker.tls: true"))
    // The daemon does not look; it says where to.
    let source = RecordingSource()
    let publisher = RunningLoop.publish(settings, from: source)
    let state = try #require(await source.state.wait { !$0.links.downCodes.isEmpty })
    #expect(state.links.downCodes.first == "BROKER-CLOSED")
    await publisher.end()
  }

  @Test func thePlainPortWithTLSIsNamed() throws {
    let broker = try TestBroker.shared
    let error = try #require(failure(try settings(port: broker.port, tls: true)))
    #expect(error.kind == .tlsMismatch)
    #expect(error.reason.contains("localhost:\(broker.port) speaks AMQP without TLS"))
    #expect(error.hint.contains("is broker.port a TLS port?"))
  }

  @Test(arguments: [true, false])
  func theManagementPortIsNamed(tls: Bool) throws {
    let error = try #require(failure(try settings(port: try TestBroker.shared.httpPort, tls: tls)))
    #expect(error.kind == .notAMQP, "\(error)")
    #expect(error.reason.contains("HTTP") && error.hint.contains("15672"))
  }

  @Test(arguments: [true, false])
  func anotherWebServerIsNamed(tls: Bool) throws {
    let peer = try PlainPeer(.isWebServer)
    defer { peer.close() }
    let error = try #require(failure(try settings(port: peer.port, tls: tls)))
    #expect(error.kind == .notAMQP, "\(error)")
    #expect(error.reason.contains("HTTP"))
  }

  /// Protocol id 0 is AMQP itself, 3 its login layer (SASL).
  @Test(arguments: [UInt8(0), 3])
  func aPeerOfAMQP1IsNamed(id: UInt8) throws {
    let peer = try PlainPeer(.answers(Array("AMQP".utf8) + [id, 1, 0, 0]))
    defer { peer.close() }
    let error = try #require(failure(try settings(port: peer.port, tls: false)))
    #expect(error.kind == .notAMQP && error.reason.contains("AMQP 1.0.0 only"), "\(error)")
  }

  /// What it says is quoted without what a terminal would obey.
  @Test func anotherServiceIsQuoted() throws {
    let peer = try PlainPeer(.answers(Array("SSH-2.0-OpenSSH\u{1B}[2J\r\n".utf8)))
    defer { peer.close() }
    let error = try #require(failure(try settings(port: peer.port, tls: false)))
    #expect(error.kind == .notAMQP, "\(error)")
    #expect(error.reason.hasSuffix("answers “SSH-2.0-OpenSSH”, which is no AMQP"))
  }

  @Test(arguments: [true, false])
  func aPortWhereNothingSpeaksIsNamed(tls: Bool) throws {
    let peer = try PlainPeer(.isSilent)
    defer { peer.close() }
    let error = try #require(failure(try settings(port: peer.port, tls: tls)))
    #expect(error.kind == .timeout && error.reason.contains("says nothing"), "\(error)")
    #expect(error.hint.contains("is broker.port the broker's port?"))
  }

  @Test(arguments: [true, false])
  func aPortThatClosesIsNamed(tls: Bool) throws {
    let peer = try PlainPeer(.closes)
    defer { peer.close() }
    let error = try #require(failure(try settings(port: peer.port, tls: tls)))
    #expect(error.kind == .closed && error.reason.contains("without a word"), "\(error)")
  }

  @Test func aVirtualHostThatIsNotThereAndOneWithoutRightsAreToldApart() throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    var settings = unit.settings(broker)
    settings.vhost = "nowhere"
    let missing = try #require(failure(settings))
    #expect(missing.kind == .vhost && missing.hint.contains("no virtual host “nowhere”"))
    try broker.api("PUT", "/api/vhosts/foreign")
    settings.vhost = "foreign"
    let foreign = try #require(failure(settings))
    #expect(foreign.kind == .vhost, "\(foreign)")
    #expect(foreign.hint.contains("has no rights in “foreign”"), "\(foreign.hint)")
  }

  @Test func aFullListOfConnectionsIsNoMatterOfTheVirtualHost() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    try broker.api("PUT", "/api/user-limits/\(unit.id)/max-connections", ["value": 1])
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    try await sink.linked(.up)
    let error = try #require(failure(unit.settings(broker)))
    #expect(error.kind == .connectionLimit, "\(error)")
    await consumer.end()
  }
}
