import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct PublishingTests {
  @Test func aPieceArrivesWithAllItsProperties() async throws {
    let broker = try TestBroker.shared
    let (sender, receiver) = (try broker.units(1)[0], try broker.units(1)[0])
    let digest = try #require(SHA256Digest(bytes: Data(repeating: 7, count: 32)))
    let piece = try #require(PieceAddress(sha256: digest, offset: 1_048_576, size: 1_048_600))
    let envelope = Envelope(
      type: MessageKind.piece.rawValue, messageID: piece.messageID, correlationID: "doc-1",
      piece: piece)
    let source = RecordingSource()
    source.submit([
      OutboundMessage(
        token: 1, to: receiver.id, lane: .express, envelope: envelope, body: Data("bytes".utf8))
    ])
    let publisher = RunningLoop.publish(sender.settings(broker), from: source)
    #expect(try await source.settled(1).final == [1: .confirmed])

    let queue = Topology.queue(.express, of: receiver.id)
    let raw = try broker.api(
      "POST", "/api/queues/%2F/\(queue)/get",
      ["count": 1, "ackmode": "ack_requeue_true", "encoding": "base64"])
    let first = try #require(
      (try JSONSerialization.jsonObject(with: raw) as? [[String: Any]])?.first)
    let properties = try #require(first["properties"] as? [String: Any])
    #expect(properties["delivery_mode"] as? Int == 2)
    #expect(properties["content_type"] as? String == "application/octet-stream")
    #expect(properties["user_id"] as? String == sender.id.rawValue)
    #expect(first["exchange"] as? String == Topology.outExchange(of: sender.id))

    let sink = RecordingSink()
    let consumer = RunningLoop.consume(receiver.settings(broker), .express, into: sink)
    let message = try await sink.stored(1).messages[0]
    #expect(message.envelope == envelope)
    #expect(message.assertedSender == sender.id)
    #expect(message.lane == .express)
    #expect(message.body == Data("bytes".utf8) && message.bodySize == 5)
    await publisher.end()
    await consumer.end()
    let connecting = LinkState.connecting(to: "\(broker.host):\(broker.port)")
    #expect(source.state.value.links == [connecting, .up, .stopped])
    #expect(sink.state.value.links == [connecting, .up, .stopped])
  }

  @Test func anUnknownUnitComesBackAsReturned() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let nobody = try #require(UnitID("nobody"))
    let source = RecordingSource()
    source.submit([
      Sample.message(1, to: units[1].id), Sample.message(2, to: nobody),
      Sample.message(3, to: units[1].id),
    ])
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let final = try await source.settled(3).final
    #expect(final == [1: .confirmed, 2: .returned(code: 312, text: "NO_ROUTE"), 3: .confirmed])
    await publisher.end()
  }

  @Test func aFullQueueRejects() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2, limit: 1)
    let source = RecordingSource()
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    // The limit overshoots in a burst: one after the other.
    for token in UInt64(1)...8 {
      source.submit([Sample.message(token, to: units[1].id)])
      publisher.stop.wake()
      _ = try await source.settled(Int(token))
    }
    let final = source.state.value.final
    #expect(final[1] == .confirmed)
    #expect(final[8] == .rejected)
    await publisher.end()
  }

  /// A channel on which something was refused is not kept: it may hang on a queue's dead leader.
  @Test func afterARefusalTheChannelIsRenewed() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(3, limit: 1)
    var settings = units[0].settings(broker)
    settings.refusedChannelLife = .milliseconds(200)
    let source = RecordingSource()
    let publisher = RunningLoop.publish(settings, from: source)
    for token in UInt64(1)...8 {
      source.submit([Sample.message(token, to: units[1].id)])
      publisher.stop.wake()
      _ = try await source.settled(Int(token))
    }
    try await source.failed(.channelRenewed)
    source.submit([Sample.message(9, to: units[2].id)])
    publisher.stop.wake()
    let state = try await source.settled(9)
    #expect(state.final[8] == .rejected)
    #expect(state.final[9] == .confirmed)
    #expect(state.strays == 0)
    await publisher.end()
  }

  @Test func theCulpritIsNamedAndTheInnocentGoOn() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let forbidden = try #require(UnitID("forbidden"))
    try broker.restrictTopics(of: units[0], to: "^ordinary\\.\(units[1].id)$")
    let source = RecordingSource()
    var messages = Sample.messages(1...40, to: units[1].id)
    messages[20] = Sample.message(21, to: forbidden)
    messages[30] = Sample.message(31, to: forbidden)
    source.submit(messages)
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let state = try await source.settled(40)
    for (token, outcome) in state.final {
      if token == 21 || token == 31 {
        guard case .refused(403, _) = outcome else {
          Issue.record("\(token): \(outcome)")
          continue
        }
      } else {
        #expect(outcome == .confirmed, "\(token)")
      }
    }
    #expect(state.strays == 0)
    #expect(state.links.downCodes.contains(AMQPErrorCode.permission.rawValue))
    await publisher.end()
  }

  @Test func aMessageIDThatCannotBeWrittenIsRefusedWithoutTheBroker() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let long = Envelope(type: "t", messageID: String(repeating: "x", count: 256))
    let source = RecordingSource()
    source.submit([
      OutboundMessage(token: 1, to: units[1].id, lane: .ordinary, envelope: long, body: Data()),
      OutboundMessage(
        token: 2, to: units[1].id, lane: .ordinary,
        envelope: Envelope(type: "t", messageID: String(repeating: "x", count: 255)), body: Data()),
    ])
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let state = try await source.settled(2)
    guard case .refused = state.final[1] else { throw RecordingSource.Trouble() }
    #expect(state.final[2] == .confirmed)
    #expect(state.links.downCodes.isEmpty)
    await publisher.end()
  }

  @Test func outcomesSurviveAFailingStore() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let source = RecordingSource()
    source.state.update { $0.settleFailures = 3 }
    source.submit(Sample.messages(1...100, to: units[1].id))
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let state = try await source.settled(100)
    #expect(state.final.values.allSatisfy { $0 == .confirmed })
    #expect(state.strays == 0)
    #expect(state.links.downCodes.contains(AMQPErrorCode.storeFailed.rawValue))
    await publisher.end()
  }

  @Test func aFailingSourceIsAskedAgain() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let source = RecordingSource()
    source.state.update { $0.nextFailures = 2 }
    source.submit(Sample.messages(1...3, to: units[1].id))
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let state = try await source.settled(3)
    #expect(state.links.downCodes == ["STORE-FAILED", "STORE-FAILED"])
    await publisher.end()
  }

  @Test func newWorkIsNoticedAtOnceAndDueWorkInTime() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let source = RecordingSource()
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    try await source.linked(.up)
    source.submit([Sample.message(1, to: units[1].id)])
    let start = ContinuousClock.now
    publisher.stop.wake()
    _ = try await source.settled(1)
    // Without the wake it would be asked after a minute; the machine may be busy.
    #expect(start.duration(to: .now) < .seconds(5))

    source.state.update { $0.nextDue = SystemClock().now.advanced(by: .milliseconds(300)) }
    publisher.stop.wake()
    source.submit([Sample.message(2, to: units[1].id)])
    _ = try await source.settled(2, within: .seconds(3))
    await publisher.end()
  }

  @Test func stopWaitsForWhatIsInFlight() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let proxy = try FaultProxy(to: broker.port)
    defer { proxy.close() }
    let source = RecordingSource()
    let publisher = RunningLoop.publish(
      units[0].settings(broker, port: proxy.port), from: source)
    try await source.linked(.up)
    source.submit(Sample.messages(1...1, to: units[1].id))
    publisher.stop.wake()
    _ = try await source.settled(1)
    proxy.set(.delay(.milliseconds(100)))
    source.submit(Sample.messages(2...30, to: units[1].id))
    publisher.stop.wake()
    _ = try #require(await source.state.wait { !$0.handedOut.isEmpty })
    await publisher.end()
    let state = source.state.value
    #expect(state.handedOut.isEmpty && state.strays == 0)
    #expect(state.final.count + state.queue.count == 30)
  }

  @Test func manyMessagesFillTheWindowAndAreSettledInGroups() async throws {
    let broker = try TestBroker.shared
    let units = try broker.units(2)
    let source = RecordingSource()
    source.submit(Sample.messages(1...2000, to: units[1].id, bytes: 1000))
    let publisher = RunningLoop.publish(units[0].settings(broker), from: source)
    let state = try await source.settled(2000)
    #expect(state.final.values.allSatisfy { $0 == .confirmed })
    #expect(state.unknowns == 0 && state.strays == 0)
    #expect(state.largestRequest <= 64)
    #expect(state.settleCalls < 1000)
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(units[1].settings(broker), into: sink)
    let stored = try await sink.stored(2000)
    #expect(stored.messages.map(\.envelope.messageID) == (1...2000).map { "m-\($0)" })
    await publisher.end()
    await consumer.end()
  }
}
