package import ExchangeCore
package import Foundation

/// What `congvan verify FILE` finds in a signed file, without a directory.
package struct Inspection: Sendable, Hashable {
  /// One signer, and what is wrong with his certificate or signing time, if anything.
  package struct Signer: Sendable, Hashable {
    /// The certificate that made the signature, bound to it by signing-certificate-v2.
    package let certificate: CertificateInfo
    /// The claimed time, in whole seconds.
    package let signingTime: Timestamp
    /// Nil when the chain leads to an anchor at the judging time and nothing in it is revoked.
    package let problem: SignatureProblem?
    /// Text to `problem`.
    package let detail: String?
    /// By which extended key usage the certificate may sign documents; nil with a problem.
    package let profile: String?
  }

  /// The attached content, whenever the CMS could be opened.
  package let content: Data?
  /// Empty unless all signatures hold; in the message's order.
  package let signers: [Signer]
  /// Nil when all signatures hold and all signers are trusted. Says nothing on whether the signer
  /// may speak for a unit: that takes the directory.
  package let problem: SignatureProblem?
  /// Text to `problem`.
  package let detail: String?
}

/// Verifies signed files by their trust anchors alone. Several threads may use one.
package struct OfflineVerifier: Sendable {
  private let trust: TrustStore
  private let times: TimeRules

  /// Judges by `trust` as it is now; a new revocation list takes a new verifier.
  package init(trust: TrustStore, times: TimeRules = TimeRules()) {
    self.trust = trust
    self.times = times
  }

  /// Inspects `message` as if it had arrived at `arrival`: for a file from the archive that is the
  /// recorded arrival, for one of unknown age the present. Never throws: problems are values.
  package func inspect(_ message: Data, arrivedAt arrival: Timestamp) -> Inspection {
    var content: Data?
    do throws(SignatureFinding) {
      let opened = try SignedMessage.open(message)
      let attached = try opened.content()
      content = attached
      let checked = try CheckedMessage(
        opened, content: attached, anchors: trust.anchorCertificates)
      var signers: [Inspection.Signer] = []
      for signer in checked.signers {
        signers.append(
          try inspect(signer, arrival: arrival, included: checked.certificates))
      }
      let worst = signers.first { $0.problem != nil }
      return Inspection(
        content: content, signers: signers, problem: worst?.problem, detail: worst?.detail)
    } catch {
      return Inspection(
        content: content, signers: [], problem: error.problem, detail: error.detail)
    }
  }

  private func inspect(
    _ signer: CheckedSigner, arrival: Timestamp, included: [Certificate]
  ) throws(SignatureFinding) -> Inspection.Signer {
    guard let info = CertificateInfo(signer.certificate) else {
      throw SignatureFinding(
        .untrustedChain, "a validity date of the signer's certificate is not a date")
    }
    var finding: SignatureFinding?
    var profile: String?
    do throws(SignatureFinding) {
      let time = try times.judgingTime(signed: signer.signingTime, arrival: arrival)
      profile = try trust.check(signer.certificate, at: time, included: included)
    } catch {
      finding = error
    }
    return Inspection.Signer(
      certificate: info, signingTime: signer.signingTime, problem: finding?.problem,
      detail: finding?.detail, profile: profile)
  }
}
