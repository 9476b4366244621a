package import ExchangeCore
import ExchangeStore

extension Office {
  /// Takes an outgoing document back (lấy lại): it is not in force any more, what was not sent is
  /// cancelled, and every recipient gets a signed 13 with the reason. Returns the recipients.
  package func recall(_ id: String, reason: String) throws -> (id: RecordID, units: [UnitID]) {
    let reason = try ActReason.checked(reason)
    let signer = context.statusSigner(try context.believedSigner())
    let document = try outgoing(id)
    guard document.frozen == nil else {
      throw OfficeError(.frozen, "document \(document.id) was \(document.frozen ?? "") before")
    }
    var filter = DeliveryFilter()
    filter.documents = [document.id]
    let units = try context.store.reader.deliveries(filter).map(\.to)
    let digest = try context.store.reader.manifestDigest(document: document.key)
    let statements = try units.map { unit in
      try signer.sign(
        documentID: document.id, manifestDigest: digest, to: unit, code: .takeBack, note: reason)
    }
    try context.store.joining.recall(
      document: document.key, statements: statements, reason: reason, at: context.clock.now,
      by: actor)
    return (document.id, units)
  }
}
