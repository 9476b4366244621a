import ExchangeCore
import Foundation
import Testing

/// What clerks paste: unseen characters are taken out, and text from before Unicode is told from good text.
@Suite struct EnteredTextTests {
  @Test(arguments: [
    ("Dòng một\nDòng hai", "Dòng một Dòng hai"), ("Dòng một\r\n  Dòng hai", "Dòng một Dòng hai"),
    ("cột\tmột", "cột một"), ("số\u{A0}159", "số 159"), ("a\u{2028}b\u{2029}c\u{85}d", "a b c d"),
    ("a \n b", "a b"), ("\u{FEFF}Quyết định\n", "Quyết định"), ("hai  dấu cách", "hai  dấu cách"),
    ("trang\u{C}hai\u{B}ba", "trang hai ba"),
  ])
  func breaksAreSpaces(_ input: String, _ expected: String) {
    let cleaned = CleanedText(input)
    #expect(cleaned.text == expected)
    #expect(cleaned.removed == [])
  }

  @Test(arguments: [
    ("Về\u{200B} việc", "Về việc", "U+200B ZERO WIDTH SPACE after “Về”"),
    ("Thông\u{AD}báo", "Thôngbáo", "U+00AD SOFT HYPHEN after “Thông”"),
    ("a\u{200D}b", "ab", "U+200D ZERO WIDTH JOINER after “a”"),
    ("a\u{200C}b\u{200C}c", "abc", "U+200C ZERO WIDTH NON-JOINER after “a”"),
    ("a\u{2060}", "a", "U+2060 WORD JOINER after “a”"),
    ("họp \u{FEFF}ngày 1", "họp ngày 1", "U+FEFF ZERO WIDTH NO-BREAK SPACE after “họp”"),
    ("\u{200B}đầu", "đầu", "U+200B ZERO WIDTH SPACE at the beginning"),
  ])
  func unseenCharactersAreTakenOut(_ input: String, _ expected: String, _ label: String) throws {
    let cleaned = CleanedText(input)
    #expect(cleaned.text == expected)
    #expect(cleaned.removed == [label])
    try TextRules.check(cleaned.text, field: "subject", maximum: 500)
  }

