import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Files as offices have them, against the one check of sender and receiver.
@Suite struct FormatTests {
  struct File: Sendable, CustomTestStringConvertible {
    let name: String
    let content: Data
    var remarks: [FileRemark] = []
    /// Stands in the reason of a refusal.
    var reason = ""

    init(_ name: String, _ content: Data, _ remarks: [FileRemark] = []) {
      (self.name, self.content, self.remarks) = (name, content, remarks)
    }

    init(_ name: String, _ content: Data, refused reason: String) {
      (self.name, self.content, self.reason) = (name, content, reason)
    }

    var testDescription: String { name }
  }

  static func examine(_ file: File, _ policy: FormatPolicy = FormatPolicy()) throws
    -> AttachmentRules.Finding
  {
    try AttachmentRules.examine(
      name: file.name, content: AttachmentBytes(file.content), policy: policy)
  }

  static func expectAccepted(_ file: File) throws {
    let finding = try examine(file)
    #expect(finding.remarks == file.remarks.sorted { $0.rawValue < $1.rawValue })
    #expect(finding.mediaType.contains("/"))
  }

  static func expectRefused(_ file: File) {
    let error = #expect(throws: DocumentError(.attachmentFormat, "")) { try examine(file) }
    let reason = error?.reason ?? ""
    #expect(!file.reason.isEmpty && reason.contains(file.reason), "\(reason)")
    // What was only not recognised is not said to be something else.
    #expect(!reason.contains("the content is not"), "\(reason)")
    #expect(error?.hint.hasSuffix(".") == true, "\(error?.hint ?? "")")
  }

  static func utf16(_ text: String, bigEndian: Bool = false, mark: Bool = true) -> Data {
    let units = (mark ? [0xFEFF] : []) + Array(text.utf16)
    return units.reduce(Data()) {
      $0 + (bigEndian ? [UInt8($1 >> 8), UInt8($1 & 255)] : [UInt8($1 & 255), UInt8($1 >> 8)])
    }
  }

  static let table = "Họ tên\tĐơn vị\r\nTrần Thị Mây\tCĐCS May\r\n"

  // MARK: Text

  static let texts: [File] = [
    File("ds.txt", utf16(table)), File("ds.csv", utf16(table)),
    File("ds.txt", utf16(table, bigEndian: true)),
    File("ds.csv", utf16(table, mark: false), [.encoding]),
    File("ds.txt", utf16(table, bigEndian: true, mark: false), [.encoding]),
    File("a.xml", utf16("<?xml version=\"1.0\"?><a/>")),
    File("a.xml", utf16("<?xml version=\"1.0\"?><a/>", mark: false)),
    File("a.edxml", utf16("\n<edXML/>", bigEndian: true)),
    File("ds.txt", utf16(String(repeating: table, count: 4000))),
    File("lẻ.txt", utf16(String(repeating: table, count: 4000)) + Data([0x41])),
    File("ds.txt", Data([0xFF, 0xFE, 0, 0, 0x41, 0, 0, 0, 0xD0, 0x1E, 0, 0])),
    File("ds.txt", Data(("\u{FEFF}" + table).utf8)), File("ds.csv", Data(table.utf8)),
    File("dài.txt", Data(String(repeating: "ế", count: 70_000).utf8)),
    // TCVN3, Windows-1258 and VISCII.
    File(
      "cu.txt", Data([0x51, 0x75, 0x79, 0xD5, 0x74, 0x20, 0xAE, 0xDE, 0x6E, 0x68]), [.encoding]),
    File("cu.csv", Data([0x54, 0xEA, 0x6E, 0x2C, 0xD0, 0xF5, 0x6E, 0x0D, 0x0A]), [.encoding]),
    File(
      "cu.txt", Data(Array("CONG HOA XA HOI CHU NGHIA VIET NAM ".utf8) + [0x02, 0xE1, 0x54]),
      [.encoding]),
    File("dos.txt", Data("dòng cuối\r\n\u{1A}".utf8)),
    File("a.xml", Data([0x3C, 0x61, 0x3E, 0xC8, 0x3C, 0x2F, 0x61, 0x3E])),
    File("nói về.txt", Data("Tệp bắt đầu bằng %PDF-1.7 là PDF".utf8)),
  ]

