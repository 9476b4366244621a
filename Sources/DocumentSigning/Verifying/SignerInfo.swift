import COpenSSL
import ExchangeCore
import Foundation

/// One SignerInfo (RFC 5652 5.3), lent by its `SignedMessage` for the length of a closure.
///
/// The steps are called in their order here: what costs little first, so that a stranger cannot make
/// this machine work for him.
struct SignerInfo {
  /// A signing-certificate-v2 with the signer, three intermediates and their issuers' names stays
  /// well below; each entry costs a digest, so there must be a bound.
  private static let maximumSigningCertificateBytes = 4096

  /// CMS_SignerInfo *
  private let pointer: OpaquePointer

  init(lent pointer: OpaquePointer) { self.pointer = pointer }

  /// Step 1: the certificate that issuer and serial number (or key identifier) point to, and
  /// algorithms and key that the profile allows. Throws `badProfile`.
  func certificate() throws(SignatureFinding) -> Certificate {
    var certificate: OpaquePointer?
    CMS_SignerInfo_get0_algs(pointer, nil, &certificate, nil, nil)
    guard let certificate = certificate.map(Certificate.init(sharing:)) else {
      throw SignatureFinding(.badProfile, "the signer's certificate is not included")
    }
    _ = try digest()
    if let problem = certificate.withPublicKey(KeyStrength.problem) {
      OpenSSLErrors.clear()
      throw SignatureFinding(.badProfile, "the key of “\(certificate.subject)” is \(problem)")
    }
    return certificate
  }

  /// Step 2: the signature over the signed attributes, then their message-digest against `content`.
  /// Throws `altered`, or `badProfile` when content-type or message-digest is missing or double.
  ///
  /// These are the two calls that CMS_verify makes for each signer. CMS_verify itself is not used:
  /// it also hashes the content once for every entry of `digestAlgorithms`, a list outside the
  /// signature in which a stranger may write 40,000 entries.
  func checkSignature(of content: Data) throws(SignatureFinding) {
    guard CMS_signed_get_attr_count(pointer) > 0 else {
      throw SignatureFinding(.badProfile, "there are no signed attributes")
    }
    OpenSSLErrors.clear()
    guard CMS_SignerInfo_verify(pointer) == 1 else {
      let errors = OpenSSLErrors.drain()
      if errors.contains(library: ERR_LIB_CMS, reason: CMS_R_ATTRIBUTE_ERROR) {
        throw SignatureFinding(
          .badProfile, "content-type or message-digest is missing or not unique")
      }
      throw SignatureFinding(
        .altered, "the signed attributes do not match the signature: \(errors.text)")
    }
    guard try matchesDigest(of: content) else {
      let text = OpenSSLErrors.drain().text
      throw SignatureFinding(.altered, "the content does not match the signed digest: \(text)")
    }
    // RFC 5652 11.1 wants it equal to eContentType; OpenSSL only wants it there.
    let type = try attribute(NID_pkcs9_contentType, "content-type")
    guard let object = X509_ATTRIBUTE_get0_data(type, 0, V_ASN1_OBJECT, nil),
      OBJ_obj2nid(OpaquePointer(object)) == NID_pkcs7_data
    else {
      OpenSSLErrors.clear()
      throw SignatureFinding(.badProfile, "the signed content-type is not id-data")
    }
  }

  /// Step 3: the claimed time of signing, from a signed attribute that is there exactly once.
  /// Throws `badProfile`.
  func signingTime() throws(SignatureFinding) -> Timestamp {
    defer { OpenSSLErrors.clear() }
    let attribute = try attribute(NID_pkcs9_signingTime, "signing-time")
    for type in [V_ASN1_UTCTIME, V_ASN1_GENERALIZEDTIME] {
      guard let value = X509_ATTRIBUTE_get0_data(attribute, 0, type, nil) else { continue }
      if let time = ASN1Values.timestamp(value.assumingMemoryBound(to: ASN1_TIME.self)) {
        return time
      }
    }
    throw SignatureFinding(.badProfile, "signing-time is not a time")
  }

