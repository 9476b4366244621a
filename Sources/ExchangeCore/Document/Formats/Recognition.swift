/// What the content of a file is, whatever its name says. A look at signatures, directories and a few
/// records, never at the whole content, and nothing is decompressed, decrypted or run: enough to
/// tell a mistake from what was meant, not to prove that a file is sound.
struct Recognition {
  /// Formats as which the content may pass. Several at once: a DOCX is a ZIP as well.
  private(set) var formats: Set<FileFormat> = []
  private(set) var remarks: Set<FileRemark> = []
  /// Office formats that the content may be, and that nobody can open without its password.
  private(set) var locked: Set<FileFormat> = []
  /// Office formats that the content might be, had its archive not too many files; and what says so.
  private(set) var crowded: Set<FileFormat> = []
  private(set) var excess = ""
  /// What else it looks like: something that no document carries.
  private(set) var foreign: Foreign?

  enum Foreign: Hashable {
    /// Begins like a program or a script.
    case program(String)
    /// A format that is not on the list.
    case other(String)
    /// Begins like a format on the list, and goes on like none.
    case broken(FileFormat)
  }

  init(_ file: AttachmentBytes) throws {
    let head = try file.head()
    if let program = Self.program(head) {
      foreign = .program(program)
    } else if let image = Self.image(head) {
      formats = [image]
    } else if ZIPArchive.hasSignature(head) {
      try readArchive(file, head)
    } else if head.starts(with: CompoundFile.signature) {
      try readCompoundFile(file)
    } else if let archive = Self.archive(head) {
      formats = [archive]
      if try ArchiveEncryption.isDeclared(archive, file, head) { remarks = [.encrypted] }
    } else if head.starts(with: Self.rtf) {
      try readRTF(file)
    } else if Self.isPDF(head) {
      formats = [.pdf]
      // A text may speak of PDF.
      if !head.starts(with: Array("%PDF-".utf8)), try TextContent(file) != nil {
        formats.formUnion([.text, .csv])
      }
      if try Self.declaresEncryption(head) || Self.declaresEncryption(file.tail()) {
        remarks = [.encrypted]
      }
    } else {
      try readText(file, head)
    }
  }

  // MARK: Signatures

  private static func program(_ head: [UInt8]) -> String? {
    let machO: [[UInt8]] = [
      [0xFE, 0xED, 0xFA, 0xCE], [0xFE, 0xED, 0xFA, 0xCF], [0xCE, 0xFA, 0xED, 0xFE],
      [0xCF, 0xFA, 0xED, 0xFE], [0xCA, 0xFE, 0xBA, 0xBE],
    ]
    if head.starts(with: Array("MZ".utf8)) { return "a Windows program" }
    if head.starts(with: [0x7F, 0x45, 0x4C, 0x46]) { return "a Linux program" }
    if machO.contains(where: { head.starts(with: $0) }) { return "a macOS or Java program" }
    if head.starts(with: Array("#!/".utf8)) || head.starts(with: Array("#! /".utf8)) {
      return "a script"
    }
    return nil
  }

  private static func image(_ head: [UInt8]) -> FileFormat? {
    if head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
    if head.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
    // The last two of the four are BigTIFF, for files beyond 4 GiB.
    let marks: [[UInt8]] = [
      [0x49, 0x49, 0x2A, 0], [0x4D, 0x4D, 0, 0x2A], [0x49, 0x49, 0x2B, 0], [0x4D, 0x4D, 0, 0x2B],
    ]
    return marks.contains { head.starts(with: $0) } ? .tiff : nil
  }

  private static func archive(_ head: [UInt8]) -> FileFormat? {
    if head.starts(with: Array("Rar!\u{1A}\u{7}".utf8)) { return .rar }
    return head.starts(with: [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]) ? .sevenZip : nil
  }

  /// Readers accept the mark anywhere in the first kilobyte (ISO 32000-1, Annex H), and the older one
  /// of Adobe's own programs.
  private static func isPDF(_ head: [UInt8]) -> Bool {
    let start = Array(head.prefix(1024))
    guard !start.contains("%PDF-") else { return true }
    return start.starts(with: Array("%!PS-Adobe-".utf8))
      && Array(start.prefix(40)).contains(" PDF-")
  }

  /// The trailer of a PDF names its encryption dictionary.
  private static func declaresEncryption(_ window: [UInt8]) -> Bool {
    let name = Array("/Encrypt".utf8)
    var from = 0
    while let index = window.firstIndex(of: name, from: from) {
      from = index + name.count
      if from < window.count, [0x20, 0x09, 0x0A, 0x0D, 0x3C].contains(window[from]) { return true }
    }
    return false
  }

  // MARK: ZIP and what is made of it

