import Foundation

/// What a person typed or pasted, made ready for the rules of `TextRules`: Word and web pages bring along
/// characters that nobody sees and nobody meant.
package struct CleanedText: Sendable, Hashable {
  /// Form NFC, without spaces around. Line breaks, tabs and hard spaces are spaces; invisible
  /// characters without a meaning are gone. Text directions and other controls are still there, for
  /// the rules to refuse: to drop them could change what is read.
  package let text: String
  /// Labels of what was removed, with the place of the first: “U+200B ZERO WIDTH SPACE after “số””.
  package let removed: [String]

  package init(_ input: String) {
    let scalars = input.precomposedStringWithCanonicalMapping.unicodeScalars
    var kept = String.UnicodeScalarView()
    var removed: [String] = []
    var seen: Set<Unicode.Scalar> = []
    // Inside a row of spaces that began with something else than a space.
    var isBreaking = false
    for index in scalars.indices {
      let scalar = scalars[index]
      if Self.isSpacing(scalar) {
        isBreaking = true
        if kept.last != " " { kept.append(" ") }
      } else if Self.isInvisible(scalar) {
        // A mark at the very beginning is how programs begin a text.
        guard scalar.value != 0xFEFF || index != scalars.startIndex,
          seen.insert(scalar).inserted
        else { continue }
        removed.append(
          "\(TextRules.label(scalar)) \(TextRules.place(of: index, in: scalars))")
      } else if scalar != " " || !isBreaking {
        isBreaking = false
        kept.append(scalar)
      }
    }
    text = TextRules.normalized(String(kept))
    self.removed = removed
  }

  /// What stands for a space, or for the end of a line.
  private static func isSpacing(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0D, 0x85, 0xA0, 0x2007, 0x2028, 0x2029, 0x202F: true
    default: false
    }
  }

  /// Zero-width spaces and joiners, marks of byte order, soft hyphens.
  private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0xAD, 0x180E, 0x200B...0x200D, 0x2060, 0xFEFF: true
    default: false
    }
  }
}
