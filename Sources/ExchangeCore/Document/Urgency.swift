import Foundation

/// The urgency of a document (độ khẩn), NĐ 30/2020 Annex I III.2 b; raw values are edXML
/// `Priority` 0–3.
package enum Urgency: Int, Sendable, Hashable, CaseIterable, Comparable, Codable {
  case normal = 0
  case urgent = 1
  case veryUrgent = 2
  case flash = 3

  package var vietnamese: String {
    switch self {
    case .normal: "thường"
    case .urgent: "khẩn"
    case .veryUrgent: "thượng khẩn"
    case .flash: "hỏa tốc"
    }
  }

  /// Reads `khẩn`, `thượng-khẩn`, `hoa toc` …: with or without marks, any of space, `-`, `_`.
  package init?(vietnamese text: String) {
    let key = Self.key(text)
    guard let found = Self.allCases.first(where: { Self.key($0.vietnamese) == key }) else {
      return nil
    }
    self = found
  }

  /// Urgent documents travel in the express lane.
  package var lane: Lane { self == .normal ? .ordinary : .express }

  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  private static func key(_ text: String) -> String {
    let plain = TextRules.normalized(text).lowercased().decomposedStringWithCanonicalMapping
      .unicodeScalars.filter { !(0x300...0x36F).contains($0.value) }
    return String(String.UnicodeScalarView(plain))
      .replacing("-", with: " ").replacing("_", with: " ")
  }
}
