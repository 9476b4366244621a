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

  @Test(arguments: [
    "Quyết định số 159 về việc ban hành Quy chế", "Công đoàn Müller & Cộng sự",
    "ĐẠI HỘI CÔNG ĐOÀN — NHIỆM KỲ 2023–2028", "Khoá học hè, quý III, giá 5.000 đ",
  ])
  func unicodeTextPasses(_ text: String) throws {
    try TextRules.checkEncoding(text, field: "subject")
  }

  /// “Quyết định”, “Liên đoàn lao động” in TCVN3 and VNI as they look in Unicode.
  @Test(arguments: [
    "QuyÕt ®Þnh", "Liªn ®oµn lao ®éng", "Quyeát ñònh soá möôøi", "CÔNG ÑOAØN VIEÄT NAM",
  ])
  func oldEncodingsAreRecognised(_ text: String) {
    #expect(throws: DocumentError(.encoding, "")) {
      try TextRules.checkEncoding(text, field: "subject")
    }
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
    String(repeating: "ă", count: 128), "Quyết định.pdf".decomposedStringWithCanonicalMapping,
  ])
  func fileNamesRefused(_ name: String) {
    #expect(throws: DocumentError(.attachmentName, "")) { try AttachmentRules.check(name: name) }
  }

  @Test(arguments: ["Quyết định 159.pdf", "a..b.pdf", ".an", String(repeating: "a", count: 255)])
  func fileNamesAccepted(_ name: String) throws { try AttachmentRules.check(name: name) }

  @Test(arguments: [
    ("a.pdf", "%PDF-1.7 …", "application/pdf"), ("A.PDF", "\u{FEFF}%PDF-1.4", "application/pdf"),
    ("a.txt", "xin chào", "text/plain"), ("a.xml", "\n<edXML/>", "application/xml"),
    ("a.zip", "PK\u{3}\u{4}…", "application/zip"),
    (
      "a.docx", "PK\u{3}\u{4}…word/document.xml",
      "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    ),
    (
      "a.odt", "PK\u{3}\u{4}…mimetypeapplication/vnd.oasis.opendocument.text",
      "application/vnd.oasis.opendocument.text"
    ),
  ])
  func formats(_ name: String, _ content: String, _ expected: String) throws {
    let bytes = Data(content.utf8)
    #expect(try AttachmentRules.mediaType(name: name, head: bytes, tail: bytes) == expected)
  }

  @Test(arguments: [
    ("a.pdf", "MZ\u{0}"), ("a.exe", "MZ"), ("a", "%PDF-1.7"), ("a.png", "%PDF-1.7"),
    ("a.docx", "PK\u{3}\u{4}…xl/"), ("a.txt", "a\u{0}b"), ("a.txt", "MZ…"), ("a.xml", "plain"),
    ("pdf", "%PDF-"), ("a.pdf.exe", "%PDF-"),
  ])
  func formatsRefused(_ name: String, _ content: String) {
    let bytes = Data(content.utf8)
    #expect(throws: DocumentError(.attachmentFormat, "")) {
      try AttachmentRules.mediaType(name: name, head: bytes, tail: bytes)
    }
  }
}
