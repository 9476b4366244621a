/// Rules for file names and formats. The sender's check and the receiver's are the same.
package enum AttachmentRules {
  /// A name is 1 to 255 bytes of NFC text without `/`, `\`, control characters or the meaning of a
  /// path. It is shown and exported, never used as a path as it stands.
  package static func check(name: String) throws(DocumentError) {
    let shown = TextRules.fitting(name, maximum: 60)
    guard !name.isEmpty, name.utf8.count <= WireLimits.fileNameBytes else {
      throw DocumentError(
        .attachmentName, "file name: “\(shown)” has \(name.utf8.count) bytes, 1 to 255 are allowed")
    }
    guard !name.unicodeScalars.contains(where: { "/\\:*?\"<>|".unicodeScalars.contains($0) }) else {
      throw DocumentError(
        .attachmentName, "file name: “\(shown)” has one of the characters / \\ : * ? \" < > |")
    }
    if let harm = TextRules.harm(in: name) {
      throw DocumentError(.attachmentName, "file name: “\(shown)” \(harm)")
    }
    // By scalars: a space that carries a combining mark is a space for every other reader.
    let (first, last) = (name.unicodeScalars.first, name.unicodeScalars.last)
    guard name != ".", name != "..", first != " ", last != " ", last != "." else {
      throw DocumentError(
        .attachmentName, "file name: “\(shown)” is a path, or begins or ends with a space or dot")
    }
    guard TextRules.isNFC(name) else {
      throw DocumentError(.attachmentName, "file name: “\(shown)” is not in Unicode form NFC")
    }
  }

  /// What a sender asks beyond `check(name:)`: something to read before the extension.
  package static func checkOwn(name: String) throws(DocumentError) {
    try check(name: name)
    guard TextRules.isVisible(String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)])) else {
      throw DocumentError(
        .attachmentName,
        "file name: “\(TextRules.fitting(name, maximum: 60))” has nothing before its extension")
    }
  }

  /// True of a name that Windows keeps for a device (`CON.pdf`): nobody can save the file there.
  package static func isReservedOnWindows(_ name: String) -> Bool {
    var stem = name.prefix { $0 != "." }
    while stem.last == " " { stem.removeLast() }
    let device = stem.uppercased()
    if ["CON", "PRN", "AUX", "NUL"].contains(device) { return true }
    return ["COM", "LPT"].contains(device.prefix(3)) && device.count == 4
      && "123456789¹²³".contains(device.suffix(1))
  }

  /// What the check of a file found.
  package struct Finding: Sendable, Hashable {
    package let mediaType: String
    /// Sorted by code.
    package let remarks: [FileRemark]
  }

  /// Checks that the content of a file agrees with the extension of `name` (R-4.3), which names its
  /// media type. Throws `.attachmentFormat` otherwise, and what reading throws.
  package static func examine(
    name: String, content: AttachmentBytes, policy: FormatPolicy = FormatPolicy()
  ) throws -> Finding {
    try examine(name: name, policy: policy) { try Recognition(content) }
  }

  /// The same for the files of one document: content that occurs several times is looked at once,
  /// whatever names it has.
  package struct Examiner {
    private struct Content: Hashable {
      let sha256: SHA256Digest
      let size: Int64
    }

    private let policy: FormatPolicy
    private var known: [Content: Recognition] = [:]

    package init(policy: FormatPolicy = FormatPolicy()) { self.policy = policy }

    /// `content` is asked for when the attachment's was not looked at before.
    package mutating func examine(
      _ attachment: Attachment, content: () throws -> AttachmentBytes
    ) throws -> Finding {
      let key = Content(sha256: attachment.sha256, size: attachment.size)
      return try AttachmentRules.examine(name: attachment.name, policy: policy) {
        if let known = known[key] { return known }
        let found = try Recognition(content())
        known[key] = found
        return found
      }
    }
  }

  private static func examine(
    name: String, policy: FormatPolicy, recognise: () throws -> Recognition
  ) throws -> Finding {
    let fileExtension =
      name.split(separator: ".", omittingEmptySubsequences: false).dropFirst()
      .last?.lowercased() ?? ""
    guard let format = FileFormat(fileExtension: fileExtension) else {
      throw DocumentError(
        .attachmentFormat,
        fileExtension.isEmpty
          ? "file “\(name)”: has no extension"
          : "file “\(name)”: the extension “\(fileExtension)” is not allowed",
        next: advice(forExtension: fileExtension))
    }
    guard policy.takesLegacy || !format.isLegacy else {
      throw DocumentError(
        .attachmentFormat, "file “\(name)”: \(format.name) is not accepted by this unit",
        next: "Send it as DOCX, XLSX, PPTX, PDF or ZIP; see attachments.legacyFormats.")
    }
    let found = try recognise()
    if found.crowded.contains(format) {
      throw DocumentError(
        .attachmentFormat,
        "file “\(name)”: \(found.excess), "
          + "at most \(ZIPArchive.maximumEntries) are allowed in \(format.name)",
        next: "Save it again with the program that made it, split it, or save it as PDF.")
    }
    if found.locked.contains(format) {
      throw DocumentError(
        .attachmentFormat, "file “\(name)”: has a password, so its receivers cannot open it",
        next: "Remove the password in the program that made the file, and send it without.")
    }
    guard found.formats.contains(format) else { throw mismatch(name, format, found) }
    return Finding(
      mediaType: format.mediaType, remarks: found.remarks.sorted { $0.rawValue < $1.rawValue })
  }

  // MARK: Explaining

  private static func mismatch(_ name: String, _ format: FileFormat, _ found: Recognition)
    -> DocumentError
  {
    func error(_ what: String, _ next: String) -> DocumentError {
      DocumentError(.attachmentFormat, "file “\(name)”: \(what)", next: next)
    }
    if case .program(let program) = found.foreign {
      return error(
        "begins like \(program)",
        "Programs and scripts are not sent; of an archive that unpacks itself send a plain ZIP.")
    }
    if case .broken(let like) = found.foreign {
      return error(
        "begins like \(like.name), but is not readable as \(like.name)",
        "Open it in the program that made it, save it again as \(like.name) or as PDF, and send that."
      )
    }
    if case .other(let kind) = found.foreign {
      return error(
        "its content looks like \(kind), not \(format.name)",
        "Save it as PDF, or in another allowed format, and send that.")
    }
    if found.formats.contains(.rtf) {
      return error(
        "its content looks like RTF, not \(format.name)",
        "Give it the name of what it is (….rtf), or save it as \(format.name).")
    }
    if found.formats.contains(.text) {
      return error(
        "its content looks like \(found.formats.contains(.xml) ? "a web page or XML" : "plain text"), "
          + "not \(format.name)",
        "Open it: a page that was downloaded instead of the file is a usual cause. Save it as "
          + "\(format.name) with the program that made it.")
    }
    // The most special one: what is in a ZIP says more than that it is one.
    if let like = found.formats.sorted(by: { $0.rawValue < $1.rawValue })
      .first(where: { found.formats.count == 1 || $0 != .zip })
    {
      return error(
        "its content looks like \(like.name), not \(format.name)",
        "Give it the name of what it is (….\(like.extensions[0])), or save it as \(format.name).")
    }
    let text = format == .text || format == .csv || format == .xml
    return error(
      "its content is not recognised as \(text ? "text (\(format.name))" : format.name)",
      text
        ? "Save it as text in UTF-8, for example with “Save as” of the program that made it."
        : "Open it in the program that made it, save it again as \(format.name) or as PDF, and send that."
    )
  }

  private static let list =
    "PDF, DOCX, XLSX, PPTX, ODT, ODS, ODP, DOC, XLS, PPT, RTF, PNG, JPG, TIFF, TXT, CSV, XML, ZIP, "
    + "RAR or 7Z"

  private static func advice(forExtension text: String) -> String {
    switch text {
    case "docm", "dotx", "dotm", "dot": "Save it as DOCX without macros, or as PDF."
    case "xlsm", "xlsb", "xltx", "xltm", "xlt": "Save it as XLSX without macros, or as PDF."
    case "pptm", "ppsx", "pps", "potx": "Save it as PPTX without macros, or as PDF."
    case "heic", "heif", "webp", "gif", "bmp": "Save the image as JPG or PNG."
    case "jfif", "jpe", "jif": "Rename it to end in .jpg: it has that format."
    default: "Send \(list); the file's name must end in what it really is."
    }
  }
}
