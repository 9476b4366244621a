import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeDatabase
import NodeTestKit
import Testing
import UnitOffice

#if canImport(Glibc)
  import Glibc
#endif

/// What a clerk can get wrong when sending. Each mistake has its code, and leaves nothing behind.
@Suite(.timeLimit(.minutes(1))) struct SendTests {
  typealias Change = @Sendable (inout OutgoingDraft, TestNode) throws -> Void

  struct Mistake: Sendable, CustomTestStringConvertible {
    let name: String
    let code: String
    /// Stands in the reason.
    let mention: String
    let change: Change

    init(
      _ name: String, _ code: DocumentErrorCode, _ mention: String = "", _ change: @escaping Change
    ) {
      (self.name, self.code, self.mention, self.change) = (name, code.rawValue, mention, change)
    }

    init(unit name: String, _ mention: String, _ change: @escaping Change) {
      (self.name, self.mention, self.change) = (name, mention, change)
      code = DirectoryErrorCode.unknown.rawValue
    }

    var testDescription: String { name }
  }

  static let mistakes: [Mistake] = [
    // Files.
    Mistake("no file", .attachmentMissing) { draft, _ in draft.files = [] },
    Mistake("missing file", .attachmentMissing, "không có.pdf") { draft, node in
      draft.files = [node.folder.path("không có.pdf")]
    },
    Mistake("name of 300 bytes", .attachmentMissing) { draft, node in
      draft.files = [node.folder.path(String(repeating: "a", count: 300) + ".pdf")]
    },
    Mistake("empty file", .attachmentSize) { draft, node in
      draft.files = [try node.folder.write(Data(), as: "rỗng.pdf")]
    },
    Mistake("folder", .attachmentUnreadable) { draft, node in
      draft.files = [node.folder.url.path]
    },
    Mistake("named pipe", .attachmentUnreadable) { draft, node in
      draft.files = [node.folder.path("ống.pdf")]
      #expect(mkfifo(draft.files[0], 0o600) == 0)
    },
    Mistake("device", .attachmentUnreadable) { draft, _ in draft.files = ["/dev/zero"] },
    Mistake("same path twice", .attachmentDuplicate) { draft, _ in draft.files += draft.files },
    Mistake("other content, same name", .attachmentDuplicate) { draft, node in
      let folder = node.folder.url.appending(path: "khác")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
      try pdf("khác").write(to: folder.appending(path: "VAN-BAN.PDF"))
      draft.files.append(folder.appending(path: "VAN-BAN.PDF").path)
    },
    Mistake("control character in the name", .attachmentName) { draft, node in
      draft.files = [try node.folder.write(pdf("x"), as: "a\u{7}.pdf")]
    },
    Mistake("text direction in the name", .attachmentName) { draft, node in
      draft.files = [try node.folder.write(pdf("x"), as: "a\u{202E}fdp.pdf")]
    },
    Mistake("TCVN3 in the name", .encoding) { draft, node in
      draft.files = [try node.folder.write(pdf("x"), as: "QuyÕt ®Þnh.pdf")]
    },
    Mistake("type contradicts extension", .attachmentFormat, "PNG") { draft, node in
      draft.files = [try node.folder.write(pdf("x"), as: "ảnh.png")]
    },
    Mistake("password", .attachmentFormat, "has a password") { draft, node in
      let locked = SampleCompoundFile.file(["EncryptedPackage": Data(count: 5000)])
      draft.files = [try node.folder.write(locked, as: "bảng lương.xlsx")]
    },
    Mistake("nothing but an extension", .attachmentName, "before its extension") { draft, node in
      draft.files = [try node.folder.write(pdf("x"), as: ".pdf")]
    },
    Mistake("subject of blanks", .text, "invisible") { draft, _ in
      draft.subject = "\u{3164}\u{3164}"
    },
    Mistake("text direction in the subject", .text, "U+202E RIGHT-TO-LEFT OVERRIDE after “chế”") {
      draft, _ in draft.subject = "Quy chế\u{202E} giả"
    },
    Mistake("extension not allowed", .attachmentFormat, "exe") { draft, node in
      draft.files = [try node.folder.write(pdf("x"), as: "setup.exe")]
    },
    Mistake("second file is bad", .attachmentFormat) { draft, node in
      draft.files.append(try node.folder.write(Data("MZ".utf8), as: "phụ lục.pdf"))
    },
    Mistake("file too large", .tooLarge) { draft, node in
      draft.files = [try node.folder.write(pdf("x", size: 2_000_001), as: "lớn.pdf")]
    },
    Mistake("files too large together", .tooLarge) { draft, node in
      draft.files = try (0..<3).map {
        try node.folder.write(pdf("\($0)", size: 700_000), as: "\($0).pdf")
      }
    },
    Mistake("101 files", .tooLarge) { draft, node in
      draft.files = try (0..<101).map { try node.folder.write(pdf("\($0)"), as: "\($0).pdf") }
    },
    // Recipients.
    Mistake("no recipient", .recipients) { draft, _ in draft.recipients = [] },
    Mistake("itself", .recipients) { draft, node in draft.recipients = [node.id.rawValue] },
    Mistake("recipient twice", .recipients) { draft, _ in draft.recipients += draft.recipients },
    Mistake("recipient twice by its alias", .recipients) { draft, _ in
      draft.recipients.append(Province.betaOld.rawValue)
    },
    Mistake(unit: "unknown unit", "CDCS.BETA") { draft, _ in draft.recipients = ["CDCS.BETTA"] },
    Mistake(unit: "not even an id", "*") { draft, _ in draft.recipients = ["*"] },
    Mistake(unit: "unknown group", "@không") { draft, _ in draft.recipients = ["@không"] },
    // Record fields.
    Mistake("number without notation", .referenceNumber) { draft, _ in draft.number = "159" },
    Mistake("number with words", .referenceNumber) { draft, _ in draft.number = "số 9/QĐ" },
    Mistake("non-existent date", .date, "2023-02-30") { draft, _ in draft.date = "2023-02-30" },
    Mistake("day first", .date) { draft, _ in draft.date = "21-09-2026" },
    Mistake("non-existent due date", .date) { draft, _ in draft.dueDate = "2026-13-01" },
    Mistake("empty subject", .text) { draft, _ in draft.subject = " \n" },
    Mistake("long subject", .text, "501") { draft, _ in
      draft.subject = String(repeating: "đ", count: 501)
    },
    Mistake("control character in the subject", .text) { draft, _ in draft.subject = "a\u{7}b" },
    Mistake("TCVN3 subject", .encoding) { draft, _ in draft.subject = "QuyÕt ®Þnh" },
    Mistake("long type", .text) { draft, _ in draft.typeName = String(repeating: "x", count: 101) },
    Mistake("position without a signer", .text) { draft, _ in draft.position = "Chủ tịch" },
    Mistake("TCVN3 signer", .encoding) { draft, _ in draft.signerName = "NguyÔn V¨n ®Ö" },
    Mistake("secrecy", .secrecy) { draft, _ in draft.secrecyMark = "Mật" },
    Mistake("secrecy in other letters", .secrecy) { draft, _ in
      draft.secrecyMark = "TỐI MẬT".decomposedStringWithCanonicalMapping
    },
  ]

  @Test(arguments: mistakes)
  func aMistakeLeavesNothingBehind(_ mistake: Mistake) throws {
    let node = try TestNode(Province.alpha, limits: IntakeLimits(documentBytes: 2_000_000))
    let file = try node.folder.write(pdf("văn bản"), as: "van-ban.pdf")
    var draft = draft([file], to: [Province.beta])
    try mistake.change(&draft, node)
    let error = #expect(throws: (any Error).self) { try node.office.send(draft) }
    let report = try #require(error as? any ReportableError)
    #expect(report.code == mistake.code)
    #expect(mistake.mention.isEmpty || report.reason.contains(mistake.mention))
    #expect(!report.hint.isEmpty)
    for table in ["document", "delivery", "attachment", "blob", "history"] {
      #expect(try node.count(table) == 0, "\(table)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: node.folder.path("tmp")) == [])
  }

  @Test func theDatabaseFailsAndNothingIsLeft() throws {
    let node = try TestNode(Province.alpha)
    try node.withTrouble("INSERT", on: "delivery") {
      #expect(throws: StoreError.self) { try node.send(to: [Province.beta]) }
    }
    #expect(try node.count("document") == 0)
    #expect(try node.count("blob") == 0)
  }

  /// Each cause of a collision has its own next step.
  @Test func collidingNamesAreExplained() throws {
    let node = try TestNode(Province.alpha)
    let folder = node.folder.url.appending(path: "khác")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    let first = try node.folder.write(pdf("một"), as: "Phụ lục.pdf")
    try pdf("hai").write(to: folder.appending(path: "PHỤ LỤC.pdf"))
    try pdf("ba").write(
      to: folder.appending(path: "Phụ lục.pdf".decomposedStringWithCanonicalMapping))
    let cases = [
      (first, "is the same file", "Name the file once"),
      (folder.appending(path: "PHỤ LỤC.pdf").path, "upper and lower case only", "Rename one"),
      (folder.path + "/Phụ lục.pdf", "another file is named “Phụ lục.pdf” too", "Rename one"),
    ]
    for (second, reason, next) in cases {
      let error = #expect(throws: DocumentError(.attachmentDuplicate, "")) {
        try node.office.send(draft([first, second], to: [Province.beta]))
      }
      #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
      #expect(error?.hint.contains(next) == true)
    }
  }

  /// Two blank annexes have the same content: it travels once and stands in the export twice.
  @Test(arguments: [300, 700_000]) func filesOfEqualContentArriveAndComeBack(_ size: Int) throws {
    let alpha = try TestNode(Province.alpha)
    let beta = try TestNode(Province.beta)
    let files = try ["Mẫu 1.pdf", "Mẫu 2.pdf", "Mẫu 3.pdf"].map {
      try alpha.folder.write(pdf("trống", size: size), as: $0)
    }
    let id = try alpha.office.send(draft(files, to: [Province.beta])).id
    let broker = FakeBroker()
    try exchange([alpha, beta], through: broker)
    #expect(try beta.answers() == ["01"])
    #expect(try beta.count("blob") == 1)
    let document = try beta.store.reader.find(id.rawValue).summary
    #expect(document.attachments.map(\.name) == ["Mẫu 1.pdf", "Mẫu 2.pdf", "Mẫu 3.pdf"])
    let folder = beta.folder.path("xuất")
    _ = try ExportFolder.write(document, context: beta.office.context, to: folder)
    for name in ["Mẫu 1.pdf", "Mẫu 2.pdf", "Mẫu 3.pdf"] {
      #expect(FileManager.default.contents(atPath: "\(folder)/files/\(name)")?.count == size)
    }
    let again = try alpha.office.resend(
      ids: [id.rawValue], filter: DeliveryFilter(), reason: "thử", dryRun: false)
    #expect(again.count == 1)
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
    #expect(try beta.count("document") == 1)
  }

  @Test func whatIsWorthAWordIsSaidAndSent() throws {
    let node = try TestNode(Province.alpha)
    let macros = SampleArchive.zip([.init("word/document.xml"), .init("word/vbaProject.bin")])
    var draft = draft(
      [
        try node.folder.write(macros, as: "Mẫu đơn.docx"),
        try node.folder.write(Data([0x51, 0xD5, 0x74]), as: "cu.txt"),
        try node.folder.write(pdf("x"), as: "CON.pdf"),
        try node.folder.write(pdf("y"), as: "Tờ\u{200B} trình.pdf"),
      ], to: [Province.beta])
    draft.subject = "Về\u{200B} việc\nhọp\tngày 5"
    draft.number = " 159/QĐ-LĐLĐ\u{FEFF}"
    draft.date = "2026-09-21\n"
    let sent = try node.office.send(draft)
    #expect(
      sent.warnings.map(\.code) == [
        "TEXT-CLEANED", "ATTACHMENT-MACROS", "ATTACHMENT-NOT-UTF8", "ATTACHMENT-NAME-RESERVED",
        "TEXT-CLEANED",
      ])
    #expect(sent.warnings[0].text == "subject: removed U+200B ZERO WIDTH SPACE after “Về”")
    let document = try node.store.reader.find(sent.id.rawValue).summary
    #expect(document.subject == "Về việc họp ngày 5")
    #expect(
      document.attachments.map(\.name) == ["Mẫu đơn.docx", "cu.txt", "CON.pdf", "Tờ trình.pdf"])
    // The receiver's side finds the same.
    #expect(node.store.remarks(on: document).map(\.remark) == [.macros, .encoding])
    #expect(node.store.remarks(on: document).map(\.file.name) == ["Mẫu đơn.docx", "cu.txt"])
  }

  @Test func aClerkMayInsistOnATextThatLooksOld() throws {
    let node = try TestNode(Province.alpha)
    let file = try node.folder.write(pdf("x"), as: "QuyÕt ®Þnh.pdf")
    var draft = draft([file], to: [Province.beta])
    draft.subject = "B¸o c¸o th¸ng"
    let error = #expect(throws: DocumentError(.encoding, "")) { try node.office.send(draft) }
    #expect(error?.reason.contains("meant as “Báo cáo tháng”") == true)
    #expect(error?.hint.contains("--text-as-is") == true)
    draft.textAsIs = true
    #expect(try node.office.send(draft).warnings == [])
    draft.textAsIs = false
    draft.files = [try node.folder.write(pdf("y"), as: "a.pdf")]
    draft.subject = "Kính gửi Liªn ®oµn lao ®éng tỉnh"
    let codes = try node.office.send(draft).warnings.map(\.code)
    #expect(codes.filter { $0.hasPrefix("TEXT-") } == ["TEXT-ENCODING-DOUBTED"])
  }

  /// Old archives leave names in TCVN3; the command line hands them over with U+FFFD.
  @Test func aNameThatIsNotUTF8IsNotCalledMissing() throws {
    let node = try TestNode(Province.alpha)
    let bytes = Array(node.folder.path("Quy").utf8) + [0xD5, 0x74, 0x2E, 0x70, 0x64, 0x66, 0]
    let descriptor = bytes.map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { name in
      name.baseAddress.map { open($0, O_CREAT | O_WRONLY, 0o600) } ?? -1
    }
    #expect(descriptor >= 0)
    close(descriptor)
    let given = String(decoding: bytes.dropLast(), as: UTF8.self)
    let error = #expect(throws: DocumentError(.attachmentName, "")) {
      try node.office.send(draft([given], to: [Province.beta]))
    }
    #expect(error?.reason.contains("its name is not UTF-8") == true)
    #expect(error?.hint.contains("convmv") == true)
    let missing = #expect(throws: DocumentError(.attachmentMissing, "")) {
      try node.office.send(
        draft([node.folder.path("Kh\u{FFFD}c.pdf")], to: [Province.beta]))
    }
    #expect(missing?.reason.contains("does not exist") == true)
  }

  /// The disk has the name in another form than the one that is typed.
  @Test func namesOfEveryUnicodeFormAreFound() throws {
    let node = try TestNode(Province.alpha)
    let name = "Tờ trình.pdf"
    let folder = node.folder.url.path + "/Thư mục".decomposedStringWithCanonicalMapping
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    #expect(
      FileManager.default.createFile(
        atPath: folder + "/" + name.decomposedStringWithCanonicalMapping, contents: pdf("x")))
    let sent = try node.office.send(
      draft([node.folder.path("Thư mục/\(name)")], to: [Province.beta]))
    let found = try node.store.reader.find(sent.id.rawValue).summary.attachments.map(\.name)
    #expect(found.map { Array($0.utf8) } == [Array(name.utf8)])
  }

  // MARK: What is right

  @Test func whatIsRightArrivesAsItWasEntered() throws {
    let node = try TestNode(Province.alpha)
    let name = "Quyết định 159.pdf".decomposedStringWithCanonicalMapping
    let file = try node.folder.write(pdf("văn bản"), as: name)
    var draft = draft([file], to: [Province.gamma])
    draft.recipients = ["@tat-ca"]
    draft.subject = "  V/v tổ chức hội nghị ".decomposedStringWithCanonicalMapping
    draft.signerName = "Nguyễn Văn An"
    draft.position = "Chủ tịch"
    draft.secrecyMark = "thường"
    let sent = try node.office.send(draft)
    let id = sent.id
    #expect(sent.deliveries.map(\.to) == [Province.beta.organId, Province.gamma.organId])
    let key = try node.store.reader.documents(idPrefix: id.rawValue)[0].summary.key
    let signed = try node.store.relay.signedManifest(document: key)
    guard
      case .valid(let json, let signers) = node.context.verifier.verify(
        signed, from: node.id, arrivedAt: node.clock.now)
    else {
      Issue.record("the own signature does not verify")
      return
    }
    let manifest = try ManifestCodec.decode(json)
    #expect(signers.count == 1)
    #expect(manifest.documentID == id)
    #expect(manifest.subject == "V/v tổ chức hội nghị")
    #expect(manifest.attachments.map(\.name) == ["Quyết định 159.pdf"])
    #expect(TextRules.isNFC(manifest.attachments[0].name))
    #expect(manifest.number.description == "159/QĐ-LĐLĐ")
    #expect(manifest.signer?.position == "Chủ tịch")
  }
}
