import Foundation

/// Whether a word can be a Vietnamese syllable: initial, rhyme and tone fit together. It tells decoded
/// text from chance; it is no dictionary.
enum VietnameseSyllable {
  static func isOne(_ word: some StringProtocol) -> Bool {
    var tones: [UInt32] = []
    var plain = String.UnicodeScalarView()
    for scalar in word.lowercased().decomposedStringWithCanonicalMapping.unicodeScalars {
      // Grave, acute, tilde, hook above, dot below. The other marks make letters.
      if [0x300, 0x301, 0x303, 0x309, 0x323].contains(scalar.value) {
        tones.append(scalar.value)
      } else {
        plain.append(scalar)
      }
    }
    let letters = Array(String(plain).precomposedStringWithCanonicalMapping)
    guard tones.count <= 1, (1...7).contains(letters.count) else { return false }
    return (0...min(3, letters.count - 1)).contains { length in
      let initial = String(letters[..<length])
      let rhyme = String(letters[length...])
      guard initials.contains(initial), rhymes.contains(rhyme) else { return false }
      // Syllables that end in a stop have no tone but acute and dot below.
      let isStopped = ["c", "h", "p", "t"].contains(rhyme.last) && !rhyme.hasSuffix("nh")
      return !isStopped || tones.isEmpty || tones == [0x301] || tones == [0x323]
    }
  }

  private static let initials: Set<String> = [
    "", "b", "c", "ch", "d", "đ", "g", "gh", "gi", "h", "k", "kh", "l", "m", "n", "ng", "ngh", "nh",
    "p", "ph", "qu", "r", "s", "t", "th", "tr", "v", "x",
  ]

  private static let rhymes = Set(
    """
    a ac ach ai am an ang anh ao ap at au ay ăc ăm ăn ăng ăp ăt âc âm ân âng âp ât âu ây
    e ec em en eng eo ep et ê êch êm ên ênh êp êt êu i ia ich im in inh ip it iu
    iêc iêm iên iêng iêp iêt iêu y yêm yên yêt yêu yêng
    o oa oac oach oai oam oan oang oanh oao oap oat oay oăc oăm oăn oăng oăt oc oe oen oeo oet oi om on
    ong ooc oong op ot ô ôc ôi ôm ôn ông ôp ôt ơ ơi ơm ơn ơp ơt
    u ua uân uâng uât uây uc uê uêch uênh ui um un ung uơ uôc uôi uôm uôn uông uôt up ut uy uya uych
    uyên uyêt uynh uyt uyu ư ưa ưc ưi ưng ưt ươc ươi ươm ươn ương ươp ươt ươu ưu
    """.split { $0 == " " || $0 == "\n" }.map(String.init))
}
