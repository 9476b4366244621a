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

  /// The lists of a PEM text, the single one of a DER file, the form in which authorities publish
  /// them, or those of a PKCS#7 file. Nil when one is broken or there is none.
  static func all(in bytes: Data) -> [RevocationList]? {
    defer { OpenSSLErrors.clear() }
    let blocks = PEMText.blocks(in: PEMText.text(of: bytes))
    let parts = blocks.isEmpty ? [bytes] : blocks.filter { $0.label == "X509 CRL" }.map(\.der)
    var lists: [RevocationList] = []
    for part in parts {
      guard let part else { return nil }
      if let list = MemoryBIO.reading(part, { d2i_X509_CRL_bio($0, nil) }) {
        lists.append(RevocationList(owning: list))
      } else if let several = PKCS7File.revocationLists(in: part) {
        lists += several
      } else {
        return nil
      }
    }
    return lists.isEmpty ? nil : lists
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
