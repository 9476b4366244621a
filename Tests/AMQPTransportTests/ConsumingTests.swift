import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct ConsumingTests {
  @Test func aFailingSinkAcknowledgesNothing() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    for number in 1...3 {
      try broker.publish(
        Data("\(number)".utf8), to: Topology.hub,
        routingKey: Topology.routingKey(.ordinary, to: unit.id),
        properties: ["message_id": "id-\(number)"])
    }
    let sink = RecordingSink()
    sink.state.update { $0.storeFailures = 2 }
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    let state = try await sink.stored(3)
    #expect(state.messages.map(\.envelope.messageID).sorted() == ["id-1", "id-2", "id-3"])
    #expect(state.messages.contains { $0.redelivered })
    #expect(state.messages.allSatisfy { $0.assertedSender == nil })
    #expect(state.links.downCodes == ["STORE-FAILED", "STORE-FAILED"])
    _ = try #require(await sink.state.wait { $0.idles > 0 })
    await consumer.end()
    let settings = unit.settings(broker)
    #expect(try BrokerCheck.run(settings, at: settings.hosts[0]).waiting[.ordinary] == 0)
  }

  @Test func anUnstoredMessageStaysWithTheBroker() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    try broker.publish(
      Data("x".utf8), to: Topology.hub, routingKey: Topology.routingKey(.ordinary, to: unit.id))
    let sink = RecordingSink()
    sink.state.update { $0.storeFailures = .max }
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    try await sink.failed(.storeFailed)
    await consumer.end()
    #expect(sink.state.value.messages.isEmpty)
    let again = RecordingSink()
    let second = RunningLoop.consume(unit.settings(broker), into: again)
    #expect(try await again.stored(1).messages[0].redelivered)
    await second.end()
  }

  /// RabbitMQ 4 deletes at 20 what has no other limit. The broker counts, and the transport passes it
  /// on.
  @Test func aMessageThatIsReturnedThirtyTimesStays() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    try broker.publish(
      Data("x".utf8), to: Topology.hub, routingKey: Topology.routingKey(.ordinary, to: unit.id))
    let sink = RecordingSink()
    sink.state.update { $0.storeFailures = 30 }
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    _ = try #require(await sink.state.wait(within: .seconds(60)) { !$0.messages.isEmpty })
    #expect(sink.state.value.messages.map(\.failedDeliveries) == [30])
    await consumer.end()
  }

  /// While nothing can be stored no connection is opened, so the message is delivered once.
  @Test func withoutRoomNoConnectionIsOpened() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    try broker.publish(
      Data("x".utf8), to: Topology.hub, routingKey: Topology.routingKey(.ordinary, to: unit.id))
    let sink = RecordingSink()
    sink.state.update { $0.roomFailures = 25 }
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    let state = try await sink.stored(1)
    #expect(state.messages.map(\.redelivered) == [false])
    #expect(state.links.prefix(25).allSatisfy { if case .down = $0 { true } else { false } })
    #expect(state.links.dropFirst(25).first == .connecting(to: "localhost:\(broker.port)"))
    await consumer.end()
  }

  /// However long it lasted, the wait for room stays short: what waits in the queue comes soon after
  /// the repair.
  @Test func roomIsAskedForAgainSoon() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    let sink = RecordingSink()
    sink.state.update { $0.roomFailures = .max }
    let transport = RabbitTransport(
      settings: unit.settings(broker), retryDelay: { _ in .seconds(3600) })
    let stop = StopSignal()
    Thread.detachNewThread { transport.consume(.ordinary, into: sink, until: stop) }
    let state = try #require(await sink.state.wait { !$0.links.isEmpty })
    guard case .down(_, _, let delay) = state.links[0] else {
      Issue.record("\(state.links)")
      return
    }
    #expect(delay <= .seconds(2))
    stop.request()
    _ = try #require(await sink.state.wait { $0.links.last == .stopped })
  }

  @Test func aDeletedQueueIsNoticed() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    try await sink.linked(.up)
    try broker.deleteQueue(Topology.queue(.ordinary, of: unit.id))
    try await sink.failed(.consumerCancelled)
    try await sink.failed(.queueMissing)
    await consumer.end()
  }

  @Test func aClosedConnectionIsOpenedAgain() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    try await sink.linked(.up)
    // The management plugin learns of a connection from an event a moment after it is up.
    while sink.state.value.links.downCodes.isEmpty {
      try broker.closeConnections(of: unit)
      _ = await sink.state.wait(within: .milliseconds(300)) { !$0.links.downCodes.isEmpty }
    }
    #expect(sink.state.value.links.downCodes == ["BROKER-CLOSED"])
    _ = try #require(await sink.state.wait { $0.links.filter { $0 == .up }.count == 2 })
    await consumer.end()
  }

  @Test func silenceIsSaidOnce() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(unit.settings(broker), into: sink)
    _ = try #require(await sink.state.wait { $0.idles == 1 })
    try broker.publish(
      Data(), to: Topology.hub, routingKey: Topology.routingKey(.ordinary, to: unit.id))
    let message = try await sink.stored(1).messages[0]
    #expect(message.body == Data() && message.bodySize == 0)
    #expect(message.envelope == Envelope(type: "", messageID: "", version: nil))
    _ = try #require(await sink.state.wait { $0.idles == 2 })
    await consumer.end()
  }

  /// 300 MiB pass through a process that may grow by 100 (other tests run beside this one).
  @Test func memoryStaysFlat() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let source = RecordingSource()
    let sink = RecordingSink()
    sink.state.update { $0.keepsBodies = false }
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let consumer = RunningLoop.consume(units[1].settings(broker), into: sink)
    let bytes = 1 << 20
    let body = Data(repeating: 1, count: bytes)
    func send(_ tokens: ClosedRange<UInt64>) async throws {
      source.submit(
        tokens.map { token in
          OutboundMessage(
            token: token, to: units[1].id, lane: .ordinary,
            envelope: Envelope(type: "t", messageID: "\(token)"), body: body)
        })
      publisher.stop.wake()
      _ = try await source.settled(Int(tokens.upperBound), within: .seconds(30))
      _ = try await sink.stored(Int(tokens.upperBound), within: .seconds(30))
    }
    try await send(1...20)
    let before = try Self.residentBytes()
    try await send(21...320)
    let growth = try Self.residentBytes() - before
    #expect(growth < 100 << 20, "grew by \(growth >> 20) MiB")
    await publisher.end()
    await consumer.end()
  }

  /// What waits in the queue comes in few batches when it is small, and in bounded ones when it is
  /// large: a unit's small messages do not hold up for long what others sent after them.
  @Test func aBacklogComesInBatchesBoundedByTheirBytes() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let source = RecordingSource()
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let sizes = Array(repeating: 1 << 20, count: 40) + Array(repeating: 1, count: 400)
    source.submit(
      sizes.enumerated().map { number, size in
        OutboundMessage(
          token: UInt64(number + 1), to: units[1].id, lane: .ordinary,
          envelope: Envelope(type: "t", messageID: "\(number)"),
          body: Data(repeating: 1, count: size))
      })
    publisher.stop.wake()
    _ = try await source.settled(sizes.count, within: .seconds(30))
    await publisher.end()
    let sink = RecordingSink()
    sink.state.update { $0.keepsBodies = false }
    let consumer = RunningLoop.consume(units[1].settings(broker), into: sink)
    let state = try await sink.stored(sizes.count, within: .seconds(30))
    await consumer.end()
    #expect((state.batches.max() ?? 0) > 32, "\(state.batches)")
    var first = 0
    for count in state.batches {
      let bytes = state.messages[first..<first + count].reduce(0) { $0 + $1.bodySize }
      #expect(bytes <= 9 << 20)
      first += count
    }
  }

  private static func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
  }
}
