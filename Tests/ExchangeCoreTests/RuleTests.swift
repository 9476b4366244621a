import ExchangeCore
import Foundation
import Testing

@Suite struct RuleTests {
  @Test func textIsNormalised() {
    let decomposed = "  Trần Thị Mây ".decomposedStringWithCanonicalMapping
    #expect(!TextRules.isNFC(decomposed))
    #expect(TextRules.normalized(decomposed) == "Trần Thị Mây")
    #expect(TextRules.isNFC(TextRules.normalized(decomposed)))
  }

  @Test(arguments: ["", "a\u{7}b", "a\u{202E}b", "a\u{200B}b", String(repeating: "đ", count: 501)])
  func badTextIsRefused(_ text: String) {
    #expect(throws: DocumentError(.text, "")) {
      try TextRules.check(text, field: "subject", maximum: 500)
    }
  }

  @Test func quotedTextIsMadeToFit() {
    #expect(TextRules.fitting("a\u{0}b\u{202E}", maximum: 10) == "a?b?")
    #expect(TextRules.fitting("", maximum: 10) == "?")
    #expect(TextRules.fitting(String(repeating: "x", count: 900), maximum: 500).count == 500)
  }

  @Test(arguments: [
    "", ".", "..", "a/b", "a\\b", "a\u{0}", "a\nb", " a", "a ", "a.", "a:b", "a\u{202E}fdp.exe",
    " \u{323}a.pdf",
    String(repeating: "ă", count: 128), "Quyết định.pdf".decomposedStringWithCanonicalMapping,
  ])
  func fileNamesRefused(_ name: String) {
    #expect(throws: DocumentError(.attachmentName, "")) { try AttachmentRules.check(name: name) }
  }

  @Test(arguments: ["Quyết định 159.pdf", "a..b.pdf", ".an", String(repeating: "a", count: 255)])
  func fileNamesAccepted(_ name: String) throws { try AttachmentRules.check(name: name) }

  /// What a sender asks beyond the rules of the wire.
  @Test(arguments: [".txt", ".pdf", "\u{3164}.pdf", "\u{200A}\u{2800}.docx"])
  func ownFilesNeedAName(_ name: String) {
    #expect(throws: DocumentError(.attachmentName, "")) { try AttachmentRules.checkOwn(name: name) }
  }

  @Test(arguments: ["a.pdf", "Quyết định", ".gitignore.txt", "1.docx", "😀.png"])
  func ownFilesWithAName(_ name: String) throws { try AttachmentRules.checkOwn(name: name) }

  @Test func namesOfDevicesAreKnown() {
    for name in ["CON.pdf", "con", "nul.tar.zip", "COM1.txt", "Lpt9.pdf", "AUX .docx", "prn."] {
      #expect(AttachmentRules.isReservedOnWindows(name), "\(name)")
    }
    for name in [
      "CONG.pdf", "COM10.txt", "LPT.pdf", "COM0.txt", "Công văn.pdf", "a.con", "NULL.txt",
    ] {
      #expect(!AttachmentRules.isReservedOnWindows(name), "\(name)")
    }
  }

  @Test(arguments: [
    "\u{3164}\u{3164}", "\u{115F}\u{1160}", "\u{FFA0}", "\u{2800} \u{2800}", "\u{AD}", "\u{FE0F}",
    "\u{180E}",
    "\u{A0}\u{3000}", "\u{34F}",
  ])
  func whatNobodySeesIsNoText(_ text: String) {
    let error = #expect(throws: DocumentError(.text, "")) {
      try TextRules.check(text, field: "subject", maximum: 500)
    }
    #expect(error?.reason.contains("nothing but spaces and invisible") == true)
    #expect(TextRules.fitting(text, maximum: 10) == "?")
  }

  @Test(arguments: ["ㅤa", "한국어", "⠓⠑", "❤\u{FE0F}", "a\u{AD}b"])
  func blanksBesideTextAreAllowed(_ text: String) throws {
    try TextRules.check(TextRules.normalized(text), field: "subject", maximum: 500)
  }

  @Test func theHarmfulCharacterIsNamedWithItsPlace() {
    let error = #expect(throws: DocumentError.self) {
      try TextRules.check("Thông báo họp\u{202E}fdp", field: "subject", maximum: 500)
    }
    #expect(error?.reason == "subject: has U+202E RIGHT-TO-LEFT OVERRIDE after “họp”")
    let first = #expect(throws: DocumentError.self) {
      try AttachmentRules.check(name: "\u{7}a.pdf")
    }
    #expect(first?.reason.contains("U+0007") == true)
    #expect(first?.reason.contains("at the beginning") == true)
    #expect(first?.reason.unicodeScalars.contains("\u{7}") == false)
  }
}
