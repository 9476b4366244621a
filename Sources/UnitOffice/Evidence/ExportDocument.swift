import ExchangeCore
package import ExchangeStore
import Foundation
import NodeDatabase

#if canImport(Glibc)
  import Glibc
#endif

extension Office {
  /// Writes a document with signature and receipts into `folder`, which must be new or empty. An
  /// incoming one must be accepted. Signs nothing, so it works without the unit's key.
  package func export(_ id: String, to folder: String) throws -> ExportFolder {
    let (document, _) = try context.store.reader.find(id, preferring: "outgoing")
    if let incoming = try context.store.reader.incomingDocument(key: document.key),
      incoming.state != .accepted
    {
      throw OfficeError(
        .notYetWhole, "document \(document.id) is \(incoming.state.rawValue), not accepted")
    }
    return try ExportFolder.write(document, context: context, to: folder)
  }
}

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
    _ document: DocumentSummary, context: OfficeContext, to folder: String
  ) throws -> ExportFolder {
    let manager = FileManager.default
    if let content = try? manager.contentsOfDirectory(atPath: folder), !content.isEmpty {
      throw OfficeError(.exportExists, "\(folder): is not empty")
    }
    let store = context.store
    let signed = try store.relay.signedManifest(document: document.key)
    do {
      for name in ["", "/files", "/statuses"] {
        try manager.createDirectory(
          atPath: folder + name, withIntermediateDirectories: true,
          attributes: [.posixPermissions: 0o700])
      }
      try create(signed, at: "\(folder)/\(manifestName)")
      try create(content(of: signed, document, context), at: "\(folder)/manifest.json")
      for attachment in document.attachments {
        try copy(attachment, from: context, to: "\(folder)/files/\(attachment.name)")
      }
      for status in try store.reader.statuses(document: document.key) {
        try create(
          status.signed, at: "\(folder)/statuses/\(status.code)-\(status.from)-\(status.id).p7m")
      }
    } catch let error as CocoaError {
      throw OfficeError(.exportFailed, "\(folder): \(error.localizedDescription)")
    }
    return ExportFolder(path: folder)
  }

  /// The manifest as it was believed when it came, whatever has become of its certificate since.
  private static func content(
    of signed: Data, _ document: DocumentSummary, _ context: OfficeContext
  ) throws -> Data {
    let verdict = context.verifier.verify(
      signed, from: document.sender, arrivedAt: document.createdAt)
    let content: Data? =
      switch verdict {
      case .valid(let content, _), .early(_, _, let content): content
      case .invalid(_, _, let content): content
      }
    guard let content,
      try context.hashing.sha256(content)
        == context.store.reader.manifestDigest(document: document.key)
    else {
      throw StoreError(.contentDamaged, "manifest of \(document.id): is not what was stored")
    }
    return content
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
      throw OfficeError(.exportFailed, "\(path): \(String(cString: strerror(errno)))")
    }
    return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  private static func copy(_ attachment: Attachment, from context: OfficeContext, to path: String)
    throws
  {
    try AttachmentRules.check(name: attachment.name)
    let handle = try exclusive(path)
    defer { try? handle.close() }
    let hash = context.hashing.makeHash()
    var offset: Int64 = 0
    while offset < attachment.size {
      let data = try context.store.contents.content(
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
}
