import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Several brokers of a cluster: the text that names them, and who is tried when.
@Suite struct HostsTests {
  @Test(arguments: [
    ("mq1.example", "mq1.example:5671"), ("mq1.example:5672", "mq1.example:5672"),
    ("10.0.0.1", "10.0.0.1:5671"), ("[::1]", "[::1]:5671"), ("[fe80::1]:70", "[fe80::1]:70"),
    ("a_b-c", "a_b-c:5671"),
  ])
  func aHostIsReadWithItsPort(_ text: String, _ shown: String) throws {
    #expect(try #require(BrokerHost(text, defaultPort: 5671)).description == shown)
  }

  @Test(arguments: [
    "", " ", "a b", "a:", "a:0", "a:65536", "a:+5", "a:5 ", "::1", "[a]", "[::1]5", "[::1", ":5",
    "amqps://a", "a/b", "a,b", "é.example", "a:5:6", String(repeating: "a", count: 254),
  ])
  func whatIsNoHostIsNotRead(_ text: String) {
    #expect(BrokerHost(text, defaultPort: 5671) == nil)
  }

  /// With a pause of an hour, only a failover without pause can get through.
  private static let anHour: @Sendable (Int) -> Duration = { _ in .seconds(3600) }

  private func dead(_ port: Int = 1) -> BrokerHost { BrokerHost(name: "localhost", port: port) }

  private func delays(_ links: [LinkState]) -> [Duration] {
    links.compactMap { link in
      guard case .down(_, _, let delay) = link else { return nil }
      return delay
    }
  }

  @Test func deadMembersDoNotDelayTheFirstConnection() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    var settings = units[0].settings(broker)
    settings.hosts = [dead(), BrokerHost(name: "nowhere.invalid", port: 5672)] + settings.hosts
    let source = RecordingSource()
    source.submit([Sample.message(1, to: units[1].id)])
    let publisher = RunningLoop.publish(settings, from: source, retryDelay: Self.anHour)
    #expect(try await source.settled(1).final == [1: .confirmed])
    let links = source.state.value.links
    let places = ["localhost:1", "nowhere.invalid:5672", "localhost:\(broker.port)"]
    #expect(links.filter(\.isConnecting) == places.map { .connecting(to: $0) })
    #expect(delays(links) == [.zero, .zero])
    await publisher.end()
  }

  @Test func whenTheMemberInUseDiesTheNextOneIsUsedAtOnce() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let proxies = try (0..<2).map { _ in try FaultProxy(to: broker.port) }
    defer { for proxy in proxies { proxy.close() } }
    var settings = units[0].settings(broker)
    settings.hosts = proxies.map { dead($0.port) }
    let source = RecordingSource()
    let publisher = RunningLoop.publish(settings, from: source, retryDelay: Self.anHour)
    source.submit(Sample.messages(1...500, to: units[1].id))
    publisher.stop.wake()
    _ = try await source.settled(500)
    proxies[0].close()
    source.submit(Sample.messages(501...1000, to: units[1].id))
    publisher.stop.wake()
    let state = try await source.settled(1000)
    #expect(state.final.values.allSatisfy { $0 == .confirmed } && state.strays == 0)
    #expect(proxies[1].connections.value == 1)
    await publisher.end()
  }

  /// A member that takes the connection and says nothing costs one connect limit and no pause.
  @Test func aSilentMemberIsGivenUpAfterTheConnectLimit() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let silent = try FaultProxy(to: broker.port)
    defer { silent.close() }
    silent.set(.blackHole)
    var settings = units[0].settings(broker)
    settings.hosts.insert(dead(silent.port), at: 0)
    let source = RecordingSource()
    source.submit([Sample.message(1, to: units[1].id)])
    let publisher = RunningLoop.publish(settings, from: source, retryDelay: Self.anHour)
    #expect(try await source.settled(1, within: .seconds(60)).final == [1: .confirmed])
    #expect(delays(source.state.value.links) == [.zero])
    await publisher.end()
  }

  @Test func aPauseComesOnlyWhenEveryMemberHasFailed() async throws {
    let unit = try #require(UnitID("A"))
    let settings = BrokerSettings(
      hosts: [dead(1), dead(2), dead(3)], user: unit, authentication: .password("x"))
    let source = RecordingSource()
    let publisher = RunningLoop.publish(
      settings, from: source, retryDelay: { .milliseconds(20 * $0) })
    let state = try #require(await source.state.wait { $0.links.downCodes.count >= 7 })
    let expected: [Duration] = [
      .zero, .zero, .milliseconds(20), .zero, .zero, .milliseconds(40), .zero,
    ]
    #expect(Array(delays(state.links).prefix(7)) == expected)
    await publisher.end()
  }

  /// The name is checked that is used, not the first of the list.
  @Test func eachMemberMustHaveItsOwnName() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let client = try broker.certificates.issue(units[0].id.rawValue)
    var settings = units[0].settings(broker)
    settings.authentication = .external
    settings.tls = BrokerSettings.TLS(
      caFile: broker.certificates.caFile, certificateFile: client.certificateFile,
      keyFile: client.keyFile)
    settings.hosts = ["127.0.0.1", "localhost"].map {
      BrokerHost(name: $0, port: broker.tlsPort)
    }
    let source = RecordingSource()
    source.submit([Sample.message(1, to: units[1].id)])
    let publisher = RunningLoop.publish(settings, from: source, retryDelay: Self.anHour)
    #expect(try await source.settled(1).final == [1: .confirmed])
    #expect(source.state.value.links.downCodes == ["BROKER-TLS"])
    await publisher.end()
  }
}

extension LinkState {
  fileprivate var isConnecting: Bool {
    if case .connecting = self { true } else { false }
  }
}