  /// Step 4: signing-certificate-v2 (RFC 5035) names `certificate` first, and behind it only
  /// certificates of `known`. Throws `badProfile`.
  ///
  /// It binds the certificate to the signature: without it a signature could be shown with another
  /// certificate for the same key.
  func checkSigningCertificate(is certificate: Certificate, known: [Certificate])
    throws(SignatureFinding)
  {
    defer { OpenSSLErrors.clear() }
    let attribute = try attribute(
      NID_id_smime_aa_signingCertificateV2, "signing-certificate-v2")
    guard let value = X509_ATTRIBUTE_get0_data(attribute, 0, V_ASN1_SEQUENCE, nil) else {
      throw SignatureFinding(.badProfile, "signing-certificate-v2 is not a SEQUENCE")
    }
    let bytes = ASN1Values.bytes(value.assumingMemoryBound(to: ASN1_STRING.self))
    guard bytes.count <= Self.maximumSigningCertificateBytes else {
      throw SignatureFinding(.badProfile, "signing-certificate-v2 is \(bytes.count) bytes long")
    }
    let parsed = bytes.withUnsafeBytes { buffer in
      var next = buffer.bindMemory(to: UInt8.self).baseAddress
      return d2i_ESS_SIGNING_CERT_V2(nil, &next, buffer.count)
    }
    defer { ESS_SIGNING_CERT_V2_free(parsed) }
    guard let parsed, let candidates = CertificateStack([certificate] + known),
      candidates.withPointer({ OSSL_ESS_check_signing_certs(nil, parsed, $0, 1) }) == 1
    else {
      let text = OpenSSLErrors.drain().text
      throw SignatureFinding(.badProfile, "signing-certificate-v2 is not the signer's: \(text)")
    }
  }

  /// The digest that the signer used: SHA-256 or stronger, and the same in both algorithms.
  private func digest() throws(SignatureFinding) -> OpaquePointer? {
    var digestAlgorithm: UnsafeMutablePointer<X509_ALGOR>?
    var signatureAlgorithm: UnsafeMutablePointer<X509_ALGOR>?
    CMS_SignerInfo_get0_algs(pointer, nil, nil, &digestAlgorithm, &signatureAlgorithm)
    let digest = OBJ_obj2nid(digestAlgorithm?.pointee.algorithm)
    let signature = OBJ_obj2nid(signatureAlgorithm?.pointee.algorithm)

    // rsaEncryption, OpenSSL's habit, leaves the digest to digestAlgorithm (RFC 3370 3.2).
    var combinedDigest: Int32 = 0
    var keyType: Int32 = 0
    let isCombined = OBJ_find_sigid_algs(signature, &combinedDigest, &keyType) == 1
    let isAllowed =
      signature == NID_rsaEncryption
      || (isCombined && combinedDigest == digest
        && [NID_rsaEncryption, NID_X9_62_id_ecPublicKey].contains(keyType))
    guard isAllowed else {
      throw SignatureFinding(
        .badProfile, "the signature algorithm is not RSA PKCS #1 v1.5 or ECDSA")
    }
    switch digest {
    case NID_sha256: return EVP_sha256()
    case NID_sha384: return EVP_sha384()
    case NID_sha512: return EVP_sha512()
    default: throw SignatureFinding(.badProfile, "the digest is not SHA-256, SHA-384 or SHA-512")
    }
  }

  private func matchesDigest(of content: Data) throws(SignatureFinding) -> Bool {
    let algorithm = try digest()
    guard let hashing = BIO_new(BIO_f_md()) else { return false }
    defer { BIO_free_all(hashing) }
    guard congvan_bio_set_digest(hashing, algorithm) == 1, let sink = BIO_new(BIO_s_null()) else {
      return false
    }
    BIO_push(hashing, sink)
    let written = content.withUnsafeBytes { buffer in
      // SignedMessage has bounded the length far below Int32.max.
      buffer.isEmpty ? 0 : BIO_write(hashing, buffer.baseAddress, Int32(buffer.count))
    }
    return written == content.count && CMS_SignerInfo_verify_content(pointer, hashing) == 1
  }

  /// The one signed attribute of the kind, with exactly one value (X509_ATTRIBUTE *).
  private func attribute(_ nid: Int32, _ name: String) throws(SignatureFinding) -> OpaquePointer {
    let index = CMS_signed_get_attr_by_NID(pointer, nid, -1)
    guard index >= 0, let attribute = CMS_signed_get_attr(pointer, index) else {
      throw SignatureFinding(.badProfile, "the signed attribute \(name) is missing")
    }
    guard CMS_signed_get_attr_by_NID(pointer, nid, index) < 0, X509_ATTRIBUTE_count(attribute) == 1
    else {
      throw SignatureFinding(.badProfile, "the signed attribute \(name) is there more than once")
    }
    return attribute
  }
}
