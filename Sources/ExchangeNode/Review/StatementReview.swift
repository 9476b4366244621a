import ExchangeCore
import ExchangeStore
import Foundation

/// Statuses, tallies and answers: signed statements that are no documents. None is ever refused by
/// an answer, so no two nodes can talk to each other without end.
extension MessageReview {
  typealias Decided = (ReviewDecision.Decision, evidence: String?)

  /// The decision, and what the status is about as far as that can be read.
  func reviewStatus(_ message: UnjudgedMessage, from sender: UnitID) throws
    -> (decided: Decided, claim: StatementClaim?)
  {
    var claim = self.claim(of: message)
    let decided = try opened(
      message, from: sender,
      decode: { content in
        let status = try StatusCodec.decode(content)
        claim = StatementClaim(status)
        return status
      }, organ: \.from.organId,
      disbelieved: { content in
        if let status = try? StatusCodec.decode(content) { claim = StatementClaim(status) }
      }
    ) { status, evidence in
      guard isThisUnit(status.to) else {
        return quarantine(.notAddressed, "to: is “\(status.to)”")
      }
      if let ahead = ahead(status, message) { return ahead }
      return status.code == .takeBack
        ? try reviewTakeBack(status, from: sender, evidence)
        : try reviewReport(status, from: sender, evidence)
    }
    return (decided, claim)
  }

  /// The document that a status says it is about outside of its content.
  func claim(of message: UnjudgedMessage) -> StatementClaim? {
    message.correlationID.flatMap(RecordID.init).map { StatementClaim(documentID: $0) }
  }

  /// A status that is dated ahead of its arrival waits, or is not believed: it would outweigh whatever
  /// its unit says later.
  private func ahead(_ status: StatusStatement, _ message: UnjudgedMessage) -> Decided? {
    let time = status.timestamp
    guard time > message.arrival.advanced(by: StatementTimes.clockSkew) else { return nil }
    let detail = "timestamp: \(time), arrived at \(message.arrival)"
    guard time <= message.arrival.advanced(by: StatementTimes.patience) else {
      return quarantine(.statusInFuture, detail)
    }
    return postpone(message, until: time.advanced(by: .zero - StatementTimes.clockSkew), detail)
  }

  /// 13: only the sender of a document takes it back.
  private func reviewTakeBack(
    _ status: StatusStatement, from sender: UnitID, _ evidence: String
  ) throws -> Decided {
    if let document = try context.store.review.incomingDocument(from: sender, id: status.documentID)
    {
      guard document.manifestDigest == status.manifestDigest else {
        return quarantine(.statusUnmatched, "manifestSha256: is not the digest of the document")
      }
      return (.status(status, about: document.key, effect: nil), evidence)
    }
    let own = try context.store.review.delivery(
      of: status.documentID, issuedBy: context.unit.organId, to: sender)
    guard own == nil else {
      return quarantine(
        .statusUnmatched,
        "statusCode: 13 about \(status.documentID), which is this unit's own document: only its "
          + "sender takes it back")
    }
    // It came before its document, which is frozen when it comes.
    return (.status(status, about: nil, effect: nil), evidence)
  }

  /// Every other code: only a unit that the document went to reports about it.
  private func reviewReport(
    _ status: StatusStatement, from sender: UnitID, _ evidence: String
  ) throws -> Decided {
    guard
      let delivery = try context.store.review.delivery(
        of: status.documentID, issuedBy: context.unit.organId, to: sender)
    else { return try unmatched(status, from: sender) }
    let isSame = delivery.manifestDigest == status.manifestDigest
    guard isSame || status.code == .refused else {
      return quarantine(.statusUnmatched, "manifestSha256: is not the digest of our document")
    }
    if [.changeAccepted, .changeRefused].contains(status.code) {
      guard try context.store.review.hasAskedBack(document: delivery.document, of: sender) else {
        return quarantine(
          .statusUnmatched,
          "statusCode: \(status.code) answers a take-back (13), and this node knows of none: a "
            + "database that was restored from a backup does not know what was done after the backup"
        )
      }
    }
    return (
      .status(
        status, about: delivery.document,
        effect: effect(of: status, isSame: isSame).map { (delivery.key, $0) }), evidence
    )
  }

