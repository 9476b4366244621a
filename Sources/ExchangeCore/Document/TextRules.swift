import Foundation

/// Rules for Vietnamese text: Unicode in form NFC (TCVN 6909:2001, R-4.2), no control characters,
/// and lengths counted in Unicode scalars after normalisation.
package enum TextRules {
  /// Form NFC, without spaces around.
  package static func normalized(_ text: String) -> String {
    // Twice: Foundation takes composites such as U+0F73 apart and may leave the marks out of their
    // canonical order; a second pass, which has no composite to take apart, puts them right.
    text.precomposedStringWithCanonicalMapping.precomposedStringWithCanonicalMapping
      .trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Takes time in proportion to the length, whatever the text is: Foundation sorts a run of marks in
  /// quadratic time, so a long run that is out of its canonical order never comes to it.
  package static func isNFC(_ text: String) -> Bool {
    guard !text.utf8.allSatisfy({ $0 < 0x80 }) else { return true }
    var (last, run, isSorted) = (UInt8(0), 0, true)
    for scalar in text.unicodeScalars {
      let order = scalar.properties.canonicalCombiningClass.rawValue
      if order == 0 { (run, isSorted) = (0, true) } else { run += 1 }
      if order < last, order != 0 { isSorted = false }
      guard isSorted || run <= longestSortedRun, !scalar.properties.isFullCompositionExclusion
      else { return false }
      last = order
    }
    return Array(text.unicodeScalars)
      == Array(text.precomposedStringWithCanonicalMapping.unicodeScalars)
  }

  /// No language needs more marks on one letter (UAX #15, Stream-Safe Text Format).
  private static let longestSortedRun = 30

  /// What any text of the wire must not have, known member or not: a harmful character, or another
  /// form than NFC. Nil when there is nothing.
  static func breach(_ text: String) -> DocumentError? {
    if text.unicodeScalars.contains(where: isHarmful) {
      return DocumentError(.text, "has a control or text-direction character")
    }
    return isNFC(text) ? nil : DocumentError(.encoding, "is not in Unicode form NFC")
  }

  /// Throws unless `text` is non-empty NFC without control characters, at most `maximum` scalars.
  package static func check(_ text: String, field: String, maximum: Int) throws(DocumentError) {
    let count = text.unicodeScalars.count
    guard count > 0 else { throw DocumentError(.text, "\(field): must not be empty") }
    guard count <= maximum else {
      throw DocumentError(.text, "\(field): \(count) characters, at most \(maximum) are allowed")
    }
    guard text.unicodeScalars.allSatisfy({ !isHarmful($0) }) else {
      throw DocumentError(.text, "\(field): has a control or text-direction character")
    }
    guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
      throw DocumentError(.text, "\(field): has nothing but spaces")
    }
    guard isNFC(text) else {
      throw DocumentError(.encoding, "\(field): is not in Unicode form NFC")
    }
  }

  /// Throws when `text` looks like the pre-Unicode encodings TCVN3 or VNI shown as Latin-1: two or
  /// more letters that Vietnamese never uses.
  package static func checkEncoding(_ text: String, field: String) throws(DocumentError) {
    guard text.unicodeScalars.count(where: { foreign.contains($0) }) < 2 else {
      throw DocumentError(.encoding, "\(field): looks like TCVN3 or VNI text, not Unicode")
    }
  }

  /// C0, C1, line separators, bidirectional controls, zero-width and unassigned-by-design scalars:
  /// nothing that a name or a subject needs, and all of it able to mislead a reader.
  static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x61C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF,
      0xFFF9...0xFFFD, 0xE0000...0xE007F:
      true
    default: scalar.properties.isNoncharacterCodePoint
    }
  }

  private static let foreign = Set(
    "µ¸¶·¹¨»¾¼½Æ©ÇË®ÎÏÑª×ØÜÞßä«åæçë¬îïñö÷ûüþøÿÅÄÖ¤¥¦§°±".unicodeScalars)
}

extension TextRules {
  /// `text` made fit for a field: NFC, harmful characters replaced, cut to `maximum` scalars.
  /// Used where a reason quotes what a peer wrote.
  package static func fitting(_ text: String, maximum: Int) -> String {
    let scalars = normalized(text).unicodeScalars.prefix(maximum).map { scalar in
      isHarmful(scalar) ? "?" : scalar
    }
    let cut = normalized(String(String.UnicodeScalarView(scalars)))
    return cut.isEmpty ? "?" : cut
  }
}