  @Test(arguments: texts) func textIsTakenInEveryEncoding(_ file: File) throws {
    try Self.expectAccepted(file)
  }

  static let noTexts: [File] = [
    File("a.txt", Data([0x61, 0, 0x62]), refused: "not recognised as text (TXT)"),
    File("a.txt", utf16("a\u{0}b"), refused: "not recognised as text"),
    File("a.csv", Data((0..<1000).map { UInt8(truncatingIfNeeded: $0) }), refused: "text (CSV)"),
    File("a.txt", Data([1, 0, 2, 0, 3, 0, 4, 0]), refused: "not recognised"),
    File("a.txt", Data((1..<32).map { UInt8($0) }), refused: "not recognised"),
    File("a.txt", Data(count: 40), refused: "nothing but zero bytes"),
    File("a.txt", Data("%PDF-1.4 …".utf8), refused: "looks like PDF, not TXT"),
    File("a.txt", Data("MZ…".utf8), refused: "Windows program"),
    File("a.txt", Data("#!/bin/sh\nrm -rf /".utf8), refused: "a script"),
    File("a.csv", Data([0x7F, 0x45, 0x4C, 0x46, 2]), refused: "Linux program"),
    File("a.xml", Data("trần trụi".utf8), refused: "plain text, not XML"),
    File("a.xml", utf16("không"), refused: "plain text, not XML"),
  ]

  @Test(arguments: noTexts) func whatIsNoTextIsRefused(_ file: File) { Self.expectRefused(file) }

  // MARK: ZIP, Office, OpenDocument

  typealias Entry = SampleArchive.Entry
  static let types = Entry("[Content_Types].xml")
  static let odt = "application/vnd.oasis.opendocument.text"
  /// The 39 bytes of `odt`, deflated.
  static let deflatedODT =
    Data(
      base64Encoded: "SywoyMlMTizJzM/TL8tL0ctPLM4s1ssvSM1LyU8uzU3NK9ErSa0oAQA=") ?? Data()

  static func mimetype(_ text: String = odt, _ change: (inout Entry) -> Void = { _ in }) -> Entry {
    var entry = Entry("mimetype", text)
    change(&entry)
    return entry
  }

  static let many = (0..<4000).map { Entry("word/media/ảnh số \($0) của báo cáo.png", "x") }

