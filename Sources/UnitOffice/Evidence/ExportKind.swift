import ExchangeCore
import Foundation

/// What a file is that was given as a signed manifest, as far as its first bytes tell.
enum ExportKind {
  /// DER of the CMS: PEM and bare base64 are unpacked, everything else is returned as it is.
  static func der(_ data: Data) -> Data {
    guard let first = data.first, first != 0x30 else { return data }
    guard var text = String(data: data, encoding: .utf8) else { return data }
    if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
    let lines = text.split(whereSeparator: \.isNewline).map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    let labels = ["PKCS7", "CMS", "PKCS #7 SIGNED DATA"]
    if let start = lines.firstIndex(where: { $0.hasPrefix("-----BEGIN ") }) {
      guard labels.contains(where: { lines[start] == "-----BEGIN \($0)-----" }),
        let end = lines[start...].firstIndex(where: { $0.hasPrefix("-----END ") })
      else { return data }
      return Data(base64Encoded: lines[(start + 1)..<end].joined()) ?? data
    }
    guard let decoded = Data(base64Encoded: lines.joined()), decoded.first == 0x30 else {
      return data
    }
    return decoded
  }

  /// `is a PDF file`: a recognised kind, or that it is not recognised. Nothing else is claimed.
  static func description(_ data: Data, detail: String) -> String {
    if data.isEmpty { return "is empty" }
    if detail.contains("detached") {
      return "has no content: a detached signature (.p7s) or a list of certificates (.p7b)"
    }
    if detail.hasPrefix("CMS type") { return "is no signed message: \(detail)" }
    let starts: [(String, String)] = [
      ("%PDF-", "is a PDF; whether it carries a signature of its own was not looked at"),
      ("PK\u{3}\u{4}", "is a ZIP or an Office document"), ("{", "looks like JSON, not a signature"),
      ("[", "looks like JSON, not a signature"), ("<", "looks like XML or HTML"),
      ("-----BEGIN CERTIFICATE", "is a certificate"), ("-----BEGIN ", "is another PEM file"),
      ("MIME-Version:", "is a signed mail (S/MIME)"),
      ("Content-Type:", "is a signed mail (S/MIME)"),
    ]
    for (start, words) in starts where data.starts(with: Data(start.utf8)) { return words }
    if data.starts(with: [0xD0, 0xCF, 0x11, 0xE0]) { return "is an old Office document" }
    return "is not recognised as a signed message"
  }

  /// Why a signed message does not hold, with the next step of this very problem.
  static func failure(
    of file: String, _ problem: SignatureProblem, _ detail: String, _ data: Data
  ) -> OfficeError {
    let isNamedManifest = (file as NSString).lastPathComponent == ExportFolder.manifestName
    guard problem != .notSigned || isNamedManifest else {
      return OfficeError(
        .notAnExport,
        "“\(file)”: \(description(data, detail: detail)), so it is no exported document",
        next: detail.contains("detached")
          ? "Give the manifest.p7m of an export; for a detached signature: openssl cms -verify -inform "
            + "DER -in FILE.p7s -content FILE -CAfile CA" : nil)
    }
    return OfficeError(
      .verifyFailed, "manifest: \(problem.rawValue): \(detail)", next: next(problem))
  }

  private static func next(_ problem: SignatureProblem) -> String {
    switch problem {
    case .notSigned, .altered:
      "Do not use this copy; ask the sender or the exporting unit for a new one."
    case .badProfile:
      "Ask the exporting unit for a new export: this signature is not of the form that "
        + "schemas/README.md section 5 says."
    case .untrustedChain:
      "Check --ca (or trust.anchorsFile): it must hold the root, and intermediates that the signature "
        + "does not carry, of the signer's certificate. That the content was altered was not found."
    case .expired, .notYetValid:
      "Certificates are judged as of now: check this machine's clock. An expired certificate says "
        + "nothing against the content; ask the sender to confirm it."
    case .signedInFuture: "Check this machine's clock: date"
    case .revoked:
      "Ask the sender since when and why its certificate is revoked, before you rely on the copy."
    case .unknownSigner, .notThisUnit:
      "Look at the directory: certificates of old documents must stay listed for their unit."
    }
  }
}
