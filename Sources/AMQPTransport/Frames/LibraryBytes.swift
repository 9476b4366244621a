import CRabbitMQ

extension amqp_bytes_t {
  /// The bytes, lent: valid only until the library's buffers are released.
  var lent: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : len)
  }

  /// A copy as text; ill-formed UTF-8 is repaired. For names and reasons, never for identifiers.
  var text: String { String(decoding: lent, as: UTF8.self) }

  /// A copy as text, or nil when it is not well-formed UTF-8.
  var strictText: String? { String(validating: lent, as: UTF8.self) }
}