  private func unmatched(_ status: StatusStatement, from sender: UnitID) throws -> Decided {
    guard try context.store.review.incomingDocument(from: sender, id: status.documentID) == nil
    else {
      return quarantine(
        .statusUnmatched,
        "statusCode: \(status.code) of “\(sender)” about its own document; a sender may only say 13"
      )
    }
    return quarantine(
      .statusUnmatched,
      "document \(status.documentID) is not known here as sent to “\(sender)”, which says "
        + "\(status.code) about it: a database that was restored from a backup does not know what "
        + "was issued after the backup; “\(sender)” can export it, and congvan import takes it in"
    )
  }

  func reviewTally(_ message: UnjudgedMessage, from sender: UnitID) throws -> Decided {
    try opened(message, from: sender, decode: TallyCodec.decodeTally, organ: \.from.organId) {
      tally, evidence in
      guard isThisUnit(tally.to) else {
        return quarantine(.notAddressed, "to: is “\(tally.to)”")
      }
      let found = try context.store.review.compare(tally, of: message.body.count, from: sender)
      let now = context.clock.now
      let answer = TallyAnswer(
        id: RecordID(at: now), tallyID: tally.id, from: context.unit, to: sender, timestamp: now,
        missing: found.missing, missingTakeBacks: found.missingTakeBacks,
        hasMore: found.hasMore)
      let signed = try context.signer.sign(TallyCodec.encode(answer), at: now)
      return (
        .tally(tally, owed: found.owed, answer: SignedAnswer(answer: answer, signed: signed)),
        evidence
      )
    }
  }

  func reviewTallyAnswer(_ message: UnjudgedMessage, from sender: UnitID) throws -> Decided {
    try opened(message, from: sender, decode: TallyCodec.decodeAnswer, organ: \.from.organId) {
      answer, evidence in
      guard isThisUnit(answer.to) else {
        return quarantine(.notAddressed, "to: is “\(answer.to)”")
      }
      return (.tallyAnswer(answer, from: sender), evidence)
    }
  }

  /// True for this unit's identifier and its aliases.
  private func isThisUnit(_ id: UnitID) -> Bool {
    guard id != context.unit.organId else { return true }
    let directory = context.directory.current
    guard let own = directory.unit(context.unit.organId) else { return false }
    return directory.unit(id)?.id == own.id
  }

  private func quarantine(_ outcome: OutcomeCode, _ detail: String) -> Decided {
    (.quarantine(outcome, detail: detail, refusal: nil), nil)
  }

  /// Verifies and decodes a statement, checks that the unit that sent it speaks for itself, and
  /// hands it to `decide` with who signed; or the quarantine it ends in. `disbelieved` gets the content
  /// of what has no valid signature.
  private func opened<Statement>(
    _ message: UnjudgedMessage, from sender: UnitID, decode: (Data) throws -> Statement,
    organ: (Statement) -> UnitID, disbelieved: (Data) -> Void = { _ in },
    decide: (Statement, String) throws -> Decided
  ) throws -> Decided {
    let content: Data
    let signers: [SignerIdentity]
    switch context.verifier.verify(message.body, from: sender, arrivedAt: message.arrival) {
    case .early(let time, let detail, _): return postpone(message, until: time, detail)
    case .invalid(let problem, let detail, let content):
      content.map(disbelieved)
      return quarantine(OutcomeCode(problem), detail)
    case .valid(let verified, let identities):
      content = verified
      signers = identities
    }
    let statement: Statement
    do {
      try checkVersion(message)
      statement = try decode(content)
    } catch let error as DocumentError {
      return quarantine(outcome(of: error), error.reason)
    }
    // Aliases are for people: what is compared later is the identifier itself.
    guard organ(statement) == sender else {
      return quarantine(
        .senderMismatch, "from: “\(organ(statement))”, but “\(sender)” sent it")
    }
    let evidence = signers.map(\.evidence).joined(separator: "; ")
    return try decide(statement, evidence)
  }

  private func effect(of status: StatusStatement, isSame: Bool) -> DeliveryEffect? {
    if status.code.provesArrival { return .delivered(code: status.code.rawValue) }
    guard status.code == .refused else { return nil }
    let code = status.reasonCode ?? OutcomeCode.refusedWithoutReason.rawValue
    let reason = status.note ?? ""
    return isSame
      ? .refused(code: code, reason: reason)
      : .suspended(code: code, reason: "altered on the way: " + reason)
  }
}
