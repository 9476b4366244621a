import CRabbitMQ
import ExchangeCore
import Foundation

extension BrokerConnection {
  /// Writes one message to the unit's own exchange: mandatory, persistent, with the sender's name
  /// for the broker to validate. Returns when the kernel has it; the broker's answer is an event.
  borrowing func publish(_ message: OutboundMessage) throws(AMQPError) {
    let writing = MessageWriting(message, sender: settings.user)
    let extra = Duration.seconds(message.body.count / max(1, settings.slowestBytesPerSecond))
    CrashPoint.publishBefore.pass()
    let status = call(extra: extra) { state in
      writing.withLibraryValues { exchange, routingKey, properties, body in
        amqp_basic_publish(
          state, FrameInterpreter.channel, exchange, routingKey, 1, 0, properties, body)
      }
    }
    try check(status: status, doing: "publishing")
    CrashPoint.publishAfter.pass()
  }
}

/// The AMQP form of an `OutboundMessage` (schemas/README.md section 3).
struct MessageWriting {
  /// AMQP 0-9-1, 4.2.5.3: a short string has one length byte.
  static let shortStringBytes = 255

  private let message: OutboundMessage
  private let sender: UnitID

  init(_ message: OutboundMessage, sender: UnitID) {
    self.message = message
    self.sender = sender
  }

  /// Why the message cannot be written at all, or nil. Such a message must not reach the library:
  /// its failure would look like one of the connection.
  static func defect(of message: OutboundMessage) -> String? {
    let envelope = message.envelope
    for (name, value) in [
      ("message-id", envelope.messageID), ("type", envelope.type),
      ("correlation-id", envelope.correlationID ?? ""),
    ] where value.utf8.count > shortStringBytes {
      return "not sent: \(name) is longer than \(shortStringBytes) bytes"
    }
    return nil
  }

  /// Lends everything to `body` as the library's values; nothing outlives the call.
  func withLibraryValues<Result>(
    _ body: (
      _ exchange: amqp_bytes_t, _ routingKey: amqp_bytes_t,
      _ properties: UnsafePointer<amqp_basic_properties_t>, _ body: amqp_bytes_t
    ) -> Result
  ) -> Result {
    var arena = ByteArena()
    let envelope = message.envelope
    let exchange = arena.add(Topology.outExchange(of: sender))
    let routingKey = arena.add(Topology.routingKey(message.lane, to: message.to))
    let contentType = arena.add((envelope.kind ?? .document).contentType)
    let type = arena.add(envelope.type)
    let messageID = arena.add(envelope.messageID)
    let correlationID = envelope.correlationID.map { arena.add($0) }
    let userID = arena.add(sender.rawValue)
    var headers: [(key: Range<Int>, value: Header)] = []
    if let version = envelope.version {
      headers.append((arena.add(HeaderName.version), .integer(version)))
    }
    if let piece = envelope.piece {
      headers.append((arena.add(HeaderName.sha256), .text(arena.add(piece.sha256.hex))))
      headers.append((arena.add(HeaderName.offset), .integer(piece.offset)))
      headers.append((arena.add(HeaderName.size), .integer(piece.size)))
    }
    return arena.lend { bytes in
      var entries = headers.map { Self.entry($0.key, $0.value, bytes) }
      return entries.withUnsafeMutableBufferPointer { entries in
        var properties = amqp_basic_properties_t()
        var flags =
          AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_TYPE_FLAG
          | AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_HEADERS_FLAG
        properties.content_type = bytes(contentType)
        properties.delivery_mode = UInt8(AMQP_DELIVERY_PERSISTENT.rawValue)
        properties.type = bytes(type)
        properties.message_id = bytes(messageID)
        properties.user_id = bytes(userID)
        properties.headers = amqp_table_t(
          num_entries: Int32(entries.count), entries: entries.baseAddress)
        if let correlationID {
          flags |= AMQP_BASIC_CORRELATION_ID_FLAG
          properties.correlation_id = bytes(correlationID)
        }
        properties._flags = amqp_flags_t(flags)
        return message.body.withUnsafeBytes { content in
          let content = amqp_bytes_t(
            len: content.count, bytes: UnsafeMutableRawPointer(mutating: content.baseAddress))
          return body(bytes(exchange), bytes(routingKey), &properties, content)
        }
      }
    }
  }

  private enum Header {
    case integer(Int64)
    case text(Range<Int>)
  }

  private static func entry(
    _ key: Range<Int>, _ header: Header, _ bytes: (Range<Int>) -> amqp_bytes_t
  ) -> amqp_table_entry_t {
    var entry = amqp_table_entry_t()
    entry.key = bytes(key)
    switch header {
    case .integer(let value):
      entry.value.kind = UInt8(AMQP_FIELD_KIND_I64.rawValue)
      entry.value.value.i64 = value
    case .text(let range):
      entry.value.kind = UInt8(AMQP_FIELD_KIND_UTF8.rawValue)
      entry.value.value.bytes = bytes(range)
    }
    return entry
  }
}

/// Texts laid end to end in one buffer, so that C structures can point at all of them at once
/// without a pyramid of closures. (`amqp_cstring_bytes("…")` from Swift dangles: the temporary C
/// string dies with the call.)
struct ByteArena {
  private var storage: [UInt8] = []

  /// Copies `text` in; the range is the handle to it.
  mutating func add(_ text: String) -> Range<Int> {
    let start = storage.count
    storage.append(contentsOf: text.utf8)
    return start..<storage.count
  }

  /// Lends the buffer for the duration of `body`, which turns ranges into library values.
  func lend<Result>(_ body: ((Range<Int>) -> amqp_bytes_t) -> Result) -> Result {
    storage.withUnsafeBytes { buffer in
      body { range in
        amqp_bytes_t(
          len: range.count,
          bytes: buffer.baseAddress.map { UnsafeMutableRawPointer(mutating: $0 + range.lowerBound) }
        )
      }
    }
  }
}
