import Foundation

/// Rules for Vietnamese text: Unicode in form NFC (TCVN 6909:2001, R-4.2), no control characters,
/// something to see, and lengths counted in Unicode scalars after normalisation.
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
    guard !hasEndlessMarks(text),
      !text.unicodeScalars.contains(where: \.properties.isFullCompositionExclusion)
    else { return false }
    return Array(text.unicodeScalars)
      == Array(text.precomposedStringWithCanonicalMapping.unicodeScalars)
  }

  /// True of a text with a long run of marks out of their canonical order: comparing or normalising it
  /// takes quadratic time, so nothing but this may look at it. Takes linear time.
  static func hasEndlessMarks(_ text: String) -> Bool {
    var (last, run, isSorted) = (UInt8(0), 0, true)
    for scalar in text.unicodeScalars {
      let order = scalar.properties.canonicalCombiningClass.rawValue
      if order == 0 { (run, isSorted) = (0, true) } else { run += 1 }
      if order < last, order != 0 { isSorted = false }
      guard isSorted || run <= longestSortedRun else { return true }
      last = order
    }
    return false
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
    if let harm = harm(in: text) {
      throw DocumentError(
        .text, "\(field): \(harm)",
        next: "Delete that character: it is invisible, so type the words around it anew.")
    }
    guard isVisible(text) else {
      throw DocumentError(
        .text, "\(field): has nothing but spaces and invisible characters",
        next: "Write something there that can be read.")
    }
    guard isNFC(text) else {
      throw DocumentError(.encoding, "\(field): is not in Unicode form NFC")
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

  /// False when nothing of `text` can be seen: spaces, fillers of Hangul, the blank of Braille,
  /// variation selectors and the like.
  package static func isVisible(_ text: some StringProtocol) -> Bool {
    text.unicodeScalars.contains { !isHarmful($0) && !isBlank($0) }
  }

  /// As listed in the schemas' definition `text`.
  static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0xAD, 0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B...0x180F, 0x2800, 0x3164,
      0xFE00...0xFE0F, 0xFFA0:
      true
    default: scalar.properties.isWhitespace
    }
  }

  /// What is wrong with the first harmful character, and where it stands: “has U+202E RIGHT-TO-LEFT
  /// OVERRIDE after “hợp””. Nil when there is none.
  static func harm(in text: String) -> String? {
    let scalars = text.unicodeScalars
    guard let index = scalars.firstIndex(where: isHarmful) else { return nil }
    return "has \(label(scalars[index])) \(place(of: index, in: scalars))"
  }

  /// “U+200B ZERO WIDTH SPACE”.
  static func label(_ scalar: Unicode.Scalar) -> String {
    let hex = String(scalar.value, radix: 16, uppercase: true)
    let code = "U+" + String(repeating: "0", count: max(0, 4 - hex.count)) + hex
    let name = scalar.properties.name ?? scalar.properties.nameAlias
    return name.map { "\(code) \($0)" } ?? "\(code) (a control character)"
  }

  /// The word before a character: at most its last 20 characters.
  static func place(of index: String.UnicodeScalarView.Index, in text: String.UnicodeScalarView)
    -> String
  {
    let before = text[..<index].filter { !isHarmful($0) }
    let word = before.split(whereSeparator: \.properties.isWhitespace).last ?? before[...]
    let shown = String(String.UnicodeScalarView(word.suffix(20)))
    return shown.isEmpty ? "at the beginning" : "after “\(shown)”"
  }
}

extension TextRules {
  /// `text` made fit for a field: NFC, harmful characters replaced, cut to `maximum` scalars.
  /// Used where a reason quotes what a peer wrote.
  package static func fitting(_ text: String, maximum: Int) -> String {
    // Cut before it is normalised: a peer may have written it as long as a message.
    let start = String(String.UnicodeScalarView(text.unicodeScalars.prefix(4 * maximum)))
    let scalars = normalized(start).unicodeScalars.prefix(maximum).map { scalar in
      isHarmful(scalar) ? "?" : scalar
    }
    let cut = normalized(String(String.UnicodeScalarView(scalars)))
    return isVisible(cut) ? cut : "?"
  }
}
