import COpenSSL
import ExchangeCore
import Foundation

/// Reads the certificates of a file in any form in which authorities and Windows write them: PEM with
/// or without text around it, DER (`.cer`), PKCS#7 (`.p7b`, DER or PEM).
enum CertificateFile {
  /// The certificates of the file in its order, at least one. Throws `code` with what the file is
  /// instead and what to do.
  static func read(_ path: String, code: SigningErrorCode) throws(SigningError) -> [Certificate] {
    try certificates(
      in: try BoundedFile.read(path, limit: BoundedFile.keyBytes, code: code), path: path,
      code: code)
  }

  /// The same for the content of a file.
  static func certificates(in bytes: Data, path: String, code: SigningErrorCode)
    throws(SigningError) -> [Certificate]
  {
    var found: [Certificate] = []
    let blocks = PEMText.blocks(in: PEMText.text(of: bytes))
    for (index, block) in blocks.enumerated() where isCertificate(block.label) {
      guard let part = certificates(of: block) else {
        let what = block.isClosed ? "is damaged" : "is cut off: its END line is missing"
        throw SigningError(
          code, "\(path): PEM block \(index + 1) of \(blocks.count) (“\(block.label)”) \(what)",
          next: "Copy the file again from where it came; do not edit it.")
      }
      found += part
    }
    if blocks.isEmpty { found = certificates(inDER: Self.der(of: bytes)) ?? [] }
    guard found.isEmpty else { return found }
    let kind = FileKind.recognise(bytes)
    throw SigningError(
      code, "\(path): \(kind?.what ?? "is not recognised"); a certificate is needed",
      next: kind?.next(for: .certificate, path: path))
  }

  private static func isCertificate(_ label: String) -> Bool {
    ListedCertificate.labels.contains(label) || label == "TRUSTED CERTIFICATE"
      || PKCS7File.labels.contains(label)
  }

  private static func certificates(of block: PEMBlock) -> [Certificate]? {
    guard let der = block.der else { return nil }
    if block.label == "TRUSTED CERTIFICATE" { return Certificate(trustedDER: der).map { [$0] } }
    return certificates(inDER: der)
  }

  private static func certificates(inDER der: Data) -> [Certificate]? {
    Certificate(der: der).map { [$0] } ?? PKCS7File.certificates(in: der)
  }

  /// `bytes`, or what their base64 stands for when it has no BEGIN and END lines.
  static func der(of bytes: Data) -> Data {
    guard bytes.first != 0x30 || bytes.allSatisfy({ $0 < 0x80 }) else { return bytes }
    let text = Data(bytes.filter { $0 > 0x20 })
    return text.starts(with: Data("MI".utf8)) ? Data(base64Encoded: text) ?? bytes : bytes
  }
}
