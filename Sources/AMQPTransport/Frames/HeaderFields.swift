import CRabbitMQ

/// The `headers` table of a message, reduced to what a congvan header can be: a whole number or a
/// text. Clients differ in the AMQP type they pick for either, so every integer type counts as a
/// number and both string types as text; all other types are dropped.
struct HeaderFields {
  private var integers: [String: Int64] = [:]
  private var texts: [String: String] = [:]

  init() {}

  /// Copies the table; `table` is only borrowed. Of two equal keys the first counts.
  init(_ table: amqp_table_t) {
    let entries = UnsafeBufferPointer(
      start: table.entries, count: table.entries == nil ? 0 : Int(max(0, table.num_entries)))
    for entry in entries {
      guard let key = entry.key.strictText, integers[key] == nil, texts[key] == nil else {
        continue
      }
      if let number = Self.integer(entry.value) {
        integers[key] = number
      } else if entry.value.kind == Self.kind(AMQP_FIELD_KIND_UTF8)
        || entry.value.kind == Self.kind(AMQP_FIELD_KIND_BYTES)
      {
        texts[key] = entry.value.value.bytes.strictText
      }
    }
  }

  func integer(_ key: String) -> Int64? { integers[key] }

  func text(_ key: String) -> String? { texts[key] }

  private static func kind(_ kind: amqp_field_value_kind_t) -> UInt8 {
    UInt8(truncatingIfNeeded: kind.rawValue)
  }

  private static func integer(_ field: amqp_field_value_t) -> Int64? {
    switch field.kind {
    case kind(AMQP_FIELD_KIND_I8): Int64(field.value.i8)
    case kind(AMQP_FIELD_KIND_U8): Int64(field.value.u8)
    case kind(AMQP_FIELD_KIND_I16): Int64(field.value.i16)
    case kind(AMQP_FIELD_KIND_U16): Int64(field.value.u16)
    case kind(AMQP_FIELD_KIND_I32): Int64(field.value.i32)
    case kind(AMQP_FIELD_KIND_U32): Int64(field.value.u32)
    case kind(AMQP_FIELD_KIND_I64): field.value.i64
    case kind(AMQP_FIELD_KIND_U64): Int64(exactly: field.value.u64)
    default: nil
    }
  }
}
