import AMQPTransport
import CRabbitMQ
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// What other clients may send: nothing of it may be believed, lost or fatal.
@Suite struct ForeignMessageTests {
  private let digest = String(repeating: "ab", count: 32)

  private func receive(
    _ count: Int, queueType: String = "quorum",
    _ send: (RawClient, _ exchange: String, _ key: String, UnitID) throws -> Void
  ) async throws -> [InboundMessage] {
    let broker = try TestBroker.shared
    let units = try broker.units(2, queueType: queueType)
    try send(
      try RawClient(broker, as: units[0]), Topology.outExchange(of: units[0].id),
      Topology.routingKey(.ordinary, to: units[1].id), units[0].id)
    let sink = RecordingSink()
    let consumer = RunningLoop.consume(units[1].settings(broker), into: sink)
    let messages = try await sink.stored(count).messages
    await consumer.end()
    return messages
  }

  @Test func everyIntegerTypeIsANumber() async throws {
    let kinds: [(amqp_field_value_kind_t, (inout amqp_field_value_t) -> Void)] = [
      (AMQP_FIELD_KIND_I8, { $0.value.i8 = 1 }), (AMQP_FIELD_KIND_U8, { $0.value.u8 = 1 }),
      (AMQP_FIELD_KIND_I16, { $0.value.i16 = 1 }), (AMQP_FIELD_KIND_U16, { $0.value.u16 = 1 }),
      (AMQP_FIELD_KIND_I32, { $0.value.i32 = 1 }), (AMQP_FIELD_KIND_U32, { $0.value.u32 = 1 }),
      (AMQP_FIELD_KIND_I64, { $0.value.i64 = 1 }),
    ]
    let messages = try await receive(kinds.count) { client, exchange, key, unit in
      for (kind, set) in kinds {
        try client.publish(
          to: exchange, routingKey: key, messageID: [65], userID: unit.rawValue,
          headers: [RawClient.field("congvan-version", kind, set)])
      }
    }
    #expect(messages.allSatisfy { $0.envelope.version == 1 })
  }

  @Test func otherTypesAreNoNumbersAndNoTrap() async throws {
    let text = RawClient.Bytes("1")
    let kinds: [(amqp_field_value_kind_t, (inout amqp_field_value_t) -> Void)] = [
      (AMQP_FIELD_KIND_BOOLEAN, { $0.value.boolean = 1 }),
      (AMQP_FIELD_KIND_F32, { $0.value.f32 = 1 }), (AMQP_FIELD_KIND_F64, { $0.value.f64 = 1.5 }),
      (AMQP_FIELD_KIND_UTF8, { $0.value.bytes = text.value }),
      (AMQP_FIELD_KIND_BYTES, { $0.value.bytes = text.value }),
      (AMQP_FIELD_KIND_TIMESTAMP, { $0.value.u64 = 1 }), (AMQP_FIELD_KIND_VOID, { _ in }),
      (AMQP_FIELD_KIND_TABLE, { $0.value.table = amqp_empty_table }),
      (AMQP_FIELD_KIND_ARRAY, { $0.value.array = amqp_empty_array }),
    ]
    let messages = try await receive(kinds.count) { client, exchange, key, unit in
      for (kind, set) in kinds {
        try client.publish(
          to: exchange, routingKey: key, messageID: [65], userID: unit.rawValue,
          headers: [RawClient.field("congvan-version", kind, set)])
      }
      withExtendedLifetime(text) {}
    }
    #expect(messages.allSatisfy { $0.envelope.version == nil && $0.envelope.piece == nil })
  }

