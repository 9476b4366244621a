package import ExchangeCore

/// What the directory's certificates are good for. A unit without a usable one can be written to: it
/// verifies this unit's signature, not its own. But its receipts will not be believed here.
package struct UnitCertificates: Sendable {
  package let unit: Directory.Unit
  /// Each listed certificate, in the directory's order; nil when nothing is known against it.
  package let problems: [CertificateProblem?]

  package init(_ unit: Directory.Unit, verifier: any SignatureVerifier, at time: Timestamp) {
    self.unit = unit
    problems = unit.listed.map { verifier.problem(of: $0, at: time) }
  }

  package var isUsable: Bool { problems.contains(nil) }

  /// Why none is usable: “has no certificate in the directory”; nil when one is.
  package var reason: String? {
    guard !isUsable else { return nil }
    guard !problems.isEmpty else { return "has no certificate in the directory" }
    let details = problems.enumerated().map { index, problem in
      (problems.count == 1 ? "" : "\(index + 1). ") + (problem?.detail ?? "")
    }
    return problems.count == 1
      ? "has one certificate in the directory, which \(details[0])"
      : "has no usable certificate in the directory: each \(details.joined(separator: "; "))"
  }
}
