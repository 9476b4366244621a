import ExchangeCore

/// How far a claimed signing time is believed (schemas/README.md section 5).
///
/// Without a time-stamp the signing time is the signer's claim. Who holds a stolen key could claim
/// any, so it is believed only within a window before the arrival.
package struct TimeRules: Sendable, Hashable {
  /// How long before the arrival a signature may claim to have been made; judged at that limit when
  /// it claims more. Covers a node that is off for weeks.
  package let signingWindow: Duration
  /// How far a sender's clock may run ahead of this machine's.
  package let clockSkew: Duration

  /// Both not negative. The defaults are those of the wire's version 1.
  package init(signingWindow: Duration = .seconds(45 * 86_400), clockSkew: Duration = .seconds(600))
  {
    self.signingWindow = signingWindow
    self.clockSkew = clockSkew
  }

  /// The moment at which the certificate must be valid. Throws `signedInFuture`.
  func judgingTime(signed: Timestamp, arrival: Timestamp) throws(Finding) -> Timestamp {
    guard signed <= arrival.advanced(by: clockSkew) else {
      throw Finding(.signedInFuture, "signed at \(signed), arrived at \(arrival)")
    }
    return max(signed, arrival.advanced(by: .microseconds(-signingWindow.microseconds)))
  }
}