  static let archives: [File] = [
    File("a.zip", SampleArchive.zip([Entry("a.txt")], comment: "bản nén của văn thư")),
    File("a.docx", SampleArchive.zip([types, Entry("word/document.xml")])),
    File("a.docx", SampleArchive.zip([Entry("word/document.xml"), types], hasDescriptors: true)),
    File("a.docx", SampleArchive.zip([types, Entry("word\\document.xml")])),
    File("a.docx", SampleArchive.zip([types, Entry("/Word/document.xml")])),
    File("a.xlsx", SampleArchive.zip([Entry("xl/workbook.xml"), types], comment: "x")),
    File("a.pptx", SampleArchive.zip([types, Entry("ppt/presentation.xml")], isLarge: true)),
    // The interesting name is beyond both windows of 64 KiB.
    File("a.xlsx", SampleArchive.zip(many + [Entry("xl/workbook.xml")] + many)),
    File("a.odt", SampleArchive.zip([mimetype(), Entry("content.xml")])),
    File("a.odt", SampleArchive.zip([Entry("content.xml"), mimetype()])),
    File("a.odt", SampleArchive.zip([mimetype { $0.packed = deflatedODT }, Entry("content.xml")])),
    File("a.odt", SampleArchive.zip([mimetype { $0.extra = Data(count: 28) }])),
    File("a.odt", SampleArchive.zip([mimetype(), Entry("content.xml")], hasDescriptors: true)),
    File(
      "a.odt",
      SampleArchive.zip(
        [mimetype { $0.packed = deflatedODT }] + many, comment: "c", isLarge: true,
        hasDescriptors: true)),
    File("a.odt", SampleArchive.zip([mimetype(odt + "\n")])),
    File("a.odt", SampleArchive.zip([mimetype(odt + "-template")])),
    File("a.ods", SampleArchive.zip([Entry("content.xml"), Entry("META-INF/manifest.xml")])),
    File(
      "a.odp", SampleArchive.zip([mimetype("application/vnd.oasis.opendocument.presentation")])),
    // Cut off before its list of files.
    File("a.docx", SampleArchive.zip([types, Entry("word/document.xml")]).prefix(120)),
    // Macros.
    File("a.docx", SampleArchive.zip([types, Entry("word/vbaProject.bin")]), [.macros]),
    File("a.xlsx", SampleArchive.zip([Entry("xl/vbaProject.bin")]), [.macros]),
    File("a.xlsx", SampleArchive.zip([Entry("xl/macrosheets/sheet1.xml")]), [.macros]),
    File("a.pptx", SampleArchive.zip([Entry("ppt/vbaProject.bin")]), [.macros]),
    File("a.odt", SampleArchive.zip([mimetype(), Entry("Basic/Standard/M.xml")]), [.macros]),
    File("a.zip", SampleArchive.zip([Entry("Basic/bài tập.txt")])),
    File("a.zip", SampleArchive.zip([encrypted("Word/mật khẩu.txt")]), [.encrypted]),
  ]

  static func encrypted(_ name: String) -> Entry {
    var entry = Entry(name)
    entry.flags = 1
    return entry
  }

