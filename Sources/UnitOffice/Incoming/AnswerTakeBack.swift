package import ExchangeCore
import ExchangeStore

extension Office {
  /// Answers the sender's take-back of an incoming document: 15 agreed, or 16 declined with a
  /// reason, after which the document is in force again.
  package func answerRecall(_ id: String, agree: Bool, reason: String?) throws -> RecordID {
    let signer = try context.believedSigner()
    let (incoming, digest) = try accepted(id)
    let document = incoming.document
    guard incoming.hasOpenTakeBack else {
      throw OfficeError(.notRecalled, "document \(document.id) has no open take-back")
    }
    let note = try reason.map(ActReason.checked)
    guard agree || note != nil else { throw DocumentError(.reason, "reason: is missing") }
    let status = try context.statusSigner(signer).sign(
      documentID: document.id, manifestDigest: digest, to: document.sender,
      code: agree ? .changeAccepted : .changeRefused, note: note,
      after: try context.store.reader.lastStatusTime(document: document.key))
    try context.store.joining.answerRecall(
      document: document.key, with: status, isAgreed: agree, at: context.clock.now, by: actor)
    return document.id
  }
}
