import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore

/// What `show` says of a document's signature: as of its arrival, because that is what its receipt
/// rests on; certificates end, are replaced and leave the directory later.
struct SignatureText {
  let assembly: Assembly
  let store: Store

  func text(
    of document: DocumentSummary, incoming: IncomingSummary?, deliveries: [DeliverySummary],
    history: [HistoryEntry]
  ) throws -> String {
    let trust = try assembly.trust()
    let signed = try store.relay.signedManifest(document: document.key)
    // A message that was signed ahead of this machine's clock was judged when the clock came there.
    let arrival = max(incoming?.receivedAt ?? document.createdAt, document.createdAt)
    let verdict = try assembly.verifier(assembly.directory(), trust)
      .verify(signed, from: document.sender, arrivedAt: arrival)
    switch verdict {
    case .valid(_, let signers):
      return "hợp lệ, " + signers.map(Self.line).joined(separator: "; ")
    case .early(_, let detail, _): return "\(SignatureProblem.signedInFuture.rawValue): \(detail)"
    case .invalid(let problem, let detail, _):
      let wasBelieved =
        incoming == nil
        ? deliveries.contains { $0.state == .delivered }
        : history.contains { $0.cause == "signature valid" }
          && incoming?.outcome?.hasPrefix("SIGNATURE-") != true
      let today = Self.today(problem, detail)
      guard wasBelieved, let today else { return "\(problem.rawValue): \(detail)" }
      let verifier = OfflineVerifier(
        trust: trust, times: TimeRules(signingWindow: try assembly.settings.signingTimeWindow))
      let signers = verifier.inspect(signed, arrivedAt: arrival).signers
      guard !signers.isEmpty else { return "\(problem.rawValue): \(detail)" }
      let when = incoming == nil ? "khi gửi (đã có biên nhận)" : "khi đến"
      return "hợp lệ \(when), "
        + signers.map { "\($0.certificate.subject), \($0.signingTime.shown)" }
        .joined(separator: "; ") + "; hiện nay \(today)"
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