  @Test(arguments: [AMQP_FIELD_KIND_UTF8.rawValue, AMQP_FIELD_KIND_BYTES.rawValue])
  func aDigestMayBeTextOrBytes(kind: UInt32) async throws {
    let hex = RawClient.Bytes(digest)
    let messages = try await receive(1) { client, exchange, key, unit in
      try client.publish(
        to: exchange, routingKey: key, messageID: [65], userID: unit.rawValue,
        headers: [
          RawClient.field("congvan-sha256", amqp_field_value_kind_t(kind)) {
            $0.value.bytes = hex.value
          },
          RawClient.field("congvan-offset", AMQP_FIELD_KIND_I32) { $0.value.i32 = 0 },
          RawClient.field("congvan-size", AMQP_FIELD_KIND_U16) { $0.value.u16 = 500 },
        ])
      withExtendedLifetime(hex) {}
    }
    let piece = try #require(messages[0].envelope.piece)
    #expect(piece.sha256.hex == digest && piece.offset == 0 && piece.size == 500)
  }

  @Test func idsThatAreNotTextStayDifferent() async throws {
    let messages = try await receive(3) { client, exchange, key, unit in
      for id: [UInt8] in [[0xFF, 0x01], [0xFE, 0x01], [65, 0, 66]] {
        try client.publish(to: exchange, routingKey: key, messageID: id, userID: unit.rawValue)
      }
    }
    #expect(
      messages.map(\.envelope.messageID) == ["not-utf8:ff01", "not-utf8:fe01", "not-utf8:410042"])
  }

  @Test func anIdThatLooksLikeHexadecimalStaysDifferentToo() async throws {
    let messages = try await receive(2) { client, exchange, key, unit in
      for id in [[0xFF], Array("not-utf8:ff".utf8)] {
        try client.publish(to: exchange, routingKey: key, messageID: id, userID: unit.rawValue)
      }
    }
    #expect(
      messages.map(\.envelope.messageID) == ["not-utf8:ff", "not-utf8:6e6f742d757466383a6666"])
  }

  /// The broker takes and gives header bytes that the library does not: the message behind it comes. A
  /// quorum queue writes them anew when it gives the message a second time, a classic queue never does;
  /// RabbitMQ 4 writes them anew for everybody.
  @Test(arguments: ["quorum", "classic"])
  func aHeaderThatTheLibraryCannotReadBlocksNobody(queueType: String) async throws {
    let messages = try await receive(4, queueType: queueType) { client, exchange, key, unit in
      try client.publish(to: exchange, routingKey: key, messageID: [65], userID: unit.rawValue)
      for _ in 0..<2 {
        try client.publish(
          to: exchange, routingKey: key,
          properties: ScriptedPeer.endlessFlags(userID: unit.rawValue))
      }
      try client.publish(to: exchange, routingKey: key, messageID: [66], userID: unit.rawValue)
    }
    #expect(messages.first?.envelope.messageID == "A" && messages.last?.envelope.messageID == "B")
    let isPassedOn = try TestBroker.shared.majorVersion() < 4 && queueType == "classic"
    #expect(messages.map(\.isReadable).count { !$0 } == (isPassedOn ? 2 : 0))
  }

  @Test func aSenderIsAssertedOnlyByTheBroker() async throws {
    var sender: UnitID?
    let messages = try await receive(2) { client, exchange, key, unit in
      sender = unit
      try client.publish(to: exchange, routingKey: key, messageID: [65])
      try client.publish(to: exchange, routingKey: key, messageID: [66], userID: unit.rawValue)
    }
    #expect(messages.map(\.assertedSender) == [nil, sender])
  }

  @Test func aMessageThatIsTooLongArrivesWithoutItsBody() async throws {
    let limit = Int(WireLimits.bodyBytes)
    let messages = try await receive(3) { client, exchange, key, unit in
      for size in [limit + 1, 5 * limit, limit] {
        try client.publish(
          to: exchange, routingKey: key, messageID: [65], userID: unit.rawValue,
          body: [UInt8](repeating: 9, count: size))
      }
    }
    #expect(messages.map(\.bodySize) == [UInt64(limit + 1), UInt64(5 * limit), UInt64(limit)])
    #expect(messages.map { $0.body?.count } == [nil, nil, limit])
  }
}
