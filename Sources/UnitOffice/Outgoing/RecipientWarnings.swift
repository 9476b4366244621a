import ExchangeCore

extension Office {
  /// More units than this become one warning with their number.
  private static let warningsAtOnce = 10

  /// Says which of `recipients` have no usable certificate.
  func warnings(about recipients: [UnitID]) -> [Warning] {
    let directory = context.directory.current
    let now = context.clock.now
    let found = recipients.compactMap { id -> (UnitID, String)? in
      directory.unit(id).flatMap {
        UnitCertificates($0, verifier: context.verifier, at: now).reason
      }.map { (id, $0) }
    }
    let effect =
      "the document is sent, but no receipt will be believed and the delivery stays published until "
      + "the directory has a usable certificate"
    guard found.count > Self.warningsAtOnce else {
      return found.map { Warning(.recipientCertificate, "to: “\($0.0)” \($0.1): \(effect)") }
    }
    let names = found.prefix(Self.warningsAtOnce).map { "“\($0.0)”" }.joined(separator: ", ")
    return [
      Warning(
        .recipientCertificate,
        "to: \(found.count) units have no usable certificate (\(names), …; see: congvan units): "
          + effect)
    ]
  }
}