  private mutating func readArchive(_ file: AttachmentBytes, _ head: [UInt8]) throws {
    formats = [.zip]
    guard let archive = try ZIPArchive(file) else {
      // Cut off, or spoiled: its beginning and end have to do.
      let windows = try [head, file.tail()]
      for (folder, format) in Self.folders where windows.contains(where: { $0.contains(folder) }) {
        formats.insert(format)
      }
      for (kind, format) in Self.openDocuments
      where windows.contains(where: { $0.contains(FileFormat.openDocument + kind) }) {
        formats.insert(format)
      }
      return
    }
    if let excess = archive.excess {
      self.excess = excess
      crowded = Set((Self.folders + Self.openDocuments).map(\.1))
    }
    for (folder, format) in Self.folders {
      let folder = Array(folder.utf8)
      if archive.entries.contains(where: { $0.name.starts(with: folder) }) {
        formats.insert(format)
      }
    }
    formats.formUnion(try Self.openDocument(archive, file))
    let office = formats.subtracting([.zip])
    guard !office.isEmpty else {
      if archive.entries.contains(where: \.isEncrypted) { remarks = [.encrypted] }
      return
    }
    if archive.entries.contains(where: { Self.isMacro($0.name) }) { remarks.insert(.macros) }
    if archive.entries.contains(where: \.isEncrypted) {
      remarks.insert(.encrypted)
      locked = office
    } else if try Self.isEncryptedOpenDocument(archive, file) {
      locked = office
    }
  }

  private static let folders: [(String, FileFormat)] = [
    ("word/", .docx), ("xl/", .xlsx), ("ppt/", .pptx),
  ]

  private static let openDocuments: [(String, FileFormat)] = [
    ("text", .odt), ("spreadsheet", .ods), ("presentation", .odp),
  ]

  private static let macroFile = Array("vbaproject.bin".utf8)
  private static let macroFolders = ["xl/macrosheets/", "basic/", "scripts/"].map { Array($0.utf8) }

  private static func isMacro(_ name: [UInt8]) -> Bool {
    name.hasSuffix(macroFile) || macroFolders.contains { name.starts(with: $0) }
  }

  private static func entry(_ name: String, of archive: ZIPArchive) -> ZIPArchive.Entry? {
    let name = Array(name.utf8)
    return archive.entries.first { $0.name == name }
  }

  /// Which OpenDocument it is, by the entry `mimetype`. Its checksum is compared, because programs that
  /// pack a document again may have compressed it. A document without that entry may be any of them.
  private static func openDocument(_ archive: ZIPArchive, _ file: AttachmentBytes) throws
    -> [FileFormat]
  {
    guard let entry = entry("mimetype", of: archive) else {
      return entry("content.xml", of: archive) != nil
        && entry("meta-inf/manifest.xml", of: archive) != nil
        ? openDocuments.map(\.1) : []
    }
    let stored =
      entry.method == 0 ? try archive.beginning(of: entry, in: file, count: 100) : []
    return openDocuments.compactMap { kind, format in
      let names = ["", "-template"].flatMap { template in
        ["", "\n", "\r\n", " "].map { FileFormat.openDocument + kind + template + $0 }
      }
      let fits = names.contains { name in
        entry.size == name.utf8.count && entry.checksum == checksum(name)
          || stored == Array(name.utf8)
      }
      return fits ? format : nil
    }
  }

  /// An OpenDocument with a password keeps its names and encrypts what they stand for: stored, but no
  /// XML. Newer programs put everything into one entry.
  private static func isEncryptedOpenDocument(_ archive: ZIPArchive, _ file: AttachmentBytes)
    throws -> Bool
  {
    if entry("encrypted-package", of: archive) != nil { return true }
    guard let content = entry("content.xml", of: archive), content.method == 0,
      entry("mimetype", of: archive) != nil
    else { return false }
    let start = try archive.beginning(of: content, in: file, count: 64)
    return start.count >= 16 && TextContent.isBinary(start)
  }

  // MARK: OLE

