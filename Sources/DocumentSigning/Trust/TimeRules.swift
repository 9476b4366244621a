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
  /// Further ahead than `clockSkew`, up to this: one of the two clocks is wrong, and the message
  /// waits until this machine's has come near. An honest document is not refused for a clock.
  package let patience: Duration

  /// None negative. The defaults are those of the wire's version 1.
  package init(
    signingWindow: Duration = .seconds(45 * 86_400), clockSkew: Duration = .seconds(600),
    patience: Duration = .seconds(86_400)
  ) {
    self.signingWindow = signingWindow
    self.clockSkew = clockSkew
    self.patience = patience
  }

  /// The moment at which the certificate must be valid. Throws `signedInFuture`.
  func judgingTime(signed: Timestamp, arrival: Timestamp) throws(SignatureFinding) -> Timestamp {
    guard signed <= arrival.advanced(by: clockSkew) else {
      let isNear = signed <= arrival.advanced(by: patience)
      throw SignatureFinding(
        .signedInFuture, "signed at \(signed), arrived at \(arrival)",
        notBefore: isNear ? signed.advanced(by: .zero - clockSkew) : nil)
    }
    return max(signed, arrival.advanced(by: .microseconds(-signingWindow.microseconds)))
  }
}
