import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Faults of the line.
@Suite struct LineFaultTests {
  @Test func aCutLineLosesNothing() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let proxy = try FaultProxy(to: broker.port)
    defer { proxy.close() }
    let source = RecordingSource()
    source.submit(Sample.messages(1...3000, to: units[1].id, bytes: 2000))
    let sink = RecordingSink()
    let publisher = RunningLoop.publish(units[0].settings(broker, port: proxy.port), from: source)
    let consumer = RunningLoop.consume(units[1].settings(broker, port: proxy.port), into: sink)
    for step in 1...3 {
      _ = try await source.settled(step * 500)
      proxy.cut()
    }
    let state = try await source.settled(3000, within: .seconds(30))
    #expect(state.final.values.allSatisfy { $0 == .confirmed } && state.strays == 0)
    let ids = Set((1...3000).map { "m-\($0)" })
    let all = await sink.state.wait { Set($0.messages.map(\.envelope.messageID)) == ids }
    #expect(all != nil)
    await publisher.end()
    await consumer.end()
  }

  @Test(arguments: [100, 1_000_000]) func aBlackHoleWhilePublishingIsNoticed(bytes: Int)
    async throws
  {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let proxy = try FaultProxy(to: broker.port)
    defer { proxy.close() }
    var settings = units[0].settings(broker, port: proxy.port)
    settings.slowestBytesPerSecond = 1 << 20
    let source = RecordingSource()
    let publisher = RunningLoop.publish(settings, from: source)
    try await source.linked(.up)
    source.submit([Sample.message(1, to: units[1].id)])
    publisher.stop.wake()
    _ = try await source.settled(1)
    proxy.set(.blackHole)
    source.submit(Sample.messages(2...60, to: units[1].id, bytes: bytes))
    let start = ContinuousClock.now
    publisher.stop.wake()
    _ = try #require(await source.state.wait { !$0.links.downCodes.isEmpty })
    // Two heartbeats of 2 s, or the call limit of 3 s: plus one.
    #expect(start.duration(to: .now) < .seconds(5.2))
    proxy.set(.pass)
    proxy.cut()
    let state = try await source.settled(60)
    #expect(state.final.values.allSatisfy { $0 == .confirmed } && state.strays == 0)
    await publisher.end()
  }

  @Test func aBlackHoleWhileConsumingIsNoticed() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    let proxy = try FaultProxy(to: broker.port)
    defer { proxy.close() }
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(unit.settings(broker, port: proxy.port), into: sink)
    try await sink.linked(.up)
    proxy.set(.blackHole)
    let start = ContinuousClock.now
    try await sink.failed(.timeout)
    #expect(start.duration(to: .now) < .seconds(5.2))
    proxy.cut()
    proxy.set(.pass)
    _ = try #require(await sink.state.wait { $0.links.filter { $0 == .up }.count == 2 })
    await consumer.end()
  }

  @Test func stoppingWhileTheLoginHangsEndsInTime() async throws {
    let broker = try TestBroker.shared
    let unit = try broker.units(1)[0]
    let proxy = try FaultProxy(to: broker.port)
    defer { proxy.close() }
    proxy.set(.blackHole)
    let source = RecordingSource()
    let publisher = RunningLoop.publish(unit.settings(broker, port: proxy.port), from: source)
    try await source.linked(.connecting(to: "localhost:\(proxy.port)"))
    await publisher.end(within: .seconds(3.5))
    #expect(source.state.value.links.last == .stopped)
  }

  @Test func stoppingBeforeTheStartAndWhileWaitingIsLegal() async throws {
    let unit = try #require(UnitID("A"))
    let settings = BrokerSettings(
      hosts: [BrokerHost(name: "localhost", port: 1)], user: unit, authentication: .password("x"))
    let stop = StopSignal()
    stop.request()
    let early = RecordingSource()
    await RunningLoop.publish(settings, from: early, stop: stop).end(within: .seconds(1))
    #expect(early.state.value.links == [.stopped])

    let transport = RabbitTransport(settings: settings, retryDelay: { _ in .seconds(3600) })
    let sink = RecordingSink()
    let late = StopSignal()
    let hasEnded = Watched(false)
    Thread.detachNewThread {
      transport.consume(.ordinary, into: sink, until: late)
      hasEnded.update { $0 = true }
    }
    try await sink.failed(.unreachable)
    late.request()
    #expect(await hasEnded.wait(within: .seconds(1)) { $0 } != nil)
  }
}

/// Faults of the broker; each needs a broker that no other test uses.
@Suite(.serialized) struct BrokerFaultTests {
  private static let started = Result { try TestBroker() }

  @Test func aMemoryAlarmHoldsPublishersBack() async throws {
    let broker = try Self.started.get()
    let units = try broker.units(2)
    let source = RecordingSource()
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(units[1].settings(broker), into: sink)
    try await source.linked(.up)
    source.submit([Sample.message(1, to: units[1].id)])
    publisher.stop.wake()
    _ = try await source.settled(1)
    try broker.setMemoryAlarm(true)
    source.submit(Sample.messages(2...100, to: units[1].id, bytes: 1000))
    publisher.stop.wake()
    let blocked = await source.state.wait {
      $0.links.contains { if case .blocked = $0 { true } else { false } }
    }
    #expect(blocked != nil)
    // Also over a reconnect: the fresh connection risks one message and is blocked again.
    try broker.closeConnections(of: units[0])
    let again = await source.state.wait {
      $0.links.filter { if case .blocked = $0 { true } else { false } }.count == 2
    }
    #expect(again?.handedOut.count == 1)
    #expect(source.state.value.final.count < 100)
    try broker.setMemoryAlarm(false)
    let state = try await source.settled(100)
    #expect(state.final.values.allSatisfy { $0 == .confirmed })
    #expect(state.links.last == .up)
    _ = try await sink.stored(100)
    await publisher.end()
    await consumer.end()
  }

  @Test func aKilledBrokerLosesNothing() async throws {
    let broker = try Self.started.get()
    let units = try broker.units(2)
    let source = RecordingSource()
    source.submit(Sample.messages(1...20_000, to: units[1].id, bytes: 1000))
    let sink = RecordingSink()
    sink.state.update { $0.keepsBodies = false }
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let consumer = RunningLoop.consume(units[1].settings(broker), into: sink)
    _ = try await source.settled(3000)
    try broker.kill()
    try broker.restart()
    let state = try await source.settled(20_000, within: .seconds(40))
    #expect(state.final.values.allSatisfy { $0 == .confirmed } && state.strays == 0)
    let ids = Set((1...20_000).map { "m-\($0)" })
    let all = await sink.state.wait(within: .seconds(20)) { state in
      state.messages.count >= 20_000 && Set(state.messages.map(\.envelope.messageID)) == ids
    }
    #expect(all != nil)
    await publisher.end()
    await consumer.end()
  }
}
