import COpenSSL
import ExchangeCore
import Foundation

/// Whom this node trusts: the federation's root certificates, and what they have revoked.
///
/// Read once from files and immutable; a new revocation list means a new store. Several threads may
/// use one. `@unchecked Sendable`: the X509_STORE is never changed after `init`, and OpenSSL's
/// look-ups in it take the store's own lock.
package final class TrustStore: @unchecked Sendable {
  /// Longest chain between a signer and an anchor.
  static let maximumIntermediates = 6

  /// The trust anchors, in the file's order.
  package let anchors: [CertificateInfo]
  /// The revocation lists in use, for listings and for a warning when one is past `nextUpdate`.
  package let revocationLists: [RevocationListInfo]

  let anchorCertificates: [Certificate]
  let lists: [RevocationList]
  /// X509_STORE *, owned.
  private let store: OpaquePointer

  /// What the profile asks of digests and keys in a chain: 112 bits, no SHA-1 and no RSA below 2048
  /// (SP 800-57).
  static let securityBits: Int32 = 112

  /// Reads a file of trust anchors, and one of revocation lists: each PEM, DER or PKCS#7 (`.p7b`).
  ///
  /// An anchor may also be an intermediate. Without lists nothing counts as revoked. Throws
  /// `TRUST-UNREADABLE` or `CRL-UNREADABLE`, the latter also for a list that bears an anchor's name
  /// but not its signature.
  package static func load(anchors path: String, revocationLists listPath: String? = nil)
    throws(SigningError) -> TrustStore
  {
    let anchors = try CertificateFile.read(path, code: .trustUnreadable)
    let lists = try listPath.map { (path) throws(SigningError) in
      try readLists(path, anchors: anchors)
    }
    guard let store = makeStore(anchors) else {
      throw SigningError(.trustUnreadable, "\(path): \(OpenSSLErrors.drain().text)")
    }
    return TrustStore(owning: store, anchors: anchors, lists: lists ?? [])
  }

  private init(owning store: OpaquePointer, anchors: [Certificate], lists: [RevocationList]) {
    self.store = store
    anchorCertificates = anchors
    self.lists = lists
    self.anchors = anchors.compactMap(CertificateInfo.init)
    revocationLists = lists.map(\.info)
  }

  deinit { X509_STORE_free(store) }

  func withPointer<Result>(_ body: (OpaquePointer) -> Result) -> Result { body(store) }

  private static func readLists(_ path: String, anchors: [Certificate]) throws(SigningError)
    -> [RevocationList]
  {
    let bytes = try BoundedFile.read(
      path, limit: BoundedFile.revocationBytes, code: .revocationUnreadable)
    let lists = try RevocationList.all(in: bytes, path: path)
    for list in lists {
      let issuers = anchors.filter(list.isIssued(by:))
      guard issuers.isEmpty || issuers.contains(where: list.isSigned(by:)) else {
        throw SigningError(
          .revocationUnreadable, "\(path): a list of “\(list.info.issuer)” without its signature")
      }
    }
    return lists
  }

  private static func makeStore(_ anchors: [Certificate]) -> OpaquePointer? {
    guard let store = X509_STORE_new() else { return nil }
    let rules = X509_STORE_get0_param(store)
    let isReady =
      anchors.allSatisfy { X509_STORE_add_cert(store, $0.pointer) == 1 }
      // What the operator names is an anchor, self-signed or not.
      && X509_VERIFY_PARAM_set_flags(rules, UInt(X509_V_FLAG_PARTIAL_CHAIN)) == 1
    guard isReady else {
      X509_STORE_free(store)
      return nil
    }
    // No purpose: what the certificates may be used for is checked by `ChainCheck`. That issuers are
    // authorities, OpenSSL checks all the same. Level 2 stands for `securityBits`.
    X509_VERIFY_PARAM_set_auth_level(rules, 2)
    X509_VERIFY_PARAM_set_depth(rules, Int32(maximumIntermediates))
    return store
  }
}
