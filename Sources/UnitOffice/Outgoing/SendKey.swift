import ExchangeCore
import ExchangeStore
import Foundation
import NodeDatabase

/// `send --key`: whoever is not sure whether a document was issued asks again under the same key.
extension Office {
  static let maximumKeyLength = 128

  static func checkedKey(_ text: String) throws -> String {
    let allowed = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"):
        true
      default: "._-:/+=@#".utf8.contains(byte)
      }
    }
    guard allowed, (1...maximumKeyLength).contains(text.utf8.count) else {
      throw OfficeError(
        .badKey,
        "key: “\(HarmlessText.line(text, maximum: 40))” is not 1 to \(maximumKeyLength) characters "
          + "of A-Z a-z 0-9 . _ - : / + = @ #")
    }
    return text
  }

  /// The key of a draft that became `manifest`. Names and texts are compared as they are stored: NFC,
  /// without spaces around.
  func issueKey(_ key: String, of draft: OutgoingDraft, as manifest: Manifest) throws -> IssueKey {
    try issueKey(
      key, of: draft, files: manifest.attachments.map(\.sha256),
      meant: [
        "reply-to": manifest.responseFor.first.map { digest($0.rawValue) },
        "replaces": manifest.replaces.first.map { digest($0.rawValue) },
      ].compactMapValues { $0 })
  }

  private func digest(_ text: String) -> SHA256Digest {
    context.hashing.sha256(Data(TextRules.normalized(text).utf8))
  }

  /// The key of a draft whose files have these digests. `meant`: digests of ids by their field, of the
  /// documents that the beginnings of ids in the draft stood for when it was issued.
  private func issueKey(
    _ key: String, of draft: OutgoingDraft, files: [SHA256Digest], meant: [String: SHA256Digest]
  ) throws -> IssueKey {
    var fields: [String: String] = [
      "number": draft.number, "date": draft.date, "type": draft.typeName,
      "subject": draft.subject, "signer": draft.signerName ?? "",
      "position": draft.position ?? "", "capacity": draft.competence ?? "",
      "urgency": draft.urgency.vietnamese, "due": draft.dueDate ?? "",
      "expires": draft.expiresAsGiven ?? draft.expiresAt?.iso8601 ?? "",
      "reply-to": try known(draft.replyTo, meant: meant["reply-to"]),
      "replaces": try known(draft.replaces, meant: meant["replaces"]),
      "to": Set(draft.recipients.map(TextRules.normalized)).sorted().joined(separator: "\n"),
    ]
    let units = draft.recipients.map { name in
      (try? context.directory.current.resolve(recipient: TextRules.normalized(name)))?
        .map(\.id.rawValue)
    }
    // A directory that has changed meanwhile is no other request.
    if !units.contains(nil) {
      fields["units"] = Set(units.flatMap { $0 ?? [] }).sorted().joined(separator: "\n")
    }
    fields["files"] = zip(draft.files, files).map { path, digest in
      "\(digest.hex) \(TextRules.normalized(path.split(separator: "/").last.map(String.init) ?? ""))"
    }.joined(separator: "\n")
    return IssueKey(key, fields: fields.mapValues(digest))
  }

  /// The full id where the text is the beginning of one: of the document that was `meant`, although
  /// others that begin the same have come since.
  private func known(_ id: String?, meant: SHA256Digest?) throws -> String {
    guard let id else { return "" }
    do {
      if let meant,
        let full = try context.store.reader.ids(beginning: id).first(where: { digest($0) == meant })
      {
        return full
      }
      return try context.store.reader.find(id, preferring: "outgoing").summary.id.rawValue
    } catch let error as StoreError where [.notFound, .ambiguous].contains(error.kind) {
      return id
    }
  }

  /// The document that was issued under `key`, or nil. Throws `OfficeError.keyUsed` when this draft is
  /// another one.
  func repeated(_ draft: OutgoingDraft, _ key: String) throws -> SentDocument? {
    guard let (id, known) = try context.store.reader.issued(under: key) else { return nil }
    let files = try draft.files.map { path in
      // A file that is gone or cannot be read: what counts is which document there is already.
      guard
        let file = (try? FileNames.resolve(path)).flatMap(context.store.files.identity(ofFile:))
      else {
        throw DocumentError(
          .attachmentUnreadable,
          "file “\(path)”: cannot be read and compared with document \(id), which was issued under "
            + "key “\(key)”", next: "See what was issued with: congvan show \(id)")
      }
      return file.sha256
    }
    let asked = try issueKey(key, of: draft, files: files, meant: known.fields)
    var differing = Set(known.fields.keys).union(asked.fields.keys).filter {
      known.fields[$0] != asked.fields[$0]
    }
    // The same units in other words, or the same words although the directory has changed.
    let differs = differing.contains("to") && differing.contains("units")
    differing.subtract(["to", "units"])
    if differs { differing.insert("to") }
    guard differing.isEmpty else {
      throw OfficeError(
        .keyUsed,
        "key: document \(id) was issued under “\(key)”, and this one differs in: "
          + differing.sorted().joined(separator: ", "),
        next: "Use another key for another document; see the first with: congvan show \(id)")
    }
    return try sent(id, key: key, warnings: [], isRepeated: true)
  }
}
