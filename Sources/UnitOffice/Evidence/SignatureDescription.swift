package import ExchangeCore
package import ExchangeStore

/// What is said of a document's signature: as of its arrival, because that is what its receipt rests on;
/// certificates end, are replaced and leave the directory later.
package struct SignatureDescription {
  private let store: Store
  private let verifier: any SignatureVerifier

  package init(store: Store, verifier: any SignatureVerifier) {
    self.store = store
    self.verifier = verifier
  }

  /// In Vietnamese, on one line; codes and the verifier's details are English. `incoming` is nil for a
  /// document of this unit.
  package func text(
    of document: DocumentSummary, incoming: IncomingSummary?, deliveries: [DeliverySummary],
    history: [HistoryEntry]
  ) throws -> String {
    let signed = try store.relay.signedManifest(document: document.key)
    // A message that was signed ahead of this machine's clock was judged when the clock came there.
    let arrival = max(incoming?.receivedAt ?? document.createdAt, document.createdAt)
    switch verifier.verify(signed, from: document.sender, arrivedAt: arrival) {
    case .valid(_, let signers):
      return "hợp lệ, " + signers.map(Self.line).joined(separator: "; ")
    case .early(_, let detail, _): return "\(SignatureProblem.signedInFuture.rawValue): \(detail)"
    case .invalid(let problem, let detail, _):
      let wasBelieved =
        incoming == nil
        ? deliveries.contains { $0.state == .delivered }
        : history.contains { $0.cause == "signature valid" }
          && incoming?.outcome?.hasPrefix("SIGNATURE-") != true
      guard wasBelieved, let today = Self.today(problem, detail) else {
        return "\(problem.rawValue): \(detail)"
      }
      let signers = verifier.signers(of: signed, arrivedAt: arrival)
      guard !signers.isEmpty else { return "\(problem.rawValue): \(detail)" }
      let when = incoming == nil ? "khi gửi (đã có biên nhận)" : "khi đến"
      return "hợp lệ \(when), "
        + signers.map { "\($0.subject), \($0.signingTime?.shown ?? "")" }.joined(separator: "; ")
        + "; hiện nay \(today)"
    }
  }

  private static func line(_ signer: SignerIdentity) -> String {
    // What nearly all certificates have need not be said.
    let profile = signer.profile.map { $0 == "emailProtection" ? "" : " (\($0))" } ?? ""
    return "\(signer.subject), \(signer.signingTime?.shown ?? "")\(profile)"
  }

  /// What has changed since; nil when the signature itself does not hold, which nothing excuses.
  private static func today(_ problem: SignatureProblem, _ detail: String) -> String? {
    switch problem {
    case .unknownSigner: "chứng thư không còn trong danh bạ"
    case .notThisUnit: "chứng thư thuộc đơn vị khác trong danh bạ"
    case .expired, .notYetValid, .revoked, .untrustedChain: "\(problem.rawValue): \(detail)"
    case .notSigned, .badProfile, .altered, .signedInFuture: nil
    }
  }
}
