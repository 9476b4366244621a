package import Foundation

/// A SHA-256 value (FIPS 180-4): 32 bytes, 64 lower-case hexadecimal digits as text.
///
/// The core cannot compute one: `ContentHashing` is the port that does.
package struct SHA256Digest: Hashable, Sendable, CustomStringConvertible, Codable {
  package static let byteCount = 32

  package let bytes: Data

  /// Nil unless `bytes` is exactly 32 long.
  package init?(bytes: Data) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = Data(bytes)
  }

  /// Nil unless `hex` is exactly 64 lower-case hexadecimal digits. Upper case is refused so that
  /// one digest has one spelling: it becomes a file name.
  package init?(hex: String) {
    guard hex.utf8.count == 64, let bytes = HexText.decode(hex) else { return nil }
    self.bytes = Data(bytes)
  }

  package var hex: String { HexText.encode(bytes) }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let digest = SHA256Digest(hex: try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not 64 lower-case hexadecimal digits")
    }
    self = digest
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(hex)
  }

  package var description: String { hex }
}

/// Lower-case hexadecimal text.
package enum HexText {
  package static func encode(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil for an odd length or anything but `0–9 a–f`.
  package static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in text.utf8 {
      let value: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    return high == nil ? bytes : nil
  }
}