  static let noise = Data((0..<200).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 3) })

  @Test(arguments: archives) func archivesAreTakenAsProgramsWriteThem(_ file: File) throws {
    try Self.expectAccepted(file)
  }

  static let noArchives: [File] = [
    File("a.docx", SampleArchive.zip([Entry("xl/workbook.xml")]), refused: "looks like XLSX"),
    File("a.docx", SampleArchive.zip([Entry("password/x.txt")]), refused: "looks like ZIP"),
    File("a.odt", SampleArchive.zip([mimetype("application/epub+zip")]), refused: "looks like ZIP"),
    File(
      "a.ods", SampleArchive.zip([mimetype()]), refused: "its content looks like ODT, not ODS"),
    File("a.zip", SampleArchive.zip([]), refused: "an empty archive"),
    File(
      "a.zip", Data("MZ\u{0}".utf8) + SampleArchive.zip([Entry("a")]), refused: "Windows program"),
    File("a.odt", SampleArchive.zip([mimetype(), encrypted("content.xml")]), refused: "password"),
    File(
      "a.odt", SampleArchive.zip([mimetype(), Entry("content.xml", bytes: noise)]),
      refused: "has a password"),
    File(
      "a.odt", SampleArchive.zip([mimetype(), Entry("encrypted-package", bytes: noise)]),
      refused: "has a password"),
    File("a.docx", SampleArchive.zip([encrypted("word/document.xml")]), refused: "password"),
    File("a.pdf", SampleArchive.zip([Entry("%PDF-1.7.txt")]), refused: "looks like ZIP, not PDF"),
  ]

  @Test(arguments: noArchives) func otherArchivesAreRefused(_ file: File) {
    Self.expectRefused(file)
  }

  // MARK: Archives with very many files

  /// `count` more files of a document. `declared`: what the end record says instead.
  static func crowded(
    _ first: [Entry], _ count: Int, declared: UInt64? = nil, isLarge: Bool = false
  ) -> Data {
    let media = (0..<count).map { Entry("word/media/\($0).png", "") }
    var archive = SampleArchive.zip(first + media, isLarge: isLarge)
    if let declared {
      let (place, width) = isLarge ? (98 - 32, 8) : (22 - 10, 2)
      for index in 0..<width {
        archive[archive.count - place + index] = UInt8(truncatingIfNeeded: declared >> (8 * index))
      }
    }
    return archive
  }

  static let allowed = [
    File("a.docx", crowded([types], 9_999)),
    // A folder of scanned pages is an archive like others.
    File("a.zip", crowded([types], 10_000)), File("a.zip", crowded([types], 2, declared: 60_000)),
    File("a.zip", crowded([encrypted("a")], 10_000), [.encrypted]),
  ]

  @Test(arguments: allowed) func manyFilesAreTaken(_ file: File) throws {
    try Self.expectAccepted(file)
  }

  static let tooMany = [
    File(
      "a.docx", crowded([types], 10_000), refused: "counts 10001 files in its end record, at most"),
    File("a.docx", crowded([types], 10_000, declared: 3), refused: "lists more than 10000 files"),
    File("a.docx", crowded([types], 20_000, declared: 0), refused: "lists more than 10000 files"),
    File("a.docx", crowded([types], 2, declared: 60_000), refused: "counts 60000 files"),
    File(
      "a.docx", crowded([types], 2, declared: 90_000, isLarge: true), refused: "counts 90000 files"),
    File(
      "a.docx", crowded([types], 10_000, declared: 1, isLarge: true), refused: "at most 10000 are"),
    // What it is may stand where nobody looks.
    File("a.odt", crowded([mimetype()], 10_000), refused: "at most 10000 are allowed in ODT"),
    File("a.xlsx", crowded([types], 10_000), refused: "at most 10000 are allowed in XLSX"),
    File("a.pdf", crowded([types], 10_000), refused: "looks like DOCX, not PDF"),
  ]

  @Test(arguments: tooMany) func tooManyFilesAreRefused(_ file: File) {
    Self.expectRefused(file)
  }

  /// One content under many names costs one look.
  @Test func equalContentIsLookedAtOnce() throws {
    let content = SampleArchive.zip([Self.types, Entry("word/document.xml")])
    let other = Data("%PDF-1.7".utf8)
    var asked: [String] = []
    var examiner = AttachmentRules.Examiner()
    func examine(_ name: String, _ data: Data, digest: UInt8) throws -> String {
      let digest = try #require(SHA256Digest(bytes: Data(repeating: digest, count: 32)))
      return try examiner.examine(
        Attachment(name: name, mediaType: "", size: Int64(data.count), sha256: digest)
      ) {
        asked.append(name)
        return AttachmentBytes(data)
      }.mediaType
    }
    let types = try ["a.docx", "b.DOCX", "c.zip", "d.docx"].map {
      try examine($0, content, digest: 1)
    }
    #expect(types[0] == types[1] && types[0] == types[3] && types[2].hasSuffix("zip"))
    for name in ["e.pdf", "f.xlsx", "g.odt"] {
      #expect(throws: DocumentError(.attachmentFormat, "")) {
        try examine(name, content, digest: 1)
      }
    }
    #expect(asked == ["a.docx"])
    #expect(try examine("h.pdf", other, digest: 2).hasSuffix("pdf"))
    #expect(asked == ["a.docx", "h.pdf"])
  }

  // MARK: The older formats

  static func word(flags: UInt8 = 0, size: Int = 5000) -> Data {
    Data([0xEC, 0xA5, 0xC1, 0, 0, 0, 0, 0, 0, 0, 0x10, flags]) + Data(count: size - 12)
  }

  static func sheet(_ records: [UInt8]) -> Data {
    Data([0x09, 0x08, 0x04, 0, 0, 6, 5, 0] + records) + Data(count: 4100)
  }

  static func user(_ token: [UInt8]) -> Data {
    Data([0, 0, 0xF6, 0x0F, 0x14, 0, 0, 0, 0x14, 0, 0, 0] + token) + Data(count: 20)
  }

  static func ole(_ streams: [String: Data], _ padding: Int = 0) -> Data {
    SampleCompoundFile.file(streams, padding: padding)
  }

  static let slides = Data(count: 5000)
  /// VBAInfoContainer with an atom whose fHasMacros is 1.
  static let vba =
    Data([0x1F, 0, 0xFF, 3, 20, 0, 0, 0, 2, 0, 0, 4, 12, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0])

  static let older: [File] = [
    File("a.doc", ole(["WordDocument": word(), "1Table": Data(count: 100)])),
    File("nhỏ.doc", ole(["A": Data(count: 700), "WordDocument": word(size: 600)])),
    // The directory and its table stand far behind.
    File("lớn.doc", ole(["WordDocument": word()], 16_000)),
    File("a.xls", ole(["Workbook": sheet([0x42, 0, 2, 0, 0xB0, 4])])),
    File("95.xls", ole(["Book": sheet([])])), File("HOA.xls", ole(["WORKBOOK": sheet([])])),
    File(
      "a.ppt",
      ole(["Current User": user([0x5F, 0xC0, 0x91, 0xE3]), "PowerPoint Document": slides])),
    File("a.doc", ole(["WordDocument": word(), "Macros/VBA": Data(count: 9)]), [.macros]),
    File("a.xls", ole(["Workbook": sheet([]), "_VBA_PROJECT_CUR/PROJECT": slides]), [.macros]),
    File("a.xls", ole(["Workbook": sheet([0x2F, 0, 6, 0, 1, 0, 1, 0, 1, 0])]), [.encrypted]),
    File("a.ppt", ole(["PowerPoint Document": slides + vba]), [.macros]),
    File("a.rtf", Data("{\\rtf1\\ansi Quy ch\\u7871?}".utf8)),
    // Zero bytes at the end, as some programs write them.
    File("a.rtf", Data("{\\rtf1\\ansi x}\0".utf8)),
    File("a.rtf", Data("{\\rtf1\\ansi x}\r\n\0\0\0\n".utf8)),
    File("a.doc", Data("{\\rt1 x}".utf8) + Data(count: 70_000)),
    File("dài.rtf", Data("{\\rtf1 \(String(repeating: "chào ", count: 40_000))}\r\n\0".utf8)),
    File("về PDF.rtf", Data("{\\rtf1 %PDF-1.7}\0".utf8)),
    File("word lưu.doc", Data("{\\rtf1\\ansi x}".utf8)),
    File("a.rar", Data("Rar!\u{1A}\u{7}\u{0}".utf8) + rar4(main: 0, file: 0)),
    File("a.rar", Data("Rar!\u{1A}\u{7}\u{0}".utf8) + rar4(main: 0x80, file: 0), [.encrypted]),
    File("a.rar", Data("Rar!\u{1A}\u{7}\u{0}".utf8) + rar4(main: 0, file: 4), [.encrypted]),
    File("a.rar", Data("Rar!\u{1A}\u{7}\u{1}\u{0}".utf8) + Data([1, 2, 3, 4, 3, 1, 0, 0])),
    File(
      "a.rar", Data("Rar!\u{1A}\u{7}\u{1}\u{0}".utf8) + Data([1, 2, 3, 4, 3, 4, 0, 0]),
      [.encrypted]),
    File("a.7z", sevenZip([0x01, 0x04, 0x06])), File("A.7Z", sevenZip([])),
    File("a.7z", sevenZip([0x17, 0x06, 0x24, 0x06, 0xF1, 0x07, 0x01]), [.encrypted]),
  ]

  static func rar4(main: UInt8, file: UInt8) -> Data {
    Data([1, 1, 0x73, main, 0, 13, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0x74, file, 0x80, 32, 0])
      + Data(count: 40)
  }

  static func sevenZip(_ header: [UInt8]) -> Data {
    Data([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C, 0, 4, 0, 0, 0, 0])
      + Data([5, 0, 0, 0, 0, 0, 0, 0, UInt8(header.count), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
      + Data(count: 5) + Data(header)
  }

  @Test(arguments: older) func olderFormatsAreTaken(_ file: File) throws {
    try Self.expectAccepted(file)
  }

  @Test(arguments: older) func olderFormatsCanBeSwitchedOff(_ file: File) {
    let error = #expect(throws: DocumentError(.attachmentFormat, "")) {
      try Self.examine(file, FormatPolicy(takesLegacy: false))
    }
    #expect(error?.reason.contains("is not accepted by this unit") == true)
  }

  static let noOlder: [File] = [
    // Office files with a password, whatever their name.
    File(
      "a.xlsx", ole(["EncryptionInfo": slides, "EncryptedPackage": slides]), refused: "password"),
    File("a.docx", ole(["EncryptedPackage": slides]), refused: "has a password"),
    File("a.doc", ole(["EncryptedPackage": slides]), refused: "has a password"),
    File("a.doc", ole(["WordDocument": word(flags: 1)]), refused: "has a password"),
    File(
      "a.doc", ole(["A": Data(count: 900), "WordDocument": word(flags: 1, size: 800)]),
      refused: "has a password"),
    File(
      "a.ppt",
      ole(["Current User": user([0xDF, 0xC4, 0xD1, 0xF3]), "PowerPoint Document": slides]),
      refused: "has a password"),
    // Something else in the same container.
    File("cài đặt.doc", ole(["䡀䄦䥲": slides]), refused: "an installer or the like (OLE)"),
    File("thư.doc", ole(["__properties_version1.0": slides]), refused: "Outlook"),
    File("a.xls", ole(["WordDocument": word()]), refused: "looks like DOC, not XLS"),
    File("a.docx", ole(["WordDocument": word()]), refused: "looks like DOC, not DOCX"),
    // A workbook embedded in another document makes no workbook of it.
    File("a.xls", ole(["WordDocument": word(), "ObjectPool/Workbook": slides]), refused: "DOC"),
    File("a.doc", ole(["WordDocument": word()]).prefix(512), refused: "not recognised as DOC"),
    File("a.doc", SampleArchive.zip([Entry("word/document.xml")]), refused: "looks like DOCX"),
    File("bảng.xls", Data("<html><table></table></html>".utf8), refused: "a web page"),
    File("a.rar", sevenZip([]), refused: "looks like 7Z, not RAR"),
    File("a.rtf", Data("chào".utf8), refused: "plain text, not RTF"),
    File("a.rtf", Data("{\\rtf1 a\0b}".utf8), refused: "begins like RTF, but is not readable"),
    File("a.rtf", Data("{\\rtf1 a}\0{b}\0".utf8), refused: "begins like RTF, but is not readable"),
    File("cụt.rtf", Data("{\\rtf1 a\0".utf8), refused: "begins like RTF, but is not readable"),
    File("a.doc", Data("{\\rtf1 a".utf8) + Data(count: 2 << 20), refused: "is not readable as RTF"),
    File("a.txt", Data("{\\rtf1 a}\0".utf8), refused: "looks like RTF, not TXT"),
    File("a.pdf", Data("{\\rtf1 a}".utf8), refused: "looks like RTF, not PDF"),
  ]

  @Test(arguments: noOlder) func whatOnlyLooksLikeThemIsRefused(_ file: File) {
    Self.expectRefused(file)
  }

  // MARK: PDF and images

  static let pages: [File] = [
    File("a.pdf", Data("%PDF-2.0\n".utf8)), File("a.pdf", Data("\r\n\r\n%PDF-1.4".utf8)),
    File("a.pdf", Data(count: 1019) + Data("%PDF-1.4".utf8)),
    File("a.pdf", Data("%PDF-1.4 … %%EOF\n<!-- máy quét -->".utf8) + Data(count: 300)),
    File("a.pdf", Data("%!PS-Adobe-3.0 PDF-1.4\n".utf8)),
    File("a.pdf", Data("%PDF-1.6\ntrailer<</Encrypt 5 0 R>>".utf8), [.encrypted]),
    File("a.pdf", Data("%PDF-1.6\n<</EncryptMetadata true>>".utf8)),
    File("a.tif", Data([0x49, 0x49, 0x2B, 0, 8, 0])), File("a.tiff", Data([0x4D, 0x4D, 0, 0x2B])),
    File("a.tif", Data([0x49, 0x49, 0x2A, 0])), File("a.tiff", Data([0x4D, 0x4D, 0, 0x2A])),
    File("a.jpg", Data([0xFF, 0xD8, 0xFF, 0xE1])), File("a.jpeg", Data([0xFF, 0xD8, 0xFF, 0xDB])),
    File("a.png", Data([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 4])),
  ]

  @Test(arguments: pages) func pagesAndImagesAreTaken(_ file: File) throws {
    try Self.expectAccepted(file)
  }

  static let noPages: [File] = [
    File("a.pdf", Data("MZ\u{0}\u{0} %PDF-1.7".utf8), refused: "Windows program"),
    File("a.pdf", Data(count: 1025) + Data("%PDF-1.4".utf8), refused: "not recognised as PDF"),
    File("đăng nhập.pdf", Data("<!DOCTYPE html>".utf8), refused: "a web page or XML, not PDF"),
    File("a.jpg", Data([0, 0, 0, 24]) + Data("ftypheic".utf8), refused: "a HEIC photo"),
    File("a.jpg", Data([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]), refused: "PNG, not JPG"),
    File("a.png", Data("GIF89a".utf8) + Data(count: 9), refused: "a GIF image"),
    File("a.png", Data([0x89, 0x50, 0x4E, 0x47, 0]), refused: "not recognised as PNG"),
    File("a.heic", Data("x".utf8), refused: "the extension “heic” is not allowed"),
    File("a.jfif", Data([0xFF, 0xD8, 0xFF]), refused: "“jfif” is not allowed"),
    File("a.docm", Data("x".utf8), refused: "“docm” is not allowed"),
    File("a.msi", Data("x".utf8), refused: "“msi” is not allowed"),
    File("quyết định", Data("%PDF-1.7".utf8), refused: "has no extension"),
    File("a.", Data("%PDF-1.7".utf8), refused: "has no extension"),
  ]

  @Test(arguments: noPages) func otherPagesAndNamesAreRefused(_ file: File) {
    Self.expectRefused(file)
  }

  /// However it is cut off or changed, the check ends and does not trap.
  @Test func damagedFilesAreJudgedWithoutTrapping() throws {
    var random = SeededRandom(seed: 7)
    let files = (Self.archives + Self.older + Self.pages).filter { $0.content.count < 40_000 }
    for file in files {
      for _ in 0..<40 {
        var bytes = Array(
          file.content.prefix(Int.random(in: 1...file.content.count, using: &random)))
        for _ in 0..<Int.random(in: 0...6, using: &random) {
          let index = Int.random(in: 0..<bytes.count, using: &random)
          bytes[index] = UInt8.random(in: 0...255, using: &random)
        }
        _ = try? Self.examine(File(file.name, Data(bytes)))
      }
    }
  }

  /// Chains that bite their tail, lists that never end, sizes of 2⁶⁴: little is read, and it ends.
  @Test(arguments: ["a.doc", "a.docx", "a.txt", "a.7z", "a.rar"])
  func readingIsBounded(_ name: String) throws {
    var read = 0
    let mark: [UInt8] =
      switch name {
      case "a.doc": Array(Self.ole(["WordDocument": Self.word()]).prefix(512))
      case "a.docx": Array("PK\u{3}\u{4}".utf8)
      case "a.7z": [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C] + [UInt8](repeating: 0xFF, count: 26)
      case "a.rar": Array("Rar!\u{1A}\u{7}\u{1}\u{0}".utf8) + [UInt8](repeating: 0xFF, count: 99)
      default: [0x61]
      }
    var page = Data()
    while page.count < 65_536 { page += [1, 0, 0, 0] }
    let content = AttachmentBytes(size: 4 << 30) { offset, count in
      read += count
      return offset == 0 ? mark + page.dropFirst(mark.count) : page
    }
    _ = try? AttachmentRules.examine(name: name, content: content)
    #expect(read <= 256 * 65_536)
  }
}
