/// Exponential back-off with full jitter: a random time between zero and a ceiling that doubles
/// with every failure up to a cap.
package struct Backoff: Sendable, Hashable {
  package let base: Duration
  package let cap: Duration

  package init(base: Duration, cap: Duration) {
    self.base = base
    self.cap = cap
  }

  /// No broker: costs no attempt, never gives up.
  package static let connection = Backoff(base: .milliseconds(500), cap: .seconds(30))
  /// The broker answers but does not take the message.
  package static let message = Backoff(base: .seconds(5), cap: .seconds(3600))

  /// The wait after failure number `failure` (1, 2, …).
  package func delay(afterFailure failure: Int, using random: inout some RandomNumberGenerator)
    -> Duration
  {
    let shift = min(max(failure, 1) - 1, 40)
    let ceiling = min(cap.microseconds, base.microseconds.multipliedSaturating(by: 1 << shift))
    return .microseconds(Int64.random(in: 0...max(1, ceiling), using: &random))
  }
}

extension Int64 {
  fileprivate func multipliedSaturating(by factor: Int64) -> Int64 {
    let (value, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? .max : value
  }
}

/// What becomes of a delivery after the broker's answer.
package enum RetryDecision: Sendable, Hashable {
  case settled
  /// Again at once, not counted as an attempt: the answer was lost with the connection.
  case again
  case retry(after: Duration, code: String, reason: String)
  case suspend(code: String, reason: String)
}

/// Turns the broker's answer into a decision: permanent errors are never retried, transient ones
/// back off until `horizon` after the first failure, then a person must act.
package struct RetryPolicy: Sendable, Hashable {
  package var backoff: Backoff
  /// How long the broker may go on refusing before a person is asked.
  package var horizon: Duration

  package init(backoff: Backoff = .message, horizon: Duration = .seconds(72 * 3600)) {
    self.backoff = backoff
    self.horizon = horizon
  }

  /// `failures` counts this one; `failingFor` is the time since the first of them.
  package func decide(
    _ outcome: PublishOutcome, failures: Int, failingFor: Duration,
    using random: inout some RandomNumberGenerator
  ) -> RetryDecision {
    let code: String
    let reason: String
    switch outcome {
    case .confirmed: return .settled
    case .unknown: return .again
    case .refused(let number, let text):
      // 403 access refused, 404 no exchange, 406 wrong user-id or too large: none heals by waiting.
      return .suspend(code: "BROKER-REFUSED-\(number)", reason: text)
    case .returned(312, _):
      code = "BROKER-NO-ROUTE"
      reason = "the broker has no queue for this unit"
    case .returned(let number, let text):
      code = "BROKER-RETURNED-\(number)"
      reason = text
    case .rejected:
      code = "BROKER-REJECTED"
      reason = "the unit's queue is full or the broker could not keep the message"
    }
    guard failingFor < horizon else { return .suspend(code: code, reason: reason) }
    return .retry(
      after: backoff.delay(afterFailure: failures, using: &random), code: code, reason: reason)
  }
}
