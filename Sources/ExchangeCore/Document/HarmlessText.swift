/// Text of somebody else – a peer, the broker, a file's name – as it may stand on a terminal, in a
/// line of the log and in a table: no scalar of it acts, and it stays on its line.
///
/// What a reader needs stays as it is: letters of every script, marks, emoji. What acts or hides is
/// shown instead: a line feed as `\n`, an escape character as `\u{1B}`.
package enum HarmlessText {
  /// Marks on one letter; more of them would be drawn over the lines around.
  private static let maximumMarks = 8

  /// `text` on one line. Beyond `maximum` scalars it is cut, and the end says how many there were.
  package static func line(_ text: String, maximum: Int = Int.max) -> String {
    if text.utf8.count <= maximum, text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) {
      return text
    }
    var result = ""
    var marks = 0
    var count = 0
    for scalar in text.unicodeScalars {
      guard count < maximum else {
        result += "… (\(text.unicodeScalars.count) characters)"
        break
      }
      count += 1
      marks = isMark(scalar) ? marks + 1 : 0
      if acts(scalar) || marks > maximumMarks {
        result += shown(scalar)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// True for what moves the cursor, changes the direction of text, ends a line, or is invisible and
  /// no part of a word: control and format characters, line and paragraph separators, and what
  /// Unicode will never assign. The joiners stay: emoji and some scripts are written with them.
  package static func acts(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x20..<0x7F, 0x200C, 0x200D: return false
    default: break
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: return true
    default: return scalar.properties.isNoncharacterCodePoint
    }
  }

  private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    guard scalar.value >= 0x300 else { return false }
    return switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark: true
    default: false
    }
  }

  private static func shown(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
    }
  }
}
