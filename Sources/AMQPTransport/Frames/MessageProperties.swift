import CRabbitMQ
import ExchangeCore

/// The properties of a message that congvan looks at, as Swift values.
///
/// They were written by a peer: whatever is absent, of a foreign type or ill-formed becomes nil (or
/// empty where the port has no optional), never an error and never a trap.
struct MessageProperties {
  var envelope: Envelope
  var userID: String?
  /// What the broker counts in a quorum queue; 0 when it does not say.
  var failedDeliveries: Int64

  /// Copies what it needs out of a header frame; `raw` is only borrowed.
  init(_ raw: amqp_basic_properties_t) {
    func has(_ flag: Int32) -> Bool { raw._flags & amqp_flags_t(flag) != 0 }
    let headers = has(AMQP_BASIC_HEADERS_FLAG) ? HeaderFields(raw.headers) : HeaderFields()
    var piece: PieceAddress?
    if let sha256 = headers.text(HeaderName.sha256).flatMap({ SHA256Digest(hex: $0) }),
      let offset = headers.integer(HeaderName.offset), let size = headers.integer(HeaderName.size)
    {
      piece = PieceAddress(sha256: sha256, offset: offset, size: size)
    }
    envelope = Envelope(
      type: has(AMQP_BASIC_TYPE_FLAG) ? raw.type.strictText ?? "" : "",
      messageID: has(AMQP_BASIC_MESSAGE_ID_FLAG) ? Self.identifier(raw.message_id) : "",
      correlationID: has(AMQP_BASIC_CORRELATION_ID_FLAG) ? raw.correlation_id.strictText : nil,
      version: headers.integer(HeaderName.version), piece: piece)
    failedDeliveries = headers.integer(HeaderName.deliveryCount) ?? 0
    userID = has(AMQP_BASIC_USER_ID_FLAG) ? raw.user_id.strictText : nil
  }

  /// The unit the broker vouches for: `exchange` is a unit's own, where only that unit may write,
  /// and `user-id`, which the broker validates against the login, names the same unit.
  func assertedSender(exchange: String) -> UnitID? {
    // By bytes: Swift takes U+212A for a K.
    guard let unit = Topology.sender(fromExchange: exchange), let userID,
      userID.utf8.elementsEqual(unit.rawValue.utf8)
    else { return nil }
    return unit
  }

  /// Two different ids must stay different, or the second message would be taken for a repetition:
  /// what is not clean text is spelled in hexadecimal instead of being repaired. NUL counts as not
  /// clean because C interfaces further on would cut the text there, and so does a text that looks
  /// like such a spelling already.
  private static func identifier(_ bytes: amqp_bytes_t) -> String {
    let mark = "not-utf8:"
    if let text = bytes.strictText, !text.utf8.contains(0), !text.hasPrefix(mark) { return text }
    return mark + HexText.encode(bytes.lent)
  }
}

/// The application headers (schemas/README.md section 3), and one of the broker's own.
enum HeaderName {
  static let version = "congvan-version"
  static let sha256 = "congvan-sha256"
  static let offset = "congvan-offset"
  static let size = "congvan-size"
  static let deliveryCount = "x-delivery-count"
}
