import COpenSSL
package import ExchangeCore
package import Foundation

/// Signs with one key: CMS SignedData of the profile in schemas/README.md section 5 (CAdES-B).
///
/// Immutable; several threads may sign at once. Each signature costs one private-key operation.
package final class CMSSigner: DocumentSigner {
  /// The key and certificate that sign.
  package let key: SigningKey
  package let identity: String?

  /// Shares `key`, which was checked when it was loaded.
  package init(key: SigningKey) {
    self.key = key
    identity = Self.identity([key.signer] + key.chain)
  }

  package var certificate: SignerCertificate? {
    let ends = ([key.certificate] + key.intermediates).map(\.notAfter)
    return SignerCertificate(
      subject: key.certificate.subject, digest: key.certificate.sha256,
      notAfter: ends.min() ?? key.certificate.notAfter)
  }

  /// DER of a SignedData with `content` attached; signing-time is `time` in whole seconds.
  ///
  /// Throws `CERTIFICATE-NOT-VALID` when the certificate is not valid at `time` (every receiver
  /// would refuse the message), `SIGNED-TOO-LARGE` when it does not fit a message body, else
  /// `SIGNING-FAILED`.
  package func sign(_ content: Data, at time: Timestamp) throws -> Data {
    guard key.certificate.isValid(at: time) else {
      throw SigningError(
        .certificateNotValid,
        "“\(key.certificate.subject)” is valid from \(key.certificate.notBefore.shown) to "
          + "\(key.certificate.notAfter.shown), not at \(time.shown)")
    }
    OpenSSLErrors.clear()
    defer { OpenSSLErrors.clear() }
    guard let message = makeMessage(content, at: time) else {
      throw SigningError(.signingFailed, OpenSSLErrors.drain().text)
    }
    guard message.count <= WireLimits.bodyBytes else {
      throw SigningError(
        .signedTooLarge, "\(message.count) bytes, at most \(WireLimits.bodyBytes) are allowed")
    }
    return message
  }

  package func identity(of message: Data) -> String? {
    defer { OpenSSLErrors.clear() }
    guard let certificates = try? SignedMessage.open(message).certificates() else { return nil }
    return Self.identity(certificates)
  }

  private static func identity(_ certificates: [Certificate]) -> String {
    let digests = Set(certificates.map(\.digest)).map(\.hex).sorted().joined()
    return OpenSSLHashing().sha256(Data(digests.utf8)).hex
  }

  private func makeMessage(_ content: Data, at time: Timestamp) -> Data? {
    guard let chain = CertificateStack(key.chain) else { return nil }
    // CMS_PARTIAL: nothing is signed before CMS_final, so that signing-time can be set first.
    let flags = UInt32(CMS_BINARY | CMS_PARTIAL)
    return chain.withPointer { chain in
      guard let message = CMS_sign(nil, nil, chain, nil, flags) else { return nil }
      defer { CMS_ContentInfo_free(message) }
      guard addSigner(to: message, at: time),
        MemoryBIO.reading(content, { CMS_final(message, $0, nil, flags) == 1 ? () : nil }) != nil
      else { return nil }
      return MemoryBIO.writing { i2d_CMS_bio($0, message) == 1 }
    }
  }

  /// Adds the signer with signing-time and, through CMS_CADES, signing-certificate-v2. OpenSSL adds
  /// content-type and message-digest itself.
  private func addSigner(to message: OpaquePointer, at time: Timestamp) -> Bool {
    // No list of preferred ciphers: nobody answers a document with encrypted mail.
    let flags = UInt32(CMS_BINARY | CMS_PARTIAL | CMS_CADES | CMS_NOSMIMECAP)
    let signer = key.key.withPointer {
      CMS_add1_signer(message, key.signer.pointer, $0, EVP_sha256(), flags)
    }
    // ASN1_TIME_set chooses UTCTime until 2049 and GeneralizedTime after, as RFC 5652 11.3 asks.
    guard let signer, let signed = ASN1_TIME_set(nil, time_t(time.wholeSeconds)) else {
      return false
    }
    defer { ASN1_STRING_free(signed) }
    return CMS_signed_add1_attr_by_NID(
      signer, NID_pkcs9_signingTime, signed.pointee.type, signed, -1) == 1
  }
}
