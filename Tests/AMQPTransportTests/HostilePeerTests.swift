import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Testing

/// A peer that breaks the protocol costs it the connection, never the process.
@Suite struct HostilePeerTests {
  typealias Peer = ScriptedPeer

  private static let ack = Peer.method(60, 80, Peer.big(UInt64(1)) + [0])

  static let toConsumer: [[UInt8]] = [
    Peer.header(size: 5),
    Peer.frame(3, channel: 1, [1, 2, 3]),
    Peer.deliver + Peer.deliver,
    Peer.deliver + Peer.header(size: 1) + Peer.frame(3, channel: 1, [1, 2]),
    Peer.deliver + Peer.header(size: .max) + ack,
    Peer.deliver + Peer.header(size: 1, classID: 99),
    Peer.deliver + Peer.frame(1, channel: 2, [0, 20, 0, 11, 0, 0, 0, 0]),
    Peer.method(60, 60, [1, 99]),
    Peer.method(99, 99),
    Peer.method(10, 10, [0, 9], channel: 0),
    Peer.frame(2, channel: 0, [0, 60]),
    Peer.frame(1, channel: 1, []),
    Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8),
    ack,
    Array(Peer.deliver.dropLast()) + [0],
  ]

  @Test(arguments: toConsumer.indices) func toAConsumer(index: Int) async throws {
    let peer = try ScriptedPeer(sending: Self.toConsumer[index])
    defer { peer.close() }
    let unit = try #require(UnitID("A"))
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(settings(unit, peer), into: sink)
    try await sink.failed(.protocol)
    _ = try #require(await peer.logins.wait { $0 >= 2 })
    await consumer.end()
    #expect(sink.state.value.messages.isEmpty)
  }

  /// A message that the library cannot read comes first again for ever, unless it is acknowledged. Once
  /// may be an accident of the line.
  @Test func aHeaderThatCannotBeReadIsPassedOverTheSecondTime() async throws {
    let peer = try ScriptedPeer(
      sending: Peer.deliver + Peer.header(properties: Peer.endlessFlags(userID: "A")))
    defer { peer.close() }
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(settings(try #require(UnitID("A")), peer), into: sink)
    let stored = try await sink.stored(1)
    _ = try #require(await peer.acks.wait { $0.first == 1 })
    #expect(stored.messages.allSatisfy { !$0.isReadable && $0.assertedSender == nil })
    await consumer.end()
    // This peer sends it on every connection: each second one passes it over.
    #expect(sink.state.value.messages.count <= peer.logins.value / 2)
  }

  /// As deep as a frame has room for: whatever the library makes of it, nothing ends and nothing waits.
  @Test func tablesInTablesAreNoEndlessStack() async throws {
    let peer = try ScriptedPeer(
      sending: Peer.deliver + Peer.header(properties: Peer.nestedHeaders(depth: 18_000)))
    defer { peer.close() }
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(settings(try #require(UnitID("A")), peer), into: sink)
    _ = try await sink.stored(1)
    _ = try #require(await peer.acks.wait { $0.first == 1 })
    await consumer.end()
  }

  static let toPublisher: [[UInt8]] = [
    Peer.deliver + Peer.header(size: 0),
    Peer.method(60, 50, [0, 200, 1, 65]) + Peer.frame(8, channel: 1, [1]) + Peer.deliver,
    Peer.method(60, 80, [1]),
  ]

  @Test(arguments: toPublisher.indices) func toAPublisher(index: Int) async throws {
    let peer = try ScriptedPeer(sending: Self.toPublisher[index])
    defer { peer.close() }
    let unit = try #require(UnitID("A"))
    let source = RecordingSource()
    let publisher = RunningLoop.publish(settings(unit, peer), from: source)
    try await source.failed(.protocol)
    await publisher.end()
  }

  /// Confirms of messages that nobody sent are harmless.
  @Test func inventedConfirmsAreIgnored() async throws {
    let peer = try ScriptedPeer(
      sending: Self.ack + Peer.method(60, 120, Peer.big(UInt64.max) + [1])
        + Peer.method(10, 60, [1, 65], channel: 0))
    defer { peer.close() }
    let unit = try #require(UnitID("A"))
    let source = RecordingSource()
    let publisher = RunningLoop.publish(settings(unit, peer), from: source)
    try await source.linked(.blocked(reason: "A"))
    await publisher.end()
    #expect(source.state.value.strays == 0 && source.state.value.final.isEmpty)
  }

  private func settings(_ unit: UnitID, _ peer: ScriptedPeer) -> BrokerSettings {
    var settings = BrokerSettings(
      hosts: [BrokerHost(name: "localhost", port: peer.port)], user: unit,
      authentication: .password("x"))
    settings.heartbeatSeconds = 2
    settings.connectTimeout = .seconds(2)
    settings.callTimeout = .seconds(2)
    return settings
  }
}
