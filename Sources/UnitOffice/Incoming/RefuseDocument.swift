package import ExchangeCore
import ExchangeStore

extension Office {
  /// Refuses an accepted incoming document: a signed 02 with the reason goes to the sender.
  package func refuse(_ id: String, reason: String) throws -> RecordID {
    let reason = try ActReason.checked(reason)
    let signer = try context.believedSigner()
    let (incoming, digest) = try accepted(id)
    let document = incoming.document
    guard incoming.status != StatusCode.refused.rawValue else {
      throw OfficeError(.alreadyRefused, "document \(document.id) was refused before")
    }
    let status = try context.statusSigner(signer).sign(
      documentID: document.id, manifestDigest: digest, to: document.sender, code: .refused,
      reasonCode: .refusedByPerson, note: reason,
      after: try context.store.reader.lastStatusTime(document: document.key))
    try context.store.joining.refuse(
      document: document.key, with: status, at: context.clock.now, by: actor)
    return document.id
  }
}
