package import ExchangeCore
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
  /// For what the pairs of key and certificate of the file may be used, when there are several.
  let usages: [String]
  private let certificates: [Certificate]

  /// Of several keys and certificates, in any order, the pair that may sign documents is used, and of
  /// several such pairs the one that is valid now and ends last.
  ///
  /// Throws `KEY-CERTIFICATE-MISMATCH`, `KEY-TOO-WEAK`, `KEY-NOT-ALLOWED` or
  /// `CERTIFICATE-UNREADABLE`; `source` names the file in the reason.
  convenience init(keys: [PrivateKey], certificates: [Certificate], source: String, now: Timestamp)
    throws(SigningError)
  {
    let pairs = keys.flatMap { key in
      certificates.filter { $0.matches(key) }.map { (key: key, certificate: $0) }
    }
    let best = pairs.max { left, right in
      Self.rank(left.key, left.certificate, now)
        .lexicographicallyPrecedes(Self.rank(right.key, right.certificate, now))
    }
    guard let best else {
      let key = keys.count == 1 ? "the key" : "one of the \(keys.count) keys"
      throw SigningError(
        .keyCertificateMismatch,
        certificates.isEmpty
          ? "\(source): holds no certificate"
          : "\(source): none of its certificates belongs to \(key)")
    }
    if let problem = best.key.withPointer(KeyStrength.problem) {
      throw SigningError(
        problem.isWeak ? .keyTooWeak : .keyNotAllowed, "\(source): the key is \(problem)")
    }
    try self.init(
      key: best.key, signer: best.certificate, certificates: certificates,
      usages: pairs.count < 2 ? [] : pairs.map { CertificateUsage($0.certificate).description },
      source: source)
  }

  private init(
    key: PrivateKey, signer: Certificate, certificates: [Certificate], usages: [String],
    source: String
  ) throws(SigningError) {
    guard let certificate = CertificateInfo(signer) else {
      throw SigningError(.certificateUnreadable, "\(source): a validity date is not a date")
    }
    self.key = key
    self.signer = signer
    self.usages = usages
    self.certificates = certificates
    chain = Self.issuers(above: signer, among: certificates)
    self.certificate = certificate
    intermediates = chain.compactMap(CertificateInfo.init)
  }

  /// Higher is better: may sign documents, key allowed, valid now, ends late.
  private static func rank(_ key: PrivateKey, _ certificate: Certificate, _ now: Timestamp) -> [Int]
  {
    let never = Timestamp(microseconds: 0)
    let (from, to) = (certificate.notBefore ?? never, certificate.notAfter ?? never)
    return [
      CertificateUsage(certificate).problem == nil ? 1 : 0,
      key.withPointer(KeyStrength.problem) == nil ? 1 : 0,
      from <= now && now < to ? 1 : 0, to.wholeSeconds,
    ]
  }

  /// Reads a private key and the certificate with its intermediates: PEM or DER, the certificates also
  /// as PKCS#7. `now` chooses between several certificates.
  ///
  /// Never asks on the terminal. Throws `KEY-UNREADABLE`, `KEY-PASSPHRASE` (missing or wrong),
  /// `CERTIFICATE-UNREADABLE`, `KEY-CERTIFICATE-MISMATCH`, `KEY-TOO-WEAK` or `KEY-NOT-ALLOWED`.
  package static func load(
    key keyPath: String, certificate certificatePath: String, passphrase: String?,
    now: Timestamp = SystemClock().now
  ) throws(SigningError) -> SigningKey {
    let keys = try KeyFile.read(keyPath, passphrase: passphrase)
    let certificates = try CertificateFile.read(certificatePath, code: .certificateUnreadable)
    return try SigningKey(keys: keys, certificates: certificates, source: certificatePath, now: now)
  }

  /// Reads a PKCS#12 file (RFC 7292). Throws as the other form does; a file whose integrity check
  /// fails under the pass phrase is `KEY-PASSPHRASE`.
  package static func load(
    pkcs12 path: String, passphrase: String?, now: Timestamp = SystemClock().now
  ) throws(SigningError) -> SigningKey {
    let bytes = try BoundedFile.read(path, limit: BoundedFile.keyBytes, code: .keyUnreadable)
    let file = try PKCS12File(bytes, path: path, passphrase: passphrase)
    return try SigningKey(
      keys: file.keys, certificates: file.certificates, source: path, now: now)
  }

  /// The same key with the issuers that only `trust` knows: units that trust the root alone need them.
  package func completed(by trust: TrustStore) throws(SigningError) -> SigningKey {
    try SigningKey(
      key: key, signer: signer, certificates: certificates + trust.anchorCertificates,
      usages: usages, source: certificate.subject)
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
}
