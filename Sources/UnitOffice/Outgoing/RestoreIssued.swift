package import ExchangeCore
package import ExchangeStore

extension Office {
  /// Restores a document of this unit from `folder`, which a unit that received it exported: this
  /// unit's database was restored from a backup and does not know it. Its deliveries are queued
  /// with the same id and the same bytes; units that have it answer with the receipt they gave before.
  ///
  /// Throws `OfficeError.verifyFailed` unless signature and files are whole and the document is this
  /// unit's, `.known` when it is here, `.frozen` when a signed 13 in the export says that this unit took
  /// it back: then it must not be sent again.
  package func takeIn(export folder: String) throws -> (
    id: RecordID, deliveries: [DeliverySummary]
  ) {
    let own = context.unit.organId
    let now = context.clock.now
    let report = try ExportFolder.verify(path: folder, hashing: context.hashing) { message in
      // Only what this unit signed matters; of the others' statuses their senders send new copies.
      let today = context.verifier.verify(message, from: own, arrivedAt: now)
      guard case .invalid = today else { return today }
      // It may be older than the certificate in use: then it counts as of its signing time.
      return context.verifier.verifyOwn(
        message, of: own, subject: context.signer?.certificate?.subject)
    }
    let manifest = report.manifest
    guard manifest.from.organId == own else {
      throw OfficeError(.verifyFailed, "manifest: is a document of “\(manifest.from.organId)”")
    }
    if let broken = report.attachments.first(where: { $0.problem != nil }) {
      throw OfficeError(.verifyFailed, "attachment “\(broken.name)” \(broken.problem ?? "")")
    }
    if let known = try? context.store.reader.find(
      manifest.documentID.rawValue, preferring: "outgoing"),
      known.direction == "outgoing"
    {
      throw OfficeError(.known, "document \(manifest.documentID) is here")
    }
    let isTakenBack = report.statuses.contains { status in
      status.problem == nil && status.statement?.code == .takeBack
        && status.statement?.from.organId == own
    }
    guard !isTakenBack else {
      throw OfficeError(.frozen, "document \(manifest.documentID) was taken back by this unit")
    }
    try context.store.files.requireSpace(limits.freeBytes)
    try context.store.files.keeping {
      let document = IssuedDocument(
        manifest: manifest, digest: report.digest, signed: report.signed,
        contents: try zip(manifest.attachments, report.attachments).map {
          try take($0, from: $1.path)
        })
      try context.store.joining.issue([document], as: .import, at: now, by: actor)
    }
    var filter = DeliveryFilter()
    filter.documents = [manifest.documentID]
    return (manifest.documentID, try context.store.reader.deliveries(filter))
  }

  private func take(_ attachment: Attachment, from path: String) throws -> StoredContent {
    let content = try context.store.files.ingest(
      path: path, maximum: attachment.size, inspect: { _ in })
    guard content.sha256 == attachment.sha256 else {
      throw OfficeError(.verifyFailed, "attachment “\(attachment.name)” changed while it was read")
    }
    return content
  }
}
