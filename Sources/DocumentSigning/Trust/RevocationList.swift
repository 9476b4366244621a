import COpenSSL
package import ExchangeCore
import Foundation

/// What a listing, or a health check, shows of a certificate revocation list (RFC 5280 5).
package struct RevocationListInfo: Hashable, Sendable {
  /// RFC 2253, UTF-8.
  package let issuer: String
  /// When the authority issued it, in whole seconds.
  package let thisUpdate: Timestamp?
  /// When the authority promised the next one. A list past this date still counts; the node shows
  /// it as stale.
  package let nextUpdate: Timestamp?
}

/// Owns one X509_CRL.
///
/// `@unchecked Sendable`: never changed after `init`; OpenSSL sorts the entries on the first look-up
/// under the object's own lock.
final class RevocationList: @unchecked Sendable {
  /// X509_CRL *
  private let pointer: OpaquePointer

  /// Takes over the caller's reference.
  init(owning pointer: OpaquePointer) { self.pointer = pointer }

  /// Shares `pointer` with its owner.
  init(sharing pointer: OpaquePointer) {
    X509_CRL_up_ref(pointer)
    self.pointer = pointer
  }

  deinit { X509_CRL_free(pointer) }

  /// The lists of a file, at least one: of a PEM text, the single one of a DER file, the form in which
  /// authorities publish them, or those of a PKCS#7 file (DER or PEM). Throws `CRL-UNREADABLE` with
  /// what the file at `path` is instead, or which block of it is broken.
  static func all(in bytes: Data, path: String) throws(SigningError) -> [RevocationList] {
    defer { OpenSSLErrors.clear() }
    var found: [RevocationList]?
    let blocks = PEMText.blocks(in: PEMText.text(of: bytes))
    for (index, block) in blocks.enumerated() where labels.contains(block.label) {
      guard let lists = block.der.flatMap(all(inDER:)) else {
        let what = block.isClosed ? "is damaged" : "is cut off: its END line is missing"
        throw SigningError(
          .revocationUnreadable,
          "\(path): PEM block \(index + 1) of \(blocks.count) (“\(block.label)”) \(what)",
          next: "Copy the file again from where it came; do not edit it.")
      }
      found = (found ?? []) + lists
    }
    if blocks.isEmpty { found = all(inDER: CertificateFile.der(of: bytes)) }
    if let found, !found.isEmpty { return found }
    // A PKCS#7 file that was read, or something else.
    let what =
      found == nil
      ? FileKind.recognise(bytes)?.what ?? "is not recognised"
      : "is a PKCS#7 file without revocation lists"
    throw SigningError(
      .revocationUnreadable, "\(path): \(what); a certificate revocation list is needed")
  }

  private static let labels = PKCS7File.labels.union(["X509 CRL"])

  private static func all(inDER der: Data) -> [RevocationList]? {
    MemoryBIO.reading(der) { d2i_X509_CRL_bio($0, nil) }.map { [RevocationList(owning: $0)] }
      ?? PKCS7File.revocationLists(in: der)
  }

  var info: RevocationListInfo {
    RevocationListInfo(
      issuer: ASN1Values.text(X509_CRL_get_issuer(pointer)),
      thisUpdate: ASN1Values.timestamp(X509_CRL_get0_lastUpdate(pointer)),
      nextUpdate: ASN1Values.timestamp(X509_CRL_get0_nextUpdate(pointer)))
  }

  func isIssued(by certificate: Certificate) -> Bool {
    X509_NAME_cmp(X509_CRL_get_issuer(pointer), X509_get_subject_name(certificate.pointer)) == 0
  }

  func isSigned(by certificate: Certificate) -> Bool {
    defer { OpenSSLErrors.clear() }
    return certificate.withPublicKey { $0 != nil && X509_CRL_verify(pointer, $0) == 1 }
  }

  /// Since when the list says the certificate is revoked; `.some(nil)` when it has no such date, nil
  /// when it does not list it. The list's signature is not looked at.
  func revocation(of certificate: Certificate) -> Timestamp?? {
    guard
      X509_NAME_cmp(X509_CRL_get_issuer(pointer), X509_get_issuer_name(certificate.pointer)) == 0
    else { return nil }
    var entry: OpaquePointer?
    // 2 would be removeFromCRL, which only delta lists have.
    guard X509_CRL_get0_by_cert(pointer, &entry, certificate.pointer) == 1 else { return nil }
    return .some(ASN1Values.timestamp(entry.flatMap(X509_REVOKED_get0_revocationDate)))
  }
}
