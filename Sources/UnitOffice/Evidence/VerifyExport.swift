package import ExchangeCore
import ExchangeStore
package import Foundation
import NodeDatabase

#if canImport(Glibc)
  import Glibc
#endif

extension ExportFolder {
  /// What an offline check found.
  package struct Report: Sendable {
    package let manifest: Manifest
    /// SHA-256 of the manifest's JSON.
    let digest: SHA256Digest
    /// The CMS that was verified.
    let signed: Data
    package let signers: [SignerIdentity]
    package let attachments: [CheckedFile]
    /// One line per file of `statuses/`.
    package let statuses: [SignedFile]

    package var isIntact: Bool { problems.isEmpty }

    /// The next step when something is wrong: only what was found altered must not be used.
    package var next: String? {
      let isHarmless = { (problem: String) in
        problem.hasPrefix("is missing") || problem.hasPrefix("cannot be read")
      }
      guard statuses.allSatisfy({ $0.problem == nil }),
        attachments.compactMap(\.problem).allSatisfy(isHarmless)
      else {
        return attachments.compactMap(\.problem).allSatisfy(isHarmless)
          ? "The document itself holds; of a status that does not, ask the exporting unit for a new "
            + "export." : nil
      }
      return "Copy the whole exported folder again, files/ included, and check its permissions; "
        + "nothing was found altered."
    }

    /// What is wrong, each with the name of its file.
    package var problems: [String] {
      attachments.compactMap { item in item.problem.map { "attachment “\(item.name)” \($0)" } }
        + statuses.compactMap { item in item.problem.map { "status “\(item.file)” \($0)" } }
    }
  }

  /// An attachment of the manifest, and what stands for it in `files/`.
  package struct CheckedFile: Sendable {
    package let name: String
    /// Where its content was looked for: the name on the disk may have another Unicode form.
    let path: String
    /// What is wrong, or nil.
    package let problem: String?
  }

  /// A receipt or another signed status beside the manifest.
  package struct SignedFile: Sendable {
    package let file: String
    /// Nil when nothing can be read from the file.
    package var statement: StatusStatement?
    package var signers: [SignerIdentity] = []
    /// True for a refusal (02) of another copy than this one: one that was altered on the way, for
    /// example. It says nothing against this one.
    package var refusesOtherCopy = false
    /// What is wrong, or nil: the signature holds, and it is about this very manifest.
    package var problem: String?
  }

  /// Checks an exported document without node or network: `path` is the folder or its
  /// `manifest.p7m`. Throws `OfficeError.verifyFailed` when the manifest itself does not hold.
  package static func verify(
    path: String, hashing: some ContentHashing, open: (Data) -> Verdict
  ) throws -> Report {
    let path = try FileNames.resolve(path)
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    let file = isFolder.boolValue ? "\(path)/\(manifestName)" : path
    let parent = (file as NSString).deletingLastPathComponent
    let folder = parent.isEmpty ? "." : parent
    let signed = try manifestMessage(at: file, isInFolder: isFolder.boolValue)
    switch open(signed) {
    case .early(_, let detail, _):
      throw ExportKind.failure(of: file, .signedInFuture, detail, signed)
    case .invalid(let problem, let detail, _):
      throw ExportKind.failure(of: file, problem, detail, signed)
    case .valid(let content, let signers):
      let manifest: Manifest
      do { manifest = try ManifestCodec.decode(content) } catch let error as any ReportableError {
        // A receipt, or something else that was signed.
        throw OfficeError(
          .notAnExport, "“\(file)”: is signed, but its content is no manifest: \(error.reason)")
      }
      let results = check(manifest.attachments, in: "\(folder)/files", hashing: hashing)
      let digest = hashing.sha256(content)
      let statuses = try signedFiles(in: "\(folder)/statuses").map { name in
        check(
          status: name, at: "\(folder)/statuses", about: manifest, digest: digest, open: open)
      }
      return Report(
        manifest: manifest, digest: digest, signed: signed, signers: signers, attachments: results,
        statuses: statuses)
    }
  }

