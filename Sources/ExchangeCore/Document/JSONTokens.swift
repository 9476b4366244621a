import Foundation

/// Reads JSON text token by token and refuses everything that RFC 8259 does not allow.
///
/// Foundation's decoder reads more than that: trailing commas, `01`, raw control characters, and
/// whatever stands in members that nobody asks for. A signature must not depend on which reader
/// looks at the text, so the grammar is checked here, before Foundation decodes.
/// One pass, no recursion; the memory is bounded by the length of the text.
struct JSONTokens {
  enum Token {
    case objectStart
    case objectEnd
    case arrayStart
    case arrayEnd
    case name(Text)
    case string(Text)
    case number(Range<Int>)
    case boolean
    case null
  }

  /// A string between its quotes, as positions in the text.
  struct Text {
    let range: Range<Int>
    let hasEscape: Bool
    /// True when every character is visible ASCII or a space, and written as itself.
    let isPlain: Bool
  }

  struct Fault: Error {
    /// Bytes from the beginning of the text.
    let offset: Int
    let reason: String
  }

  private enum Expected {
    case value
    /// Behind `[`.
    case elementOrEnd
    /// Behind `{`.
    case memberOrEnd
    /// Behind a comma in an object.
    case member
    case commaOrEnd
    case nothing
  }

  let bytes: [UInt8]
  private var position = 0
  private var expected = Expected.value
  /// The open containers, outermost first; true for an object.
  private var isObject: [Bool] = []

  /// Throws when `bytes` is not UTF-8.
  init(_ bytes: Data) throws(Fault) {
    self.bytes = Array(bytes)
    guard String(validating: self.bytes, as: UTF8.self) != nil else {
      throw Fault(offset: 0, reason: "it is not UTF-8")
    }
  }

  /// The next token; nil at the end of a complete text.
  mutating func next() throws(Fault) -> Token? {
    skipSpace()
    if expected == .commaOrEnd, current == UInt8(ascii: ",") {
      position += 1
      expected = isObject.last == true ? .member : .value
      skipSpace()
    }
    guard let byte = current else {
      guard expected == .nothing else { throw fault("it ends too early") }
      return nil
    }
    switch (expected, byte) {
    case (.nothing, _): throw fault("something follows its end")
    case (.commaOrEnd, _), (.elementOrEnd, UInt8(ascii: "]")), (.memberOrEnd, UInt8(ascii: "}")):
      return try close(byte)
    case (.memberOrEnd, _), (.member, _): return .name(try name(byte))
    case (.value, _), (.elementOrEnd, _): return try value(byte)
    }
  }

  /// The characters of a string, its escapes resolved.
  func decoded(_ text: Text) -> String {
    guard text.hasEscape else { return String(decoding: bytes[text.range], as: UTF8.self) }
    var units: [UInt16] = []
    var plain = text.range.lowerBound
    var index = plain
    func flush() { units += String(decoding: bytes[plain..<index], as: UTF8.self).utf16 }
    while index < text.range.upperBound {
      guard bytes[index] == UInt8(ascii: "\\") else {
        index += 1
        continue
      }
      flush()
      let letter = bytes[index + 1]
      if letter == UInt8(ascii: "u") {
        units.append(hexadecimal(at: index + 2) ?? 0)
        index += 6
      } else {
        units.append(UInt16(Self.escapes[letter] ?? letter))
        index += 2
      }
      plain = index
    }
    flush()
    return String(decoding: units, as: UTF16.self)
  }

