import ExchangeCore
import ExchangeStore

extension Office {
  /// Deliveries that were refused for the signature of their document, and would be again: the same
  /// bytes go out, and by today's certificates, lists and directory they are still not believed. When
  /// they are, the receiver may have learned of the certificate meanwhile, and a resend delivers.
  func stillUnbelieved(among deliveries: [DeliverySummary]) throws -> [ResendResult] {
    let now = context.clock.now
    var reasons: [RecordID: String?] = [:]
    return try deliveries.compactMap { delivery in
      guard delivery.state == .refused, delivery.lastError?.hasPrefix("SIGNATURE-") == true else {
        return nil
      }
      if reasons[delivery.document] == nil {
        reasons[delivery.document] = .some(try problem(of: delivery.document, at: now))
      }
      guard let reason = reasons[delivery.document] ?? nil else { return nil }
      return .leftAlone(delivery, because: reason)
    }
  }

  private func problem(of document: RecordID, at now: Timestamp) throws -> String? {
    let key = try outgoing(document.rawValue).key
    let signed = try context.store.relay.signedManifest(document: key)
    guard
      case .invalid(let problem, let detail, _) = context.verifier.verify(
        signed, from: context.unit.organId, arrivedAt: now)
    else { return nil }
    return "it was signed with a certificate that is still not believed (\(problem.rawValue): "
      + "\(detail)); issue it anew with: congvan send … --replaces \(document)"
  }
}