  /// The CMS of a manifest, as DER. Throws with the cause when there is none.
  private static func manifestMessage(at file: String, isInFolder: Bool) throws -> Data {
    if let problem = PathProblem.readingFile(file) {
      if isInFolder, problem.kind == .missing {
        throw OfficeError(
          .notAnExport, "“\((file as NSString).deletingLastPathComponent)”: has no \(manifestName)")
      }
      throw DocumentError(
        problem.kind == .missing ? .attachmentMissing : .attachmentUnreadable,
        "file \(problem.reason)", next: problem.next)
    }
    guard let signed = message(at: file) else {
      throw OfficeError(
        .notAnExport, "“\(file)”: is longer than a signed manifest, so it is no exported document")
    }
    return signed
  }

  /// The bytes of a regular file, through links too, that is no longer than a message. A pipe would
  /// block.
  static func message(at path: String) -> Data? {
    guard size(at: path).map({ $0 <= WireLimits.bodyBytes }) == true else { return nil }
    return FileManager.default.contents(atPath: path).map(ExportKind.der)
  }

  /// Nil when it is no regular file.
  private static func size(at path: String) -> Int64? {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return Int64(status.st_size)
  }

  /// Names of the signed files in `folder`, none when there is no such folder: a document may have
  /// no status yet.
  private static func signedFiles(in folder: String) throws -> [String] {
    guard FileManager.default.fileExists(atPath: folder) else { return [] }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder)
        .filter { $0.hasSuffix(".p7m") }.sorted()
    } catch {
      throw DocumentError(.attachmentUnreadable, "folder “\(folder)”: cannot be read")
    }
  }

  private static func check(
    status name: String, at folder: String, about manifest: Manifest, digest: SHA256Digest,
    open: (Data) -> Verdict
  ) -> SignedFile {
    var result = SignedFile(file: name)
    guard let signed = message(at: "\(folder)/\(name)") else {
      result.problem = "cannot be read"
      return result
    }
    switch open(signed) {
    case .early(_, let detail, _):
      result.problem = "\(SignatureProblem.signedInFuture.rawValue): \(detail)"
    case .invalid(let problem, let detail, _):
      result.problem = "\(problem.rawValue): \(detail)"
    case .valid(let content, let signers):
      result.signers = signers
      do {
        let statement = try StatusCodec.decode(content)
        result.statement = statement
        if statement.documentID != manifest.documentID {
          result.problem = "is about another document: \(statement.documentID)"
        } else if statement.manifestDigest != digest, statement.code == .refused {
          result.refusesOtherCopy = true
        } else if statement.manifestDigest != digest {
          result.problem = "is about another manifest of this document: manifestSha256 differs"
        }
      } catch {
        result.problem = "is signed but is not a status: \(error)"
      }
    }
    return result
  }

  // MARK: Files

  /// Finds each attachment by its name, in whatever Unicode form the disk has it, and compares digests.
  private static func check(
    _ attachments: [Attachment], in folder: String, hashing: some ContentHashing
  ) -> [CheckedFile] {
    let names = FileNames.list(folder)
    // “==” of texts means canonical equivalence: NFC and NFD are the same name.
    let strays = names.filter { name in !attachments.contains { $0.name == name.text } }
    return attachments.map { attachment in
      let exact = "\(folder)/\(attachment.name)"
      let others = names.compactMap(\.text).filter {
        $0 == attachment.name && !$0.utf8.elementsEqual(attachment.name.utf8)
      }
      let paths = [exact] + others.map { "\(folder)/\($0)" }
      var found: [(path: String, problem: String?)] = []
      for path in paths where size(at: path) != nil {
        let problem = problem(attachment, at: path, hashing: hashing)
        found.append((path, problem))
        if problem == nil { break }
      }
      if let best = found.first(where: { $0.problem == nil }) ?? found.first {
        return CheckedFile(name: attachment.name, path: best.path, problem: best.problem)
      }
      let copy = strays.first { stray in
        guard let name = stray.text else { return false }
        return size(at: "\(folder)/\(name)") == attachment.size
          && problem(attachment, at: "\(folder)/\(name)", hashing: hashing) == nil
      }
      let unreadable = strays.contains { $0.text == nil }
      let hint =
        copy.map { "; a file of the same content stands there as “\($0.shown)”: rename it" }
        ?? (unreadable ? "; a file there has a name that is not UTF-8: rename it" : "")
      return CheckedFile(name: attachment.name, path: exact, problem: "is missing\(hint)")
    }
  }

  private static func problem(
    _ attachment: Attachment, at path: String, hashing: some ContentHashing
  ) -> String? {
    guard let handle = FileHandle(forReadingAtPath: path) else { return "cannot be read" }
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
