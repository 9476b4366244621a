/// Text in an encoding from before Unicode that was taken for Latin-1: “QuyÕt ®Þnh” (TCVN3), “Quyeát ñònh”
/// (VNI).
///
/// Single letters prove nothing: ° ± « ½ ö ñ stand in good Unicode text too. So words are decoded, and only
/// what becomes Vietnamese syllables counts, and only when it was not one before.
package struct LegacyEncoding: Sendable, Hashable {
  /// TCVN3 or VNI.
  package let name: String
  /// The whole text as it was probably meant.
  package let decoded: String
  /// True when words that decode are all there is: nothing speaks for Unicode. Otherwise it is a guess.
  package let isCertain: Bool

  /// Nil for text that does not look like either.
  package static func detect(_ text: String) -> LegacyEncoding? {
    let candidates: [(name: String, decode: (String) -> String)] = [
      ("TCVN3", decodeTCVN3), ("VNI", decodeVNI),
    ]
    return candidates.compactMap { review(text, as: $0.name, $0.decode) }
      .max { $0.words < $1.words }?.finding
  }

  private static func review(_ text: String, as name: String, _ decode: (String) -> String) -> (
    words: Int, finding: LegacyEncoding
  )? {
    var (legacy, unicode, foreign) = (0, 0, 0)
    var hasSymbol = false
    for word in text.split(whereSeparator: { isSeparator($0) }) {
      let scalars = word.unicodeScalars
      guard scalars.contains(where: { $0.value > 0x7F }) else { continue }
      // A sign alone, beside digits, or before a unit of measure (µm) is a sign.
      guard scalars.contains(where: { $0.value < 0x80 && $0.properties.isAlphabetic }),
        !scalars.contains(where: { ("0"..."9").contains($0) }), scalars.first != "µ"
      else { continue }
      let meant = decode(String(word))
      if VietnameseSyllable.isOne(word) {
        unicode += 1
      } else if VietnameseSyllable.isOne(meant) {
        legacy += 1
        hasSymbol = hasSymbol || scalars.contains { isSymbol($0) }
      } else if !isAbbreviation(meant) {
        foreign += 1
      }
    }
    // Letters that Latin-1 does not have are of a text that is Unicode already, at least in part.
    let isMixed =
      text.unicodeScalars.contains { (0x100..<0x300).contains($0.value) }
      || text.unicodeScalars.contains { (0x1EA0..<0x1F00).contains($0.value) }
    let isPure = legacy >= 2 && foreign == 0 && !isMixed && legacy >= unicode
    // Two short words of Danish or German may happen to be syllables; signs inside words do not happen.
    let isCertain = isPure && (legacy >= 3 || hasSymbol)
    guard isPure || legacy >= 3 && legacy > foreign || legacy >= 1 && hasSymbol && foreign == 0
    else { return nil }
    return (legacy, LegacyEncoding(name: name, decoded: decode(text), isCertain: isCertain))
  }

  private static func isSeparator(_ character: Character) -> Bool {
    character.isWhitespace || "-–—/\\.,;:!?()[]{}\"'“”‘’_&+*=|<>".contains(character)
  }

  /// A sign of Latin-1 that stands in no word of any language, but the two ordinals.
  private static func isSymbol(_ scalar: Unicode.Scalar) -> Bool {
    (0xA1...0xBF).contains(scalar.value) && !scalar.properties.isAlphabetic || scalar == "ª"
      || scalar == "µ"
  }

  /// “LĐLĐ”, “QĐ”: capitals without a rhyme.
  private static func isAbbreviation(_ word: String) -> Bool {
    word.contains("Đ") && word.allSatisfy { $0.isUppercase }
  }

  // MARK: TCVN3 (TCVN 5712:1993, VN3)

  private static let tcvn3: [Unicode.Scalar: Unicode.Scalar] = {
    let rows: [(UInt32, String)] = [
      (0xA1, "ĂÂÊÔƠƯĐăâêôơưđ"), (0xB5, "àảãáạ"), (0xBB, "ằẳẵắ"), (0xC6, "ặầẩẫấậè"),
      (0xCE, "ẻẽéẹềểễếệìỉ"),
      (0xDC, "ĩíịò"), (0xE1, "ỏõóọồổỗốộờởỡớợù"), (0xF1, "ủũúụừửữứựỳỷỹýỵ"),
    ]
    var table: [Unicode.Scalar: Unicode.Scalar] = [:]
    for (first, letters) in rows {
      for (offset, letter) in letters.unicodeScalars.enumerated() {
        if let code = Unicode.Scalar(first + UInt32(offset)) { table[code] = letter }
      }
    }
    return table
  }()

  private static func decodeTCVN3(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { tcvn3[$0] ?? $0 }))
  }

  // MARK: VNI (letters followed by their marks)

  private static let vniPairs: [String: String] = {
    let marks = [
      "a": "aùáaøàaûảaõãaïạaââaáấaàầaåẩaãẫaäậaêăaéắaèằaúẳaüẵaëặ",
      "e": "eùéeøèeûẻeõẽeïẹeâêeáếeàềeåểeãễeäệ",
      "o": "oùóoøòoûỏoõõoïọoâôoáốoàồoåổoãỗoäộ", "u": "uùúuøùuûủuõũuïụ", "y": "yùýyøỳyûỷyõỹ",
      "ô": "ôùớôøờôûởôõỡôïợ", "ö": "öùứöøừöûửöõữöïự",
    ]
    var table: [String: String] = [:]
    for letters in marks.values.map(Array.init) {
      for start in stride(from: 0, to: letters.count - 2, by: 3) {
        let (pair, letter) = (String(letters[start...start + 1]), String(letters[start + 2]))
        table[pair] = letter
        table[pair.uppercased()] = letter.uppercased()
        table[pair.prefix(1).uppercased() + pair.suffix(1)] = letter.uppercased()
      }
    }
    return table
  }()

  private static let vniSingles: [Character: Character] = [
    "ñ": "đ", "Ñ": "Đ", "ô": "ơ", "Ô": "Ơ", "ö": "ư", "Ö": "Ư", "æ": "ỉ", "Æ": "Ỉ", "ó": "ĩ",
    "Ó": "Ĩ",
    "ò": "ị", "Ò": "Ị", "î": "ỵ", "Î": "Ỵ",
  ]

  private static func decodeVNI(_ text: String) -> String {
    let letters = Array(text)
    var result = ""
    var index = 0
    while index < letters.count {
      if index + 1 < letters.count,
        let letter = vniPairs[String(letters[index]) + String(letters[index + 1])]
      {
        result += letter
        index += 2
      } else {
        result.append(vniSingles[letters[index]] ?? letters[index])
        index += 1
      }
    }
    return result
  }
}
