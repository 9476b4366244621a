package import Foundation

/// One entry of a unit's `certificates` in the directory.
///
/// An entry that cannot be read is kept with what is wrong with it: it concerns one unit, and the
/// others go on exchanging.
package struct ListedCertificate: Sendable, Hashable {
  /// The certificate. Nil when the entry holds none that can be read.
  package let der: Data?
  /// SHA-256 of `der`; nil with it.
  package let digest: SHA256Digest?
  /// Why the entry cannot be read, without the unit's name; nil when it can.
  package let problem: String?

  /// Reads an entry as the directory writes it: a PEM block, with or without text before it.
  /// `inspect` says what is wrong with a DER, nil when it is a certificate.
  init(
    _ text: String, hashing: some ContentHashing, inspect: (Data) -> String?
  ) {
    switch Self.der(of: text) {
    case .success(let bytes):
      let wrong = inspect(bytes)
      der = wrong == nil ? bytes : nil
      digest = wrong == nil ? hashing.sha256(bytes) : nil
      problem = wrong
    case .failure(let found):
      (der, digest, problem) = (nil, nil, found.reason)
    }
  }

  private struct Problem: Error { let reason: String }

  /// Labels under which programs write a certificate.
  package static let labels = ["CERTIFICATE", "X509 CERTIFICATE"]

  private static func der(of text: String) -> Result<Data, Problem> {
    func failure(_ reason: String) -> Result<Data, Problem> { .failure(Problem(reason: reason)) }
    let blocks = PEMText.blocks(in: text)
    guard let block = blocks.first else { return failure(withoutBlock(text)) }
    guard blocks.count == 1 else {
      let labels = blocks.map { "“\(TextRules.fitting($0.label, maximum: 40))”" }
      return failure(
        "holds \(blocks.count) PEM blocks (\(labels.prefix(4).joined(separator: ", "))); each "
          + "certificate of a unit is an entry of its own, and its issuers are not listed")
    }
    guard labels.contains(block.label) else {
      return failure(
        "is a “\(TextRules.fitting(block.label, maximum: 40))”, not a certificate"
          + (block.label.contains("PRIVATE KEY")
            ? "; a private key does not belong into a directory: it is not secret any more" : ""))
    }
    guard block.isClosed else { return failure("is cut off: its END line is missing") }
    guard let der = block.der, !der.isEmpty else {
      return failure(
        text.contains("\\n")
          ? "has the two characters \\n instead of line breaks"
          : "is damaged: its base64 cannot be decoded")
    }
    return .success(der)
  }

  private static func withoutBlock(_ text: String) -> String {
    let compact = text.filter { !$0.isWhitespace }
    if compact.isEmpty { return "is empty" }
    if compact.hasPrefix("MII"), Data(base64Encoded: compact) != nil {
      return "has no line -----BEGIN CERTIFICATE----- before and no END line behind its base64"
    }
    return "is not a certificate in PEM: there is no line -----BEGIN CERTIFICATE-----"
  }
}
