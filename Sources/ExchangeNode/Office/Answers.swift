package import ExchangeCore
import ExchangeStore
import Foundation

/// Statuses that a person gives: refusal (02), take-back (13) and its answers (15, 16).
extension Office {
  /// Refuses an accepted incoming document: a signed 02 with the reason goes to the sender.
  package func refuse(_ id: String, reason: String) throws -> RecordID {
    let reason = try Self.checkedReason(reason)
    try context.signer.requireBelieved(at: context.clock.now)
    let (incoming, digest) = try accepted(id)
    let document = incoming.document
    guard incoming.status != StatusCode.refused.rawValue else {
      throw NodeError(.alreadyRefused, "document \(document.id) was refused before")
    }
    let status = try context.sign(
      documentID: document.id, manifestDigest: digest, to: document.sender, code: .refused,
      reasonCode: .refusedByPerson, note: reason,
      after: try context.store.reader.lastStatusTime(document: document.key))
    try context.store.joining.refuse(
      document: document.key, with: status, at: context.clock.now, by: actor)
    return document.id
  }

  /// Takes an outgoing document back (lấy lại): it is frozen here, what was not sent is cancelled,
  /// and every recipient gets a signed 13 with the reason. Returns the recipients.
  package func recall(_ id: String, reason: String) throws -> (id: RecordID, units: [UnitID]) {
    let reason = try Self.checkedReason(reason)
    try context.signer.requireBelieved(at: context.clock.now)
    let document = try outgoing(id)
    guard document.frozen == nil else {
      throw NodeError(.frozen, "document \(document.id) was \(document.frozen ?? "") before")
    }
    var filter = DeliveryFilter()
    filter.documents = [document.id]
    let units = try context.store.reader.deliveries(filter).map(\.to)
    let digest = try context.store.reader.manifestDigest(document: document.key)
    let statements = try units.map { unit in
      try context.sign(
        documentID: document.id, manifestDigest: digest, to: unit, code: .takeBack, note: reason)
    }
    try context.store.joining.recall(
      document: document.key, statements: statements, reason: reason, at: context.clock.now,
      by: actor)
    return (document.id, units)
  }

  /// Answers the sender's take-back of an incoming document: 15 agreed, or 16 declined with a
  /// reason, after which the document is in force again.
  package func answerRecall(_ id: String, agree: Bool, reason: String?) throws -> RecordID {
    try context.signer.requireBelieved(at: context.clock.now)
    let (incoming, digest) = try accepted(id)
    let document = incoming.document
    guard incoming.hasOpenTakeBack else {
      throw NodeError(.notRecalled, "document \(document.id) has no open take-back")
    }
    let note = try reason.map(Self.checkedReason)
    guard agree || note != nil else { throw NodeError(.reason, "reason: is missing") }
    let status = try context.sign(
      documentID: document.id, manifestDigest: digest, to: document.sender,
      code: agree ? .changeAccepted : .changeRefused, note: note,
      after: try context.store.reader.lastStatusTime(document: document.key))
    try context.store.joining.answerRecall(
      document: document.key, with: status, isAgreed: agree, at: context.clock.now, by: actor)
    return document.id
  }

  private func accepted(_ id: String) throws -> (IncomingSummary, SHA256Digest) {
    let (document, direction) = try context.store.reader.find(id, preferring: "incoming")
    guard direction == "incoming",
      let incoming = try context.store.reader.incomingDocument(key: document.key)
    else { throw NodeError(.notIncoming, "document \(document.id) is not an incoming one") }
    guard incoming.state == .accepted else {
      throw NodeError(.notAccepted, "document \(document.id) is \(incoming.state.rawValue)")
    }
    return (incoming, try context.store.reader.manifestDigest(document: document.key))
  }
}
