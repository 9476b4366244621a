/// The identifier of a unit (mã định danh cơ quan, `organId`), as the directory gives it.
///
/// At most 35 characters (Quyết định 20/2020/QĐ-TTg Điều 4; 13 under QĐ 28/2018), never parsed for
/// meaning. The characters are those that are safe in AMQP names and routing keys, so neither a
/// wildcard (`*`, `#`) nor a path separator can come in through an identifier.
package struct UnitID: Hashable, Sendable, Comparable, CustomStringConvertible, Codable {
  package static let maximumLength = 35

  package let rawValue: String

  /// Nil when `text` is empty, longer than 35, has a character outside `A–Z a–z 0–9 . _ -`, or does
  /// not begin with a letter or digit.
  package init?(_ text: String) {
    let scalars = text.unicodeScalars
    guard let first = scalars.first, scalars.count <= Self.maximumLength,
      scalars.allSatisfy(Self.isAllowed), first != ".", first != "-", first != "_"
    else { return nil }
    rawValue = text
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let unit = UnitID(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not a unit identifier of 1 to 35 of A-Z a-z 0-9 . _ -")
    }
    self = unit
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }

  package var description: String { rawValue }

  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "A"..."Z", "a"..."z", "0"..."9", ".", "_", "-": true
    default: false
    }
  }
}
