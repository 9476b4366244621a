import AMQPTransport
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

extension TestBroker.Unit {
  /// Settings for this unit with short time limits; `port` defaults to the broker's own.
  func settings(_ broker: TestBroker, port: Int? = nil) -> BrokerSettings {
    var settings = BrokerSettings(
      hosts: [BrokerHost(name: broker.host, port: port ?? broker.port)], user: id,
      authentication: .password(password))
    settings.heartbeatSeconds = 2
    settings.connectTimeout = .seconds(2)
    settings.callTimeout = .seconds(3)
    settings.quietTime = .milliseconds(100)
    return settings
  }
}

/// A loop of the transport on a thread of its own.
final class RunningLoop: Sendable {
  let stop: StopSignal
  let hasEnded = Watched(false)

  private init(stop: StopSignal, _ body: @escaping @Sendable () -> Void) {
    self.stop = stop
    Thread.detachNewThread { [hasEnded] in
      body()
      hasEnded.update { $0 = true }
    }
  }

  /// Begins with the first host.
  static func publish(
    _ settings: BrokerSettings, from source: RecordingSource, stop: StopSignal = StopSignal(),
    retryDelay: @escaping @Sendable (Int) -> Duration = quickRetry
  ) -> RunningLoop {
    let transport = RabbitTransport(
      settings: settings, retryDelay: retryDelay, firstHost: { _ in 0 })
    return RunningLoop(stop: stop) { transport.publish(from: source, until: stop) }
  }

  static func consume(
    _ settings: BrokerSettings, _ lane: Lane = .ordinary, into sink: RecordingSink,
    stop: StopSignal = StopSignal()
  ) -> RunningLoop {
    let transport = RabbitTransport(settings: settings, retryDelay: quickRetry)
    return RunningLoop(stop: stop) { transport.consume(lane, into: sink, until: stop) }
  }

  static let quickRetry: @Sendable (Int) -> Duration = { _ in .milliseconds(50) }

  /// Asks the loop to stop and expects that it does in time.
  func end(within limit: Duration = .seconds(5), _ location: SourceLocation = #_sourceLocation)
    async
  {
    stop.request()
    #expect(
      await hasEnded.wait(within: limit) { $0 } != nil, "the loop did not stop in time",
      sourceLocation: location)
  }
}

/// Messages for tests; the token is also part of the message id.
enum Sample {
  static func message(
    _ token: UInt64, to unit: UnitID, lane: Lane = .ordinary, bytes: Int = 20
  ) -> OutboundMessage {
    OutboundMessage(
      token: token, to: unit, lane: lane,
      envelope: Envelope(type: MessageKind.document.rawValue, messageID: "m-\(token)"),
      body: Data(repeating: UInt8(truncatingIfNeeded: token), count: bytes))
  }

  static func messages(_ tokens: ClosedRange<UInt64>, to unit: UnitID, bytes: Int = 20)
    -> [OutboundMessage]
  {
    tokens.map { message($0, to: unit, bytes: bytes) }
  }
}

extension RecordingSource {
  /// Waits until `count` messages have their final outcome.
  func settled(_ count: Int, within limit: Duration = .seconds(15)) async throws -> State {
    let state = await state.wait(within: limit) { $0.final.count >= count }
    return try #require(state, "only \(self.state.value.final.count) of \(count) were settled")
  }

  func linked(within limit: Duration = .seconds(15), _ link: LinkState) async throws {
    _ = try #require(await state.wait(within: limit) { $0.links.contains(link) })
  }

  func failed(_ code: AMQPErrorCode, within limit: Duration = .seconds(15)) async throws {
    _ = try #require(
      await state.wait(within: limit) { $0.links.downCodes.contains(code.rawValue) },
      "\(self.state.value.links)")
  }
}

extension RecordingSink {
  /// Waits until `count` messages were stored.
  func stored(_ count: Int, within limit: Duration = .seconds(15)) async throws -> State {
    let state = await state.wait(within: limit) { $0.messages.count >= count }
    return try #require(state, "only \(self.state.value.messages.count) of \(count) were stored")
  }

  func linked(within limit: Duration = .seconds(15), _ link: LinkState) async throws {
    _ = try #require(await state.wait(within: limit) { $0.links.contains(link) })
  }

  func failed(_ code: AMQPErrorCode, within limit: Duration = .seconds(15)) async throws {
    _ = try #require(
      await state.wait(within: limit) { $0.links.downCodes.contains(code.rawValue) },
      "\(self.state.value.links)")
  }
}
