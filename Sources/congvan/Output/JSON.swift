import ExchangeCore

/// JSON with explicit nulls and documented member names. Valid in every case, and harmless on a
/// terminal: what acts there (control and format characters) is escaped.
indirect enum JSON {
  case string(String)
  case number(Double)
  case integer(Int64)
  case bool(Bool)
  case null
  case array([JSON])
  case object([String: JSON])

  static func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
  static func time(_ value: Timestamp?) -> JSON { .text(value?.iso8601) }

  /// The text with two spaces a level, members sorted by name.
  func written(indent: Int = 0) -> String {
    var text = ""
    write(to: &text, indent: indent)
    return text
  }

  private func write(to text: inout String, indent: Int) {
    switch self {
    case .string(let value): Self.write(value, to: &text)
    case .number(let value): text += value.isFinite ? "\(value)" : "null"
    case .integer(let value): text += "\(value)"
    case .bool(let value): text += value ? "true" : "false"
    case .null: text += "null"
    case .array(let values):
      Self.list("[", "]", values, to: &text, indent: indent) { value, text, indent in
        value.write(to: &text, indent: indent)
      }
    case .object(let members):
      let sorted = members.sorted { $0.key < $1.key }
      Self.list("{", "}", sorted, to: &text, indent: indent) { member, text, indent in
        Self.write(member.key, to: &text)
        text += ": "
        member.value.write(to: &text, indent: indent)
      }
    }
  }

  private static func list<Item>(
    _ open: String, _ close: String, _ items: [Item], to text: inout String, indent: Int,
    _ write: (Item, inout String, Int) -> Void
  ) {
    guard !items.isEmpty else {
      return text += open + "\n\n" + String(repeating: " ", count: indent) + close
    }
    let inner = indent + 2
    text += open
    for (position, item) in items.enumerated() {
      text += (position == 0 ? "\n" : ",\n") + String(repeating: " ", count: inner)
      write(item, &text, inner)
    }
    text += "\n" + String(repeating: " ", count: indent) + close
  }

  private static func write(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where HarmlessText.acts(scalar):
        for unit in UTF16.encode(scalar).map(Array.init) ?? [] {
          let digits = String(unit, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
