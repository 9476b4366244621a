import CRabbitMQ
import ExchangeCore

/// Says what a frame means. Everything is copied: the frame's memory is the library's and is
/// released right after.
struct FrameInterpreter {
  static let channel: amqp_channel_t = 1

  private var assembler = ContentAssembler()

  /// True while a message is half received.
  var isMidContent: Bool { assembler.isMidContent }

  /// The delivery whose header must be the next frame, if any.
  var awaitedDelivery: (tag: UInt64, redelivered: Bool)? { assembler.awaitedDelivery }

  /// The event that `frame` is or completes; nil when more frames are needed.
  mutating func event(of frame: amqp_frame_t) throws(AMQPError) -> BrokerEvent? {
    guard frame.channel == 0 || frame.channel == Self.channel else {
      throw AMQPError(.protocol, "the broker sent a frame on channel \(frame.channel)")
    }
    switch Int32(frame.frame_type) {
    case AMQP_FRAME_METHOD:
      guard let decoded = frame.payload.method.decoded else {
        throw AMQPError(.protocol, "the broker sent an empty method")
      }
      return frame.channel == 0
        ? try connectionEvent(frame.payload.method, decoded)
        : try channelEvent(frame.payload.method, decoded)
    case AMQP_FRAME_HEADER where frame.channel == Self.channel:
      // Other classes have no properties that could follow on this channel.
      guard Int32(frame.payload.properties.class_id) == AMQP_BASIC_CLASS,
        let decoded = frame.payload.properties.decoded
      else { throw AMQPError(.protocol, "the broker sent a header of an unknown class") }
      let raw = decoded.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee
      return try assembler.header(
        MessageProperties(raw), size: frame.payload.properties.body_size)
    case AMQP_FRAME_BODY where frame.channel == Self.channel:
      return try assembler.fragment(frame.payload.body_fragment.lent)
    // Normally the library keeps these to itself, but those that it reads while a write is stuck
    // (amqp_try_recv) come out of its queue like any other frame.
    case AMQP_FRAME_HEARTBEAT: return nil
    default:
      throw AMQPError(.protocol, "the broker sent a frame of type \(frame.frame_type)")
    }
  }

  private func connectionEvent(_ method: amqp_method_t, _ decoded: UnsafeMutableRawPointer)
    throws(AMQPError) -> BrokerEvent
  {
    switch method.id {
    case AMQP_CONNECTION_BLOCKED_METHOD:
      let blocked = decoded.assumingMemoryBound(to: amqp_connection_blocked_t.self).pointee
      return .blocked(reason: blocked.reason.text)
    case AMQP_CONNECTION_UNBLOCKED_METHOD: return .unblocked
    case AMQP_CONNECTION_CLOSE_METHOD:
      guard let reason = CloseReason(method: method) else { throw Self.unexpected(method) }
      return .connectionClosed(reason)
    default: throw Self.unexpected(method)
    }
  }

  private mutating func channelEvent(_ method: amqp_method_t, _ decoded: UnsafeMutableRawPointer)
    throws(AMQPError) -> BrokerEvent?
  {
    switch method.id {
    case AMQP_BASIC_DELIVER_METHOD:
      try assembler.begin(decoded.assumingMemoryBound(to: amqp_basic_deliver_t.self).pointee)
      return nil
    case AMQP_BASIC_RETURN_METHOD:
      try assembler.begin(decoded.assumingMemoryBound(to: amqp_basic_return_t.self).pointee)
      return nil
    case AMQP_CHANNEL_CLOSE_METHOD:
      // May cut a content short (AMQP 0-9-1, 4.2.6).
      guard let reason = CloseReason(method: method) else { throw Self.unexpected(method) }
      return .channelClosed(reason)
    default: break
    }
    try assembler.expectMethod()
    switch method.id {
    case AMQP_BASIC_ACK_METHOD:
      let ack = decoded.assumingMemoryBound(to: amqp_basic_ack_t.self).pointee
      return .ack(tag: ack.delivery_tag, multiple: ack.multiple != 0)
    case AMQP_BASIC_NACK_METHOD:
      // `requeue` means nothing on a publisher's nack (RabbitMQ guide, Publisher Confirms).
      let nack = decoded.assumingMemoryBound(to: amqp_basic_nack_t.self).pointee
      return .nack(tag: nack.delivery_tag, multiple: nack.multiple != 0)
    case AMQP_BASIC_CANCEL_METHOD: return .consumerCancelled
    default: throw Self.unexpected(method)
    }
  }

  private static func unexpected(_ method: amqp_method_t) -> AMQPError {
    let name = amqp_method_name(method.id).map { String(cString: $0) } ?? "\(method.id)"
    return AMQPError(.protocol, "the broker sent an unexpected \(name)")
  }
}
