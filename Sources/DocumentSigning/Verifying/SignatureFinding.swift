import ExchangeCore

/// What stopped a verification: thrown inside this module only, to leave the remaining checks out.
/// Outside it is a value, `Verdict.invalid` or `Inspection.problem`.
struct SignatureFinding: Error {
  let problem: SignatureProblem
  let detail: String
  /// Set when it is no problem any more for a message that arrives then.
  let notBefore: Timestamp?
  /// What the owner of the signer's certificate can do, when the cause is in the certificate.
  let remedy: String?
  /// True when the chain ends before an anchor because an issuer's certificate is not at hand.
  let isMissingIssuer: Bool

  init(
    _ problem: SignatureProblem, _ detail: String, notBefore: Timestamp? = nil,
    remedy: String? = nil, isMissingIssuer: Bool = false
  ) {
    self.problem = problem
    self.detail = detail
    self.notBefore = notBefore
    self.remedy = remedy
    self.isMissingIssuer = isMissingIssuer
  }
}
