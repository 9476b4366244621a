import ExchangeCore
import ExchangeStore
import NodeDatabase

extension Office {
  /// Checks, signs and stores a document with its deliveries. Either all of it is queued when this
  /// returns, or nothing is. With a key that was used before, the document of then is the result.
  package func send(_ draft: OutgoingDraft) throws -> SentDocument {
    let key = try draft.key.map(Self.checkedKey)
    if let key, let before = try repeated(draft, key) { return before }
    try context.store.files.requireSpace(limits.freeBytes)
    let signer = try context.believedSigner()
    var warnings: [Warning] = []
    do {
      let id = try context.store.files.keeping {
        var issued = try prepare(draft, signer, &warnings)
        issued.expiresAt = draft.expiresAt
        issued.key = try key.map { try issueKey($0, of: draft, as: issued.manifest) }
        try context.store.joining.issue([issued], at: issued.manifest.createdAt, by: actor)
        return issued.manifest.documentID
      }
      // It is issued: what goes wrong from here on must not look as if it were not.
      return (try? sent(id, key: key, warnings: warnings, isRepeated: false))
        ?? SentDocument(
          id: id, deliveries: [], warnings: warnings, key: key, isRepeated: false)
    } catch is IssueKeyTaken {
      // Another command with the same key was faster.
      guard let key, let before = try repeated(draft, key) else { throw IssueKeyTaken() }
      return before
    }
  }

  func sent(_ id: RecordID, key: String?, warnings: [Warning], isRepeated: Bool) throws
    -> SentDocument
  {
    var filter = DeliveryFilter()
    filter.documents = [id]
    let deliveries = try context.store.reader.deliveries(filter)
    var warnings = warnings
    if !isRepeated {
      warnings += self.warnings(about: deliveries.map(\.to))
      CertificateEnd.warning(of: context.signer?.certificate, at: context.clock.now)
        .map { warnings.append($0) }
    }
    return SentDocument(
      id: id, deliveries: deliveries, warnings: warnings, key: key, isRepeated: isRepeated)
  }

  /// Everything of `send` but the transaction. Adds what the clerk should know to `warnings`.
  private func prepare(
    _ draft: OutgoingDraft, _ signer: any DocumentSigner, _ warnings: inout [Warning]
  ) throws -> IssuedDocument {
    var manifest = try record(of: draft, &warnings)
    try checkPlausibility(of: manifest, &warnings)
    let (contents, attachments) = try takeFiles(of: draft, &warnings)
    manifest.attachments = attachments
    let total = attachments.reduce(0) { $0 + $1.size }
    guard total <= limits.documentBytes else {
      throw DocumentError(
        .tooLarge, "files: \(total) bytes together, at most \(limits.documentBytes) are allowed")
    }
    let sealed = try SignedManifest(manifest, by: signer, hashing: context.hashing)
    return IssuedDocument(
      manifest: manifest, digest: sealed.digest, signed: sealed.signed, contents: contents)
  }
}
