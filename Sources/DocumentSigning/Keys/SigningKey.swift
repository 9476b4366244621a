import ExchangeCore
import Foundation

/// A unit's (or a leader's) private key with its certificate, checked and ready to sign.
///
/// Immutable; may be used from several threads at once. The key is wiped when the last user lets go.
package final class SigningKey: Sendable {
  /// The certificate that belongs to the key.
  package let certificate: CertificateInfo
  /// What goes along in each message so that others can build the chain: the issuers above the
  /// certificate, nearest first, without the root.
  package let intermediates: [CertificateInfo]

  let key: PrivateKey
  let signer: Certificate
  let chain: [Certificate]

  /// `certificates` may be in any order: the signer's is the one that matches the key.
  ///
  /// Throws `KEY-CERTIFICATE-MISMATCH`, `KEY-TOO-WEAK` or `CERTIFICATE-UNREADABLE`; `source` names
  /// the file in the reason.
  init(key: PrivateKey, certificates: [Certificate], source: String) throws(SigningError) {
    guard let signer = certificates.first(where: { $0.matches(key) }) else {
      throw SigningError(
        .keyCertificateMismatch, "\(source): none of its certificates belongs to the key")
    }
    if let problem = key.withPointer(KeyStrength.problem) {
      throw SigningError(.keyTooWeak, "\(source): \(problem)")
    }
    guard let certificate = CertificateInfo(signer) else {
      throw SigningError(.certificateUnreadable, "\(source): a validity date is not a date")
    }
    self.key = key
    self.signer = signer
    chain = Self.issuers(above: signer, among: certificates)
    self.certificate = certificate
    intermediates = chain.compactMap(CertificateInfo.init)
  }

  /// Reads a PEM private key and a PEM certificate with its intermediates.
  ///
  /// Never asks on the terminal. Throws `KEY-UNREADABLE`, `KEY-PASSPHRASE` (missing or wrong),
  /// `CERTIFICATE-UNREADABLE`, `KEY-CERTIFICATE-MISMATCH` or `KEY-TOO-WEAK`.
  package static func load(
    key keyPath: String, certificate certificatePath: String, passphrase: String?
  ) throws(SigningError) -> SigningKey {
    let key = try readKey(keyPath, passphrase: passphrase)
    let text = try BoundedFile.read(
      certificatePath, limit: BoundedFile.keyBytes, code: .certificateUnreadable)
    guard let certificates = Certificate.all(inPEM: text), !certificates.isEmpty else {
      throw SigningError(
        .certificateUnreadable, "\(certificatePath): no certificate, or a broken one")
    }
    return try SigningKey(key: key, certificates: certificates, source: certificatePath)
  }

  /// Reads a PKCS#12 file (RFC 7292). Throws as the PEM form does; a file whose integrity check
  /// fails under the pass phrase is `KEY-PASSPHRASE`.
  package static func load(pkcs12 path: String, passphrase: String?) throws(SigningError)
    -> SigningKey
  {
    let bytes = try BoundedFile.read(path, limit: BoundedFile.keyBytes, code: .keyUnreadable)
    let parts = try PKCS12File.open(bytes, path: path, passphrase: passphrase)
    return try SigningKey(key: parts.key, certificates: parts.certificates, source: path)
  }

  /// Only what the chain needs: a file that an authority hands out may hold a whole collection, and
  /// a message may carry 16 certificates.
  private static func issuers(above signer: Certificate, among certificates: [Certificate])
    -> [Certificate]
  {
    var rest = certificates.filter { $0 !== signer && !$0.isSelfIssued }
    var chain: [Certificate] = []
    while let next = rest.firstIndex(where: { $0.isIssuer(of: chain.last ?? signer) }) {
      chain.append(rest.remove(at: next))
    }
    return Array(chain.prefix(TrustStore.maximumIntermediates))
  }

  private static func readKey(_ path: String, passphrase: String?) throws(SigningError)
    -> PrivateKey
  {
    let text = try BoundedFile.read(path, limit: BoundedFile.keyBytes, code: .keyUnreadable)
    switch PrivateKey.read(pem: text, passphrase: passphrase) {
    case .key(let key): return key
    case .passphraseNeeded:
      let what = passphrase == nil ? "no pass phrase was given" : "the pass phrase does not open it"
      throw SigningError(.keyPassphrase, "\(path): the key is encrypted and \(what)")
    case .unreadable(let text): throw SigningError(.keyUnreadable, "\(path): \(text)")
    }
  }
}
