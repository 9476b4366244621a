import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct HarmlessTextTests {
  @Test(arguments: [
    ("a\nerror: forged", "a\\nerror: forged"), ("a\r\nb\tc", "a\\r\\nb\\tc"),
    ("\u{1B}[2J\u{1B}[31mđỏ", "\\u{1B}[2J\\u{1B}[31mđỏ"),
    (
      "\u{1B}]8;;http://x\u{7}liên kết\u{1B}]8;;\u{1B}\\",
      "\\u{1B}]8;;http://x\\u{7}liên kết\\u{1B}]8;;\\u{1B}\\"
    ),
    ("\u{9B}31m\u{90}\u{9D}", "\\u{9B}31m\\u{90}\\u{9D}"),
    ("\u{7F}\u{0}\u{8}", "\\u{7F}\\u{0}\\u{8}"),
    ("fdp.\u{202E}exe\u{2066}", "fdp.\\u{202E}exe\\u{2066}"),
    ("a\u{2028}b\u{2029}c\u{85}", "a\\u{2028}b\\u{2029}c\\u{85}"),
    ("a\u{200B}b\u{FEFF}\u{AD}\u{2060}", "a\\u{200B}b\\u{FEFF}\\u{AD}\\u{2060}"),
    ("\u{E0041}\u{FFFE}", "\\u{E0041}\\u{FFFE}"),
  ])
  func whatActsIsShown(_ text: String, _ shown: String) {
    #expect(HarmlessText.line(text) == shown)
  }

  @Test(arguments: [
    "Quyết định số 159/QĐ-LĐLĐ", "Quyết định".decomposedStringWithCanonicalMapping, "👨‍👩‍👧 ❤️ 🇻🇳 👍🏽",
    "Công đoàn – “Lao động giỏi” ½ 25°C ±2", "漢字 ไทย हिन्दी العربية", "a\\nb", "\u{FFFD}", "",
  ])
  func whatIsHarmlessStaysAsItIs(_ text: String) {
    #expect(Array(HarmlessText.line(text).unicodeScalars) == Array(text.unicodeScalars))
  }

  @Test func whatIsLongIsCutAndSaysSo() {
    #expect(HarmlessText.line("ổổổổổổ", maximum: 3) == "ổổổ… (6 characters)")
    #expect(HarmlessText.line("abcdef", maximum: 6) == "abcdef")
    #expect(HarmlessText.line("e" + String(repeating: "\u{301}", count: 200)).utf8.count > 1000)
  }

  /// Random text of all planes, with what acts much more often than by chance.
  @Test(arguments: [1, 2, 3] as [UInt64]) func noScalarOfAnyTextActs(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let bad: [ClosedRange<UInt32>] = [0...0x1F, 0x7F...0x9F, 0x2028...0x202E, 0x2066...0x2069]
    for _ in 0..<2000 {
      var text = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 0...40, using: &random) {
        let range = Bool.random(using: &random) ? bad.randomElement(using: &random)! : 0...0x10FFFF
        if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) {
          text.append(scalar)
        }
      }
      let line = HarmlessText.line(String(text))
      #expect(
        !line.unicodeScalars.contains(where: HarmlessText.acts),
        "seed \(seed): \(text.map(\.value))")
      #expect(HarmlessText.line(line) == line, "seed \(seed)")
    }
  }
}