  private static let escapes: [UInt8: UInt8] = [
    UInt8(ascii: "\""): 0x22, UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "/"): 0x2F,
    UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C, UInt8(ascii: "n"): 0x0A,
    UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
  ]

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func fault(_ reason: String) -> Fault { Fault(offset: position, reason: reason) }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private mutating func close(_ byte: UInt8) throws(Fault) -> Token {
    let closesObject = byte == UInt8(ascii: "}")
    guard closesObject || byte == UInt8(ascii: "]"), isObject.last == closesObject else {
      throw fault("a comma or the end of an object or array is missing")
    }
    position += 1
    isObject.removeLast()
    valueEnded()
    return closesObject ? .objectEnd : .arrayEnd
  }

  private mutating func valueEnded() { expected = isObject.isEmpty ? .nothing : .commaOrEnd }

  private mutating func name(_ byte: UInt8) throws(Fault) -> Text {
    guard byte == UInt8(ascii: "\"") else { throw fault("the name of a member is missing") }
    let text = try string()
    skipSpace()
    guard current == UInt8(ascii: ":") else { throw fault("a colon is missing") }
    position += 1
    expected = .value
    return text
  }

  private mutating func value(_ byte: UInt8) throws(Fault) -> Token {
    switch byte {
    case UInt8(ascii: "{"):
      position += 1
      isObject.append(true)
      expected = .memberOrEnd
      return .objectStart
    case UInt8(ascii: "["):
      position += 1
      isObject.append(false)
      expected = .elementOrEnd
      return .arrayStart
    case UInt8(ascii: "\""):
      let text = try string()
      valueEnded()
      return .string(text)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      let number = try number()
      valueEnded()
      return .number(number)
    default:
      let token = try literal()
      valueEnded()
      return token
    }
  }

  private mutating func literal() throws(Fault) -> Token {
    let words: [(text: StaticString, token: Token)] = [
      ("true", .boolean), ("false", .boolean), ("null", .null),
    ]
    for word in words {
      let isHere = word.text.withUTF8Buffer { bytes[position...].starts(with: $0) }
      guard isHere else { continue }
      position += word.text.utf8CodeUnitCount
      return word.token
    }
    throw fault("a value is missing, or is none of JSON")
  }

  /// `-`? (`0` | `1`–`9` digits) (`.` digits)? (`e` sign? digits)?
  private mutating func number() throws(Fault) -> Range<Int> {
    let start = position
    if current == UInt8(ascii: "-") { position += 1 }
    let first = position
    try digits()
    guard bytes[first] != UInt8(ascii: "0") || position == first + 1 else {
      throw fault("a number begins with a zero")
    }
    if current == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    return start..<position
  }

  private mutating func digits() throws(Fault) {
    let start = position
    while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      position += 1
    }
    guard position > start else { throw fault("a digit is missing in a number") }
  }

  private mutating func string() throws(Fault) -> Text {
    position += 1
    let start = position
    var hasEscape = false
    var isPlain = true
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return Text(
          range: start..<position - 1, hasEscape: hasEscape, isPlain: isPlain && !hasEscape)
      case UInt8(ascii: "\\"):
        hasEscape = true
        try escape()
      case 0..<0x20: throw fault("a string has a control character that is not escaped")
      default:
        if byte >= 0x7F { isPlain = false }
        position += 1
      }
    }
    throw fault("a string does not end")
  }

  private mutating func escape() throws(Fault) {
    guard position + 1 < bytes.count else { throw fault("a string does not end") }
    let letter = bytes[position + 1]
    guard letter == UInt8(ascii: "u") else {
      guard Self.escapes[letter] != nil else { throw fault("an escape is none of JSON") }
      position += 2
      return
    }
    guard let unit = hexadecimal(at: position + 2) else {
      throw fault("\\u is not followed by four hexadecimal digits")
    }
    guard UTF16.isSurrogate(unit) else {
      position += 6
      return
    }
    guard UTF16.isLeadSurrogate(unit), bytes[(position + 6)...].starts(with: [0x5C, 0x75]),
      let low = hexadecimal(at: position + 8), UTF16.isTrailSurrogate(low)
    else { throw fault("an escape is half of a surrogate pair") }
    position += 12
  }

  /// Four hexadecimal digits; nil when one of them is something else.
  private func hexadecimal(at index: Int) -> UInt16? {
    guard index + 4 <= bytes.count else { return nil }
    var value: UInt16 = 0
    for byte in bytes[index..<index + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
      value = value << 4 | UInt16(digit)
    }
    return value
  }
}
