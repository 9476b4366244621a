@testable import AMQPTransport
import CRabbitMQ
import ExchangeCore
import Foundation

/// What a broker sends after the login, through rabbitmq-c's own decoder, as in `BrokerConnection`.
///
/// The first byte is not the broker's: from 0xF0 on, every body frame comes forty times, because
/// bodies above the limit of a message would make the inputs too long.
enum FramesTarget {
  static func run(_ bytes: Data) {
    guard let first = bytes.first, let state = amqp_new_connection() else { return }
    defer { amqp_destroy_connection(state) }
    var conversation = Conversation(repetitions: first >= 0xF0 ? 40 : 1)
    bytes.dropFirst().withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let part = UnsafeRawBufferPointer(rebasing: rest)
        let lent = amqp_bytes_t(
          len: part.count, bytes: UnsafeMutableRawPointer(mutating: part.baseAddress))
        var frame = amqp_frame_t()
        let taken = amqp_handle_input(state, lent, &frame)
        guard taken > 0, frame.frame_type == 0 || conversation.take(frame) else { return }
        rest = rest.dropFirst(Int(taken))
        amqp_maybe_release_buffers(state)
      }
    }
  }
}

/// The interpreter, and beside it a simpler account of what it must come to.
private struct Conversation {
  let repetitions: Int
  private var interpreter = FrameInterpreter()
  private var exchange: String?
  private var announced: UInt64 = 0
  private var messageID: [UInt8]?
  private var userID: [UInt8]?
  private var body = Data()

  init(repetitions: Int) { self.repetitions = repetitions }

  /// False when the connection would end.
  mutating func take(_ frame: amqp_frame_t) -> Bool {
    let count = Int32(frame.frame_type) == AMQP_FRAME_BODY ? repetitions : 1
    for _ in 0..<count {
      do {
        note(frame)
        if let event = try interpreter.event(of: frame) { check(event) }
        // More would be kept without end.
        require(UInt64(body.count) <= announced, "more of a body was taken than announced")
      } catch {
        return false
      }
    }
    return true
  }

  private mutating func note(_ frame: amqp_frame_t) {
    switch Int32(frame.frame_type) {
    case AMQP_FRAME_METHOD:
      guard frame.payload.method.id == AMQP_BASIC_DELIVER_METHOD,
        let decoded = frame.payload.method.decoded
      else { return }
      let method = decoded.assumingMemoryBound(to: amqp_basic_deliver_t.self).pointee
      exchange = method.exchange.text
    case AMQP_FRAME_HEADER:
      announced = frame.payload.properties.body_size
      body = Data()
      guard Int32(frame.payload.properties.class_id) == AMQP_BASIC_CLASS,
        let decoded = frame.payload.properties.decoded
      else { return }
      let raw = decoded.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee
      messageID = Self.bytes(raw.message_id, raw._flags, AMQP_BASIC_MESSAGE_ID_FLAG)
      userID = Self.bytes(raw.user_id, raw._flags, AMQP_BASIC_USER_ID_FLAG)
    case AMQP_FRAME_BODY: body.append(contentsOf: frame.payload.body_fragment.lent)
    default: break
    }
  }

  private static func bytes(_ bytes: amqp_bytes_t, _ flags: amqp_flags_t, _ flag: Int32) -> [UInt8]?
  {
    flags & amqp_flags_t(flag) == 0 ? nil : Array(bytes.lent)
  }

  private func check(_ event: BrokerEvent) {
    switch event {
    case .delivery(_, _, let exchange, let content):
      require(exchange == self.exchange, "a delivery from an exchange that was not named")
      require(content.bodySize == announced, "a size that was not announced")
      require(UInt64(body.count) == announced, "\(body.count) bytes came, \(announced) announced")
      let isKept = announced <= WireLimits.bodyBytes
      require(content.body == (isKept ? body : nil), "the body is not what came")
      check(content.properties, exchange: exchange)
    case .returned(_, _, _, let properties): check(properties, exchange: nil)
    default: break
    }
  }

  private func check(_ properties: MessageProperties, exchange: String?) {
    checkID(properties.envelope.messageID)
    if let piece = properties.envelope.piece {
      require(piece.offset % WireLimits.pieceBytes == 0, "a piece between pieces")
      require((1...WireLimits.pieceBytes).contains(piece.length), "a piece of \(piece.length)")
      require(piece.offset + piece.length <= piece.size, "a piece past the end")
      require(piece.size <= WireLimits.documentBytes, "a piece of too large a file")
    }
    if let exchange, let sender = properties.assertedSender(exchange: exchange) {
      require(exchange == "congvan.out.\(sender)", "\(sender) does not own \(exchange)")
      require(userID?.elementsEqual(sender.rawValue.utf8) == true, "\(sender) did not log in")
    }
  }

  /// The bytes can be told from the text, so two ids are never one.
  private func checkID(_ text: String) {
    let raw = messageID ?? []
    let marker = "not-utf8:"
    let spelled =
      text.hasPrefix(marker) ? HexText.decode(String(text.dropFirst(marker.count))) : nil
    require(spelled ?? Array(text.utf8) == raw, "the id “\(text)” stands for other bytes")
    require(!text.hasPrefix(marker) || spelled != nil, "the id “\(text)” looks like hexadecimal")
    require(!text.utf8.contains(0), "a NUL in an id")
  }
}
