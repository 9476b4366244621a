import ExchangeCore

/// What stopped a verification: thrown inside this module only, to leave the remaining checks out.
/// Outside it is a value, `Verdict.invalid` or `Inspection.problem`.
struct Finding: Error {
  let problem: SignatureProblem
  let detail: String

  init(_ problem: SignatureProblem, _ detail: String) {
    self.problem = problem
    self.detail = detail
  }
}
