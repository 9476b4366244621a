package import ExchangeCore
package import Foundation

/// Judges the signatures of messages that came in (schemas/README.md section 5).
///
/// The order is: shape, then algorithms and keys, then the signatures, then the attributes, then
/// whose certificate it is, then the chain. Each step is bounded, the whole by the limit of a message
/// body. Several threads may use one verifier.
package final class CMSVerifier: SignatureVerifier {
  private let trust: @Sendable () -> TrustStore
  private let directory: @Sendable () -> Directory
  private let times: TimeRules

  /// `trust` and `directory` are asked at every message, so that a new revocation list or directory
  /// counts without a restart; they return a value kept ready and do not read files.
  package init(
    trust: @escaping @Sendable () -> TrustStore, directory: @escaping @Sendable () -> Directory,
    times: TimeRules = TimeRules()
  ) {
    self.trust = trust
    self.directory = directory
    self.times = times
  }

  /// Verifies `message` as if it had arrived at `arrival` from `claimed`, an id or an alias.
  ///
  /// In a valid verdict the first signer is the unit; the others follow in the message's order.
  package func verify(
    _ message: Data, from claimed: UnitID, arrivedAt arrival: Timestamp
  ) -> Verdict {
    var content: Data?
    do throws(Finding) {
      let trust = trust()
      let opened = try SignedMessage.open(message)
      let attached = try opened.content()
      content = attached
      let checked = try CheckedMessage(
        opened, content: attached, anchors: trust.anchorCertificates)
      let signers = try order(checked.signers, claimed: claimed)
      for signer in signers {
        let time = try times.judgingTime(signed: signer.signingTime, arrival: arrival)
        try trust.check(signer.certificate, at: time, included: checked.certificates)
      }
      return .valid(content: attached, signers: signers.map(\.identity))
    } catch {
      if let time = error.notBefore, let content {
        return .early(notBefore: time, detail: error.detail, content: content)
      }
      return .invalid(error.problem, detail: error.detail, content: content)
    }
  }

  /// The claimed unit's signer first. Throws `notThisUnit` or `unknownSigner` when it has none.
  private func order(_ signers: [CheckedSigner], claimed: UnitID) throws(Finding)
    -> [CheckedSigner]
  {
    let directory = directory()
    if let certificates = directory.unit(claimed)?.certificates,
      let own = signers.firstIndex(where: { certificates.contains($0.digest) })
    {
      var ordered = signers
      ordered.insert(ordered.remove(at: own), at: 0)
      return ordered
    }
    for signer in signers {
      guard let owner = directory.owner(ofCertificate: signer.digest) else { continue }
      throw Finding(
        .notThisUnit,
        "“\(signer.certificate.subject)” signs for “\(owner.id)”, sent by “\(claimed)”")
    }
    let subjects = signers.map { "“\($0.certificate.subject)”" }.joined(separator: ", ")
    throw Finding(.unknownSigner, "\(subjects): in no unit's directory entry")
  }
}
