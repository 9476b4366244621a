import CRabbitMQ

/// `reply-code` and `reply-text` of `channel.close` and `connection.close` (AMQP 0-9-1, 1.4 and
/// 1.5).
struct CloseReason: CustomStringConvertible {
  let code: Int
  let text: String

  init(code: Int, text: String) {
    self.code = code
    self.text = text
  }

  /// Copies the reason out of a close method; nil for every other method. The memory behind
  /// `method` is only borrowed.
  init?(method: amqp_method_t) {
    guard let decoded = method.decoded else { return nil }
    switch method.id {
    case AMQP_CHANNEL_CLOSE_METHOD:
      let close = decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee
      self.init(code: Int(close.reply_code), text: close.reply_text.text)
    case AMQP_CONNECTION_CLOSE_METHOD:
      let close = decoded.assumingMemoryBound(to: amqp_connection_close_t.self).pointee
      self.init(code: Int(close.reply_code), text: close.reply_text.text)
    default: return nil
    }
  }

  /// True when the broker objects to what was sent and not to its own state: sending the same again
  /// alone would end the same way. 320 (operator), 506 (resources) and 541 (internal) are not.
  var isAboutContent: Bool {
    switch code {
    case 311, 403, 404, 406, 501, 502, 503, 504, 505, 530, 540: true
    default: false
    }
  }

  var description: String { "\(code) \(text)" }
}