  /// What could change the meaning is left for the rules to refuse.
  @Test(arguments: [
    "a\u{202E}b", "a\u{200F}b", "a\u{7}b", "a\u{E0041}b", "a\u{FFFD}b", "a\u{2066}b",
  ])
  func textDirectionsAreRefusedAndNotTakenOut(_ input: String) {
    let cleaned = CleanedText(input)
    #expect(cleaned.text == input && cleaned.removed == [])
    #expect(throws: DocumentError(.text, "")) {
      try TextRules.check(cleaned.text, field: "subject", maximum: 500)
    }
  }

  /// Good Unicode with signs and letters of other languages.
  @Test(arguments: [
    "Quyết định số 159 về việc ban hành Quy chế", "Công đoàn Müller & Cộng sự",
    "ĐẠI HỘI CÔNG ĐOÀN — NHIỆM KỲ 2023–2028", "Khoá học hè, quý III, giá 5.000 đ",
    "Bảo đảm nhiệt độ 25°C ±2°C", "«Lao động giỏi, Lao động sáng tạo»", "Phòng 3×4 m và 4×5 m",
    "Nghỉ ½ ngày, làm bù ½ ngày", "Công ty TNHH Röchling Präzision", "± 5 % và ± 10 %",
    "Hôtel Métropole Hà Nội", "Société Générale", "Crédit Agricole à Genève", "Noël à l’école",
    "São Paulo, João, Conceição", "Señor Muñoz, España, año 2025", "Größe, Maße, Straße, Öl",
    "Müller, Jäger, Schröder", "Åse Bjørnsen, Sørensen", "Ångström 5 Å", "Citroën C3, Lätta",
    "§ 5 và § 7", "© 2026 ® và ™", "10 µm, 20 µm", "x² + y² = z³ · 5 ÷ 2", "¿Qué? ¡Sí!", "Αθήνα, Ω",
    "Résumé, naïve, façade", "Đà Nẵng, Huế, 12 ÷ 15 °C", "Báo cáo quý, lá cờ, cá", "Trà Vinh",
    "Đảng bộ — «Nghị quyết» 10 ½", "Thé", "Lê Văn Hà", "Hà Nam", "Cà Mau", "TÂN AN", "Cô Tô",
    "La Vèze, Besançon", "Malmö, Göteborg", "Übersee Fähre", "Perú, Bogotá, México",
    "Loïc và Caïn của đoàn Pháp", "Kraków, Łódź", "£5, ¥6, €7, ¢8", "A¹, B², C³", "a·b·c",
    "5 µg và 3 µl",
    "Nº 5, 1ª, 2º", "Bắc Kạn — Cao Bằng", "Vụ án “số 1”… xử lý", "Công ty Nestlé Việt Nam",
  ])
  func goodTextIsNotTakenForOld(_ text: String) {
    #expect(LegacyEncoding.detect(TextRules.normalized(text)) == nil, "\(text)")
  }

  static let sentences = [
    "Quyết định ban hành Quy chế", "Liên đoàn lao động tỉnh",
    "Về việc tổ chức Đại hội công đoàn cơ sở",
    "Báo cáo kết quả hoạt động quý ba", "Thông báo nghỉ lễ và phân công trực",
    "Hướng dẫn bình xét thi đua cuối năm", "Nguyễn Văn Đệ", "Kế hoạch kiểm tra tài chính",
    "Đề nghị khen thưởng cá nhân có thành tích xuất sắc",
  ]

  /// Real TCVN3, as it looks when it is taken for Latin-1: made from the table of the standard.
  @Test(arguments: sentences)
  func realTCVN3IsFound(_ sentence: String) throws {
    let old = Self.tcvn3(sentence)
    #expect(old != sentence)
    let found = try #require(LegacyEncoding.detect(old), "\(old)")
    #expect(found.name == "TCVN3" && found.isCertain)
    #expect(found.decoded == sentence)
  }

  @Test(arguments: sentences)
  func realVNIIsFound(_ sentence: String) throws {
    let old = Self.vni(sentence)
    let found = try #require(LegacyEncoding.detect(old), "\(old)")
    #expect(found.name == "VNI" && found.isCertain, "\(found)")
    #expect(found.decoded == sentence)
  }

  @Test(arguments: [
    ("QuyÕt ®Þnh ban hµnh", "Quyết định ban hành"), ("Liªn ®oµn lao ®éng", "Liên đoàn lao động"),
    ("NguyÔn V¨n ®Ö", "Nguyễn Văn đệ"), ("Quyeát ñònh soá möôøi", "Quyết định số mười"),
  ])
  func knownOnesAreCertain(_ text: String, _ meant: String) throws {
    let found = try #require(LegacyEncoding.detect(text))
    #expect(found.isCertain && found.decoded == meant)
  }

  /// Good text with an old part pasted into it: a doubt, no certainty.
  @Test(arguments: [
    "Sø Bø", "CÔNG ÑOAØN VIEÄT NAM", "Kính gửi: Liªn ®oµn lao ®éng tỉnh",
    "Công ty Röchling: b¸o c¸o cña phßng",
  ])
  func mixedTextIsDoubted(_ text: String) throws {
    #expect(try #require(LegacyEncoding.detect(text)).isCertain == false)
  }

  // MARK: Encoding

  /// TCVN 5712:1993 (VN3), code of each letter.
  private static let table: [(UInt32, String)] = [
    (0xA1, "ĂÂÊÔƠƯĐăâêôơưđ"), (0xB5, "àảãáạ"), (0xBB, "ằẳẵắ"), (0xC6, "ặầẩẫấậè"),
    (0xCE, "ẻẽéẹềểễếệìỉ"),
    (0xDC, "ĩíịò"), (0xE1, "ỏõóọồổỗốộờởỡớợù"), (0xF1, "ủũúụừửữứựỳỷỹýỵ"),
  ]

  private static func tcvn3(_ text: String) -> String {
    String(
      text.map { letter -> Character in
        for (first, letters) in table {
          if let offset = Array(letters).firstIndex(of: letter),
            let scalar = Unicode.Scalar(first + UInt32(offset))
          {
            return Character(scalar)
          }
        }
        return letter
      })
  }

  /// VNI: base letter, then a mark; đ, ư, ơ and some of i and y have a letter of their own.
  private static func vni(_ text: String) -> String {
    text.map { character -> String in
      let isUpper = character.isUppercase
      let scalars = Array(
        String(character).lowercased().decomposedStringWithCanonicalMapping.unicodeScalars)
      guard let base = scalars.first else { return "" }
      let shape = scalars.dropFirst().first { [0x302, 0x306, 0x31B].contains($0.value) }?.value
      let tone = scalars.dropFirst().first {
        [0x300, 0x301, 0x303, 0x309, 0x323].contains($0.value)
      }?.value
      let plain: [UInt32: String] = [0x301: "ù", 0x300: "ø", 0x309: "û", 0x303: "õ", 0x323: "ï"]
      let hat: [UInt32: String] = [0x301: "á", 0x300: "à", 0x309: "å", 0x303: "ã", 0x323: "ä"]
      let breve: [UInt32: String] = [0x301: "é", 0x300: "è", 0x309: "ú", 0x303: "ü", 0x323: "ë"]
      let result: String
      switch (base, shape) {
      case ("đ", _): result = "ñ"
      case ("i", _):
        let letters: [UInt32: String] = [
          0x301: "í", 0x300: "ì", 0x309: "æ", 0x303: "ó", 0x323: "ò",
        ]
        result = tone.flatMap { letters[$0] } ?? "i"
      case ("y", _) where tone == 0x323: result = "î"
      case (_, 0x302): result = "\(base)" + (tone.flatMap { hat[$0] } ?? "â")
      case (_, 0x306): result = "\(base)" + (tone.flatMap { breve[$0] } ?? "ê")
      case ("o", 0x31B): result = "ô" + (tone.flatMap { plain[$0] } ?? "")
      case ("u", 0x31B): result = "ö" + (tone.flatMap { plain[$0] } ?? "")
      default: result = "\(base)" + (tone.flatMap { plain[$0] } ?? "")
      }
      return isUpper ? result.uppercased() : result
    }.joined()
  }
}
