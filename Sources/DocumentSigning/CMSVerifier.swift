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
    review(message, arrivedAt: arrival) { (checked) throws(SignatureFinding) in
      try order(checked.signers, claimed: claimed)
    }
  }

  package func verifyOwn(_ message: Data, of unit: UnitID, subject: String?) -> Verdict {
    let directory = directory()
    let names = directory.unit(unit).map { [$0.id] + $0.aliases } ?? [unit]
    return review(message, arrivedAt: nil) { (checked) throws(SignatureFinding) in
      let isOwn = checked.signers.contains { signer in
        if let owner = directory.owner(ofCertificate: signer.digest) {
          return owner.id == names[0]
        }
        return signer.certificate.subject == subject
          || names.contains { signer.certificate.commonNames == [$0.rawValue] }
      }
      guard isOwn else {
        let subjects = checked.signers.map { "“\($0.certificate.subject)”" }
        throw SignatureFinding(
          .notThisUnit,
          "\(subjects.joined(separator: ", ")): is not known as a certificate of “\(unit)”, neither "
            + "today nor before")
      }
      return checked.signers
    }
  }

  package func examine(_ signer: any DocumentSigner, of unit: UnitID, at time: Timestamp) throws {
    let sample = try signer.sign(Data("{}".utf8), at: time)
    do throws(SignatureFinding) {
      _ = try signers(of: sample, arrivedAt: time, content: nil) {
        (checked) throws(SignatureFinding) in
        try order(checked.signers, claimed: unit)
      }
    } catch {
      let usages = (signer as? CMSSigner)?.key.usages ?? []
      let all = usages.joined(separator: " | ")
      let pairs = usages.isEmpty ? "" : "; the file's pairs have: \(all)"
      throw SigningError(
        .certificateNotBelieved,
        "other units will answer \(error.problem.rawValue): "
          + error.detail + pairs,
        next: error.remedy ?? Self.remedy(for: error.problem))
    }
  }

  package func problem(of certificate: ListedCertificate, at time: Timestamp)
    -> CertificateProblem?
  {
    guard let der = certificate.der, let parsed = Certificate(der: der) else {
      return CertificateProblem(.unreadable, certificate.problem ?? "cannot be read")
    }
    return trust().problem(of: parsed, at: time)
  }

  /// Who signed, also when the certificate is not in the directory, or has ended or was revoked since.
  package func signers(of message: Data, arrivedAt arrival: Timestamp) -> [SignerIdentity] {
    OfflineVerifier(trust: trust(), times: times).inspect(message, arrivedAt: arrival).signers
      .map { signer in
        SignerIdentity(
          subject: signer.certificate.subject, certificate: signer.certificate.sha256,
          signingTime: signer.signingTime, profile: signer.profile)
      }
  }

  private static func remedy(for problem: SignatureProblem) -> String? {
    switch problem {
    case .unknownSigner, .notThisUnit:
      "Ask the federation to enter this certificate for this unit in the directory."
    default: nil
    }
  }

  /// Judges as of `arrival`, or as of the signing time when that is nil. `order` says who may sign, and
  /// in which order the signers are named.
  private func review(
    _ message: Data, arrivedAt arrival: Timestamp?,
    order: (CheckedMessage) throws(SignatureFinding) -> [CheckedSigner]
  ) -> Verdict {
    var content: Data?
    do throws(SignatureFinding) {
      let identities = try signers(
        of: message, arrivedAt: arrival, content: { content = $0 }, order: order)
      return .valid(content: content ?? Data(), signers: identities)
    } catch {
      if let time = error.notBefore, let content {
        return .early(notBefore: time, detail: error.detail, content: content)
      }
      return .invalid(error.problem, detail: error.detail, content: content)
    }
  }

  private func signers(
    of message: Data, arrivedAt arrival: Timestamp?, content opened: ((Data) -> Void)?,
    order: (CheckedMessage) throws(SignatureFinding) -> [CheckedSigner]
  ) throws(SignatureFinding) -> [SignerIdentity] {
    let trust = trust()
    let message = try SignedMessage.open(message)
    let attached = try message.content()
    opened?(attached)
    let checked = try CheckedMessage(
      message, content: attached, anchors: trust.anchorCertificates)
    var identities: [SignerIdentity] = []
    for signer in try order(checked) {
      let time = try arrival.map { (arrival) throws(SignatureFinding) in
        try times.judgingTime(signed: signer.signingTime, arrival: arrival)
      }
      let profile = try trust.check(
        signer.certificate, at: time ?? signer.signingTime, included: checked.certificates)
      identities.append(signer.identity(profile: profile))
    }
    return identities
  }

  /// The rules of `CheckedMessage` and `TrustStore`: counted up when they believe more than before.
  private static let rules = 2

  package var basis: String {
    let trust = trust()
    let lists = trust.revocationLists.map { "\($0.issuer) \($0.thisUpdate?.iso8601 ?? "")" }
    let anchors = trust.anchorCertificates.map(\.digest.hex)
    return (["\(Self.rules)"] + anchors.sorted() + lists.sorted()).joined(separator: "\n")
  }

  /// The claimed unit's signer first. Throws `notThisUnit` or `unknownSigner` when it has none.
  private func order(_ signers: [CheckedSigner], claimed: UnitID) throws(SignatureFinding)
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
      throw SignatureFinding(
        .notThisUnit,
        "“\(signer.certificate.subject)” signs for “\(owner.id)”, sent by “\(claimed)”")
    }
    let subjects = signers.map { "“\($0.certificate.subject)”" }.joined(separator: ", ")
    throw SignatureFinding(.unknownSigner, "\(subjects): in no unit's directory entry")
  }
}
