package import ExchangeCore
package import ExchangeStore
package import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// An exported document: a folder that verifies with plain `openssl` and without this program.
///
///     manifest.p7m        CMS as it travelled (DER)
///     manifest.json       its content
///     files/NAME          the attachments
///     statuses/…p7m       receipts and other signed statuses, sent and received
package struct ExportFolder: Sendable {
  package static let manifestName = "manifest.p7m"

  package let path: String

  /// Writes `document` into `folder`, which must be new or empty.
  package static func write(
    _ document: DocumentSummary, context: NodeContext, to folder: String
  ) throws -> ExportFolder {
    let manager = FileManager.default
    if let content = try? manager.contentsOfDirectory(atPath: folder), !content.isEmpty {
      throw NodeError(.exportExists, "\(folder): is not empty")
    }
    let store = context.store
    let signed = try store.signedManifest(document: document.key)
    do {
      for name in ["", "/files", "/statuses"] {
        try manager.createDirectory(
          atPath: folder + name, withIntermediateDirectories: true,
          attributes: [.posixPermissions: 0o700])
      }
      try create(signed, at: "\(folder)/\(manifestName)")
      if case .valid(let json, _) = context.verifier.verify(
        signed, from: document.sender, arrivedAt: context.clock.now)
      {
        try create(json, at: "\(folder)/manifest.json")
      }
      for attachment in document.attachments {
        try copy(attachment, from: context, to: "\(folder)/files/\(attachment.name)")
      }
      for status in try store.statuses(document: document.key) {
        try create(
          status.signed, at: "\(folder)/statuses/\(status.code)-\(status.from)-\(status.id).p7m")
      }
    } catch let error as CocoaError {
      throw NodeError(.exportFailed, "\(folder): \(error.localizedDescription)")
    }
    return ExportFolder(path: folder)
  }

  /// Names were checked when the document was accepted (`AttachmentRules.check`): no separator, no
  /// `..`. Creating exclusively and without following links keeps the file inside the folder.
  private static func create(_ data: Data, at path: String) throws {
    let handle = try exclusive(path)
    defer { try? handle.close() }
    try handle.write(contentsOf: data)
  }

  private static func exclusive(_ path: String) throws -> FileHandle {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw NodeError(.exportFailed, "\(path): \(String(cString: strerror(errno)))")
    }
    return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  private static func copy(_ attachment: Attachment, from context: NodeContext, to path: String)
    throws
  {
    try AttachmentRules.check(name: attachment.name)
    let handle = try exclusive(path)
    defer { try? handle.close() }
    let hash = context.hashing.makeHash()
    var offset: Int64 = 0
    while offset < attachment.size {
      let data = try context.store.content(
        attachment.sha256, offset: offset, count: Int(WireLimits.pieceBytes))
      guard !data.isEmpty else {
        throw StoreError(
          .contentMissing, "content of “\(attachment.name)” is shorter than recorded")
      }
      try handle.write(contentsOf: data)
      hash.update(data)
      offset += Int64(data.count)
    }
    guard hash.finish() == attachment.sha256 else {
      throw StoreError(.contentDamaged, "content of “\(attachment.name)” does not have its digest")
    }
  }

  /// What an offline check found.
  package struct Report: Sendable {
    package let manifest: Manifest
    package let signers: [SignerIdentity]
    /// One line per attachment: its name, and what is wrong, or nil.
    package let attachments: [(name: String, problem: String?)]

    package var isIntact: Bool { attachments.allSatisfy { $0.problem == nil } }
  }

  /// Checks an exported document without node or network: `path` is the folder or its
  /// `manifest.p7m`. Throws `NodeError.verifyFailed` when the manifest itself does not hold.
  package static func verify(
    path: String, hashing: some ContentHashing, open: (Data) -> Verdict
  ) throws -> Report {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw DocumentError(.attachmentMissing, "file “\(path)”: does not exist")
    }
    let file = isFolder.boolValue ? "\(path)/\(manifestName)" : path
    let folder = (file as NSString).deletingLastPathComponent
    guard let signed = FileManager.default.contents(atPath: file) else {
      throw DocumentError(.attachmentUnreadable, "file “\(file)”: cannot be read")
    }
    switch open(signed) {
    case .invalid(let problem, let detail, _):
      throw NodeError(.verifyFailed, "manifest: \(problem.rawValue): \(detail)")
    case .valid(let content, let signers):
      let manifest = try ManifestCodec.decode(content)
      let results = manifest.attachments.map { attachment in
        (
          attachment.name,
          problem(attachment, at: "\(folder.isEmpty ? "." : folder)/files", hashing: hashing)
        )
      }
      return Report(manifest: manifest, signers: signers, attachments: results)
    }
  }

  private static func problem(
    _ attachment: Attachment, at folder: String, hashing: some ContentHashing
  ) -> String? {
    guard let handle = FileHandle(forReadingAtPath: "\(folder)/\(attachment.name)") else {
      return "is missing"
    }
    defer { try? handle.close() }
    let hash = hashing.makeHash()
    var size: Int64 = 0
    while let data = try? handle.read(upToCount: Int(WireLimits.pieceBytes)), !data.isEmpty {
      hash.update(data)
      size += Int64(data.count)
    }
    if size != attachment.size { return "has \(size) bytes instead of \(attachment.size)" }
    return hash.finish() == attachment.sha256 ? nil : "was altered: its digest differs"
  }
}
