/// A UUID version 7 (RFC 9562 5.7) in its canonical lower-case form: the id of a document or of a
/// status, set once by its issuer and kept through every retry and resend.
package struct RecordID: Hashable, Sendable, Comparable, CustomStringConvertible, Codable {
  package let rawValue: String

  /// Nil unless `text` is a lower-case canonical UUIDv7.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count == 36 else { return nil }
    for (index, byte) in bytes.enumerated() {
      switch index {
      case 8, 13, 18, 23: guard byte == UInt8(ascii: "-") else { return nil }
      case 14: guard byte == UInt8(ascii: "7") else { return nil }
      case 19: guard "89ab".utf8.contains(byte) else { return nil }
      default: guard "0123456789abcdef".utf8.contains(byte) else { return nil }
      }
    }
    rawValue = text
  }

  /// A new id: 48 bits of Unix milliseconds, then 74 random bits.
  package init(at time: Timestamp, using random: inout some RandomNumberGenerator) {
    let milliseconds = UInt64(bitPattern: time.microseconds / 1000)
    let high = (milliseconds << 16) | 0x7000 | UInt64.random(in: 0...0xFFF, using: &random)
    let low = (0b10 << 62) | (UInt64.random(in: 0...UInt64.max, using: &random) >> 2)
    let hex = HexText.encode(high.bigEndianBytes + low.bigEndianBytes)
    var text = ""
    for (index, character) in hex.enumerated() {
      if [8, 12, 16, 20].contains(index) { text.append("-") }
      text.append(character)
    }
    rawValue = text
  }

  package init(at time: Timestamp) {
    var random = SystemRandomNumberGenerator()
    self.init(at: time, using: &random)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let id = RecordID(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not a lower-case UUID version 7")
    }
    self = id
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }

  package var description: String { rawValue }

  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension UInt64 {
  fileprivate var bigEndianBytes: [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: self >> UInt64(56 - 8 * $0)) }
  }
}
