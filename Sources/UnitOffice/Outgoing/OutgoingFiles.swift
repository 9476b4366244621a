import ExchangeCore
import ExchangeStore
import Foundation

extension Office {
  /// The files of a draft, taken in, in its order. Adds what the clerk should know to `warnings`.
  ///
  /// Files of equal content are allowed (two blank annexes), names that readers take for the same are
  /// not.
  func takeFiles(of draft: OutgoingDraft, _ warnings: inout [Warning]) throws -> (
    contents: [StoredContent], attachments: [Attachment]
  ) {
    var contents: [StoredContent] = []
    var attachments: [Attachment] = []
    for path in draft.files {
      let (content, attachment) = try take(path, of: draft, &warnings)
      if let same = attachments.first(where: {
        $0.name.lowercased() == attachment.name.lowercased()
      }) {
        throw duplicate(attachment, of: same, path)
      }
      contents.append(content)
      attachments.append(attachment)
    }
    return (contents, attachments)
  }

  private func duplicate(_ file: Attachment, of same: Attachment, _ path: String) -> DocumentError {
    if file.sha256 == same.sha256 {
      return DocumentError(
        .attachmentDuplicate, "file “\(path)”: is the same file as “\(same.name)”, given before",
        next: "Name the file once. To send the same content twice, give the copy another name.")
    }
    let sameName = file.name.unicodeScalars.elementsEqual(same.name.unicodeScalars)
    return DocumentError(
      .attachmentDuplicate,
      sameName
        ? "file “\(path)”: another file is named “\(same.name)” too"
        : "file “\(path)”: differs from “\(same.name)” in upper and lower case only",
      next: "Rename one of the two: many programs take them for the same file.")
  }

  private func take(_ given: String, of draft: OutgoingDraft, _ warnings: inout [Warning]) throws
    -> (StoredContent, Attachment)
  {
    let path = try FileNames.resolve(given)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
      !isFolder.boolValue, FileManager.default.isReadableFile(atPath: path)
    else {
      throw DocumentError(.attachmentUnreadable, "file “\(given)”: is not a readable file")
    }
    let name = try entered(
      path.split(separator: "/").last.map(String.init) ?? path, "file name",
      asIs: draft.textAsIs, &warnings)
    try AttachmentRules.checkOwn(name: name)
    if AttachmentRules.isReservedOnWindows(name) {
      warnings.append(
        Warning(
          .fileNameReserved, "file name: “\(name)” cannot be saved on Windows; rename it if you can"
        ))
    }
    var finding: AttachmentRules.Finding?
    let content = try context.store.files.ingest(path: path, maximum: limits.documentBytes) {
      finding = try AttachmentRules.examine(name: name, content: $0, policy: limits.formats)
    }
    warnings += (finding?.remarks ?? []).map { $0.warning(about: name) }
    return (
      content,
      Attachment(
        name: name, mediaType: finding?.mediaType ?? "", size: content.size,
        sha256: content.sha256)
    )
  }

  /// A text as a clerk entered it, without what was pasted unseen. Throws `.encoding` when it is certainly
  /// TCVN3 or VNI and the clerk does not insist (`asIs`).
  func entered(_ value: String, _ field: String, asIs: Bool, _ warnings: inout [Warning]) throws
    -> String
  {
    if !asIs, let doubt = LegacyEncoding.detect(TextRules.normalized(value)) {
      let meant = TextRules.fitting(doubt.decoded, maximum: 80)
      guard !doubt.isCertain else {
        throw DocumentError(
          .encoding, "\(field): is \(doubt.name) text, not Unicode; it was meant as “\(meant)”",
          next: "Type or convert it to Unicode; if it is right as it stands, add --text-as-is.")
      }
      warnings.append(
        Warning(.textEncoding, "\(field): may be \(doubt.name) text, meant as “\(meant)”"))
    }
    let cleaned = CleanedText(value)
    warnings += cleaned.removed.map { Warning(.textCleaned, "\(field): removed \($0)") }
    return cleaned.text
  }
}
