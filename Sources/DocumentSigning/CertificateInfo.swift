package import ExchangeCore
package import Foundation

/// What a listing shows of a certificate. A value; nothing of OpenSSL stays alive in it.
package struct CertificateInfo: Hashable, Sendable {
  /// RFC 2253, UTF-8.
  package let subject: String
  /// RFC 2253, UTF-8.
  package let issuer: String
  /// Hexadecimal, upper case, as `openssl x509 -serial` prints it.
  package let serialNumber: String
  /// First moment of validity, in whole seconds.
  package let notBefore: Timestamp
  /// Last moment of validity, in whole seconds.
  package let notAfter: Timestamp
  /// For example `RSA 2048` or `EC prime256v1`.
  package let keyType: String
  /// The certificate as it was read.
  package let der: Data
  /// SHA-256 of `der`: what the directory lists.
  package let sha256: SHA256Digest

  /// Nil when a validity date is not a well-formed time.
  init?(_ certificate: Certificate) {
    guard let notBefore = certificate.notBefore, let notAfter = certificate.notAfter else {
      return nil
    }
    subject = certificate.subject
    issuer = certificate.issuer
    serialNumber = certificate.serialNumber
    self.notBefore = notBefore
    self.notAfter = notAfter
    keyType = certificate.withPublicKey(KeyStrength.describe)
    der = certificate.der
    sha256 = OpenSSLHashing().sha256(der)
  }

  /// Why `der` is no certificate, a sentence's predicate; nil when it is one.
  package static func problem(ofDER der: Data) -> String? {
    guard Certificate(der: der) == nil else { return nil }
    let what = FileKind.recognise(der).map { "\($0.what), not one certificate" }
    return what ?? "is cut off or damaged: its content is not one X.509 certificate"
  }

  /// Reads exactly one certificate in DER. Throws `CERTIFICATE-UNREADABLE`.
  package init(der: Data) throws(SigningError) {
    guard let certificate = Certificate(der: der), let info = CertificateInfo(certificate) else {
      throw SigningError(.certificateUnreadable, "certificate: not one X.509 certificate in DER")
    }
    self = info
  }

  /// The certificates of a file's content in its order, at least one: PEM, DER or PKCS#7. Throws
  /// `CERTIFICATE-UNREADABLE`.
  package static func all(inPEM text: Data) throws(SigningError) -> [CertificateInfo] {
    let found = try CertificateFile.certificates(
      in: text, path: "certificate", code: .certificateUnreadable)
    let infos = found.compactMap(CertificateInfo.init)
    guard infos.count == found.count else {
      throw SigningError(.certificateUnreadable, "certificate: a validity date is not a date")
    }
    return infos
  }

  /// Whether OpenSSL takes the certificate for valid at `time`. RFC 5280 4.1.2.5 includes the second
  /// of `notAfter`, OpenSSL does not, and it is OpenSSL that judges at the other end.
  package func isValid(at time: Timestamp) -> Bool {
    notBefore.wholeSeconds <= time.wholeSeconds && time.wholeSeconds < notAfter.wholeSeconds
  }
}
