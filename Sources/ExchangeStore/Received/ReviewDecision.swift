package import ExchangeCore

/// What the sender of a message that is not believed is told.
package enum Refusal: Sendable {
  case new(SignedStatus)
  /// A refusal that was given before (its key): it goes out again, an hour after the last time.
  case again(Int64)
}

/// Whether a refusal may be given now.
package enum RefusalState: Sendable, Hashable {
  case due
  /// The same refusal of the same message is stored.
  case stored(Int64)
  /// The document was refused less than an hour ago, or the sender's quota is used up.
  case withheld
}

/// The review's decision about one message, applied by `apply` in one transaction.
package struct ReviewDecision: Sendable {
  package enum Decision: Sendable {
    /// Believed and whole: the document exists from now on, with its receipt.
    case accept(Manifest, SHA256Digest, receipt: SignedStatus)
    /// Believed; attachments are missing, or (`isArrived`) here and being put together.
    case wait(Manifest, SHA256Digest, isArrived: Bool)
    /// Signed ahead of this machine's clock: judged then, not before.
    case postpone(until: Timestamp, detail: String)
    /// Another message already brought this very document.
    case duplicate(of: Int64)
    /// `discard` names content that must not stay here (Điều 5) unless another document has it.
    case quarantine(
      OutcomeCode, detail: String, refusal: Refusal?, discard: [SHA256Digest] = [])
    /// A status of another unit, with what it means for our delivery.
    case status(StatusStatement, about: Int64?, effect: (delivery: Int64, to: DeliveryEffect)?)
    /// A tally, with the statuses (keys) that its sender lacks and our answer.
    case tally(Tally, owed: [Int64], answer: SignedAnswer)
    /// The answer to a tally of ours, from `sender`.
    case tallyAnswer(TallyAnswer, from: UnitID)
  }

  package let message: Int64
  package let decision: Decision
  /// Who signed, for the history.
  package let evidence: String?
  /// What a status that is not believed says it is about.
  package let claim: StatementClaim?

  package var isWaiting: Bool { if case .wait = decision { true } else { false } }

  package init(
    message: Int64, decision: Decision, evidence: String? = nil, claim: StatementClaim? = nil
  ) {
    self.message = message
    self.decision = decision
    self.evidence = evidence
    self.claim = claim
  }
}

/// What a verified status does to a delivery.
package enum DeliveryEffect: Sendable, Hashable {
  case delivered(code: String)
  case refused(code: String, reason: String)
  case suspended(code: String, reason: String)

  var state: OutgoingState {
    switch self {
    case .delivered: .delivered
    case .refused: .refused
    case .suspended: .suspended
    }
  }
}
