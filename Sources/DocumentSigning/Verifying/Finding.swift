import ExchangeCore

/// What stopped a verification: thrown inside this module only, to leave the remaining checks out.
/// Outside it is a value, `Verdict.invalid` or `Inspection.problem`.
struct Finding: Error {
  let problem: SignatureProblem
  let detail: String
  /// Set when it is no problem any more for a message that arrives then.
  let notBefore: Timestamp?

  init(_ problem: SignatureProblem, _ detail: String, notBefore: Timestamp? = nil) {
    self.problem = problem
    self.detail = detail
    self.notBefore = notBefore
  }
}