  private mutating func readCompoundFile(_ file: AttachmentBytes) throws {
    guard let compound = try CompoundFile(file) else { return }
    if compound.has("encryptedpackage") || compound.has("encryptioninfo") {
      locked = [.docx, .xlsx, .pptx, .doc, .xls, .ppt]
      return
    }
    if compound.has("worddocument") {
      formats.insert(.doc)
      // FibBase: flag 0x0100 of the word at 10 is fEncrypted.
      let start = try compound.beginning(of: "worddocument", in: file)
      if (start.number16(at: 10) ?? 0) & 0x0100 != 0 { locked.insert(.doc) }
    }
    for name in ["workbook", "book"] where compound.has(name) {
      formats.insert(.xls)
      if Self.isEncryptedSheet(try compound.beginning(of: name, in: file)) {
        // A protected structure encrypts too, with a password that Excel knows: so nothing is sure.
        remarks.insert(.encrypted)
      }
    }
    if compound.has("powerpoint document") {
      formats.insert(.ppt)
      let user = try compound.beginning(of: "current user", in: file)
      if user.number32(at: 12) == 0xF3D1_C4DF { locked.insert(.ppt) }
      if Self.hasPresentationMacros(try file.head(1 << 20)) { remarks.insert(.macros) }
    }
    let macros: Set<String> = ["macros", "vba", "_vba_project", "_vba_project_cur"]
    if compound.entries.contains(where: { macros.contains($0.name) }) { remarks.insert(.macros) }
    if formats.isEmpty {
      foreign = .other("a file of Outlook, Visio, an installer or the like (OLE)")
    }
  }

  /// The record VBAInfoAtom, whose flag fHasMacros is set; looked for in the first MiB.
  private static func hasPresentationMacros(_ bytes: [UInt8]) -> Bool {
    let container: [UInt8] = [0x1F, 0, 0xFF, 0x03, 0x14, 0, 0, 0, 0x02, 0, 0, 0x04, 0x0C, 0, 0, 0]
    guard let start = bytes.firstIndex(of: container) else { return false }
    return bytes.number32(at: start + container.count + 4) ?? 0 != 0
  }

  /// A record FilePass (0x2F) among the first of a workbook.
  private static func isEncryptedSheet(_ start: [UInt8]) -> Bool {
    var position = 0
    for _ in 0..<8 {
      guard let type = start.number16(at: position), let size = start.number16(at: position + 2)
      else { return false }
      if type == 0x2F { return true }
      position += 4 + size
    }
    return false
  }

  // MARK: Text, and the rest

  private mutating func readText(_ file: AttachmentBytes, _ head: [UInt8]) throws {
    guard let text = try TextContent(file) else {
      foreign = Self.other(head).map(Foreign.other)
      return
    }
    formats = [.text, .csv]
    if text.first == 0x3C {
      formats.insert(.xml)
    } else if text.encoding == .old || text.encoding == .unmarked {
      // XML says itself which encoding it has.
      remarks = [.encoding]
    }
  }

  private static let rtf = Array("{\\rt".utf8)

  /// Word saves RTF under the name DOC when it is told to keep a format. Some writers end the file
  /// with zero bytes; within its braces there are none.
  private mutating func readRTF(_ file: AttachmentBytes) throws {
    if try TextContent(file) != nil {
      formats = [.rtf, .doc, .text, .csv]
    } else if let end = try Self.lastBrace(file), try TextContent(file.beginning(end)) != nil {
      formats = [.rtf, .doc]
    } else {
      foreign = .broken(.rtf)
    }
  }

  /// How far the closing brace reaches behind which there is nothing but zero bytes and space, up to
  /// 1 MiB of them.
  private static func lastBrace(_ file: AttachmentBytes) throws -> Int64? {
    let padding: [UInt8] = [0, 0x09, 0x0A, 0x0D, 0x1A, 0x20]
    var end = file.size
    for _ in 0..<16 where end > 0 {
      let start = max(0, end - AttachmentBytes.pageBytes)
      let window = try file.bytes(at: start, count: Int(end - start))
      if let last = window.lastIndex(where: { !padding.contains($0) }) {
        return window[last] == UInt8(ascii: "}") ? start + Int64(last) + 1 : nil
      }
      end = start
    }
    return nil
  }

  private static func other(_ head: [UInt8]) -> String? {
    let brand = String(decoding: head.dropFirst(4).prefix(8), as: UTF8.self)
    if brand.hasPrefix("ftyp") {
      return ["ftyphei", "ftyphev", "ftypmif", "ftypmsf"].contains(where: brand.hasPrefix)
        ? "a HEIC photo" : "a video or sound (MP4)"
    }
    let marks: [(String, String)] = [
      ("GIF8", "a GIF image"), ("RIFF", "a WebP image, sound or video (RIFF)"),
      ("BM", "a BMP image"),
      ("PK\u{5}\u{6}", "an empty archive"), ("SQLite format 3", "a database"),
      ("ID3", "sound (MP3)"),
    ]
    if let mark = marks.first(where: { head.starts(with: Array($0.0.utf8)) }) { return mark.1 }
    if head.starts(with: [0x1F, 0x8B]) { return "a GZIP archive" }
    if head.starts(with: [0x30, 0x82]) || head.starts(with: [0x30, 0x80]) {
      return "a signature, certificate or other DER data"
    }
    return !head.isEmpty && head.allSatisfy { $0 == 0 } ? "nothing but zero bytes" : nil
  }
}
