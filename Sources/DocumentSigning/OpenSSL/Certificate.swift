import COpenSSL
import ExchangeCore
import Foundation

/// Owns one reference to an X509.
///
/// `@unchecked Sendable`: the certificate is never changed after `init`, and what OpenSSL caches in
/// it on first use (extensions, decoded key) it guards with the object's own lock.
final class Certificate: @unchecked Sendable {
  /// X509 *, for calls made while this object is alive: hold it with `withExtendedLifetime`, or let
  /// the call take its own reference.
  let pointer: OpaquePointer

  /// Takes over the caller's reference.
  init(owning pointer: OpaquePointer) { self.pointer = pointer }

  /// Shares `pointer` with its owner.
  init(sharing pointer: OpaquePointer) {
    X509_up_ref(pointer)
    self.pointer = pointer
  }

  deinit { X509_free(pointer) }

  /// Nil unless `der` is exactly one certificate.
  convenience init?(der: Data) {
    let parsed: OpaquePointer? = der.withUnsafeBytes { buffer in
      var next = buffer.bindMemory(to: UInt8.self).baseAddress
      let end = next.map { $0 + buffer.count }
      guard let parsed = d2i_X509(nil, &next, buffer.count) else { return nil }
      guard next == end else {
        X509_free(parsed)
        return nil
      }
      return parsed
    }
    OpenSSLErrors.clear()
    guard let parsed else { return nil }
    self.init(owning: parsed)
  }

  /// Nil unless `der` is exactly one certificate with OpenSSL's trust settings behind it, which do
  /// not count here.
  convenience init?(trustedDER der: Data) {
    let parsed: OpaquePointer? = der.withUnsafeBytes { buffer in
      var next = buffer.bindMemory(to: UInt8.self).baseAddress
      return d2i_X509_AUX(nil, &next, buffer.count)
    }
    OpenSSLErrors.clear()
    guard let parsed else { return nil }
    self.init(owning: parsed)
  }

  /// The DER as it was read, from which the digest is made. Empty only when memory ran out.
  var der: Data {
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = i2d_X509(pointer, &bytes)
    guard count > 0, let bytes else { return Data() }
    defer { CRYPTO_free(bytes, #file, #line) }
    return Data(bytes: bytes, count: Int(count))
  }

  /// SHA-256 of the DER: what the directory lists.
  var digest: SHA256Digest { OpenSSLHashing().sha256(der) }

  var subject: String { ASN1Values.text(X509_get_subject_name(pointer)) }
  var issuer: String { ASN1Values.text(X509_get_issuer_name(pointer)) }
  var notBefore: Timestamp? { ASN1Values.timestamp(X509_get0_notBefore(pointer)) }
  var notAfter: Timestamp? { ASN1Values.timestamp(X509_get0_notAfter(pointer)) }

  /// The values of CN in the subject, UTF-8.
  var commonNames: [String] {
    let name = X509_get_subject_name(pointer)
    var names: [String] = []
    var index = X509_NAME_get_index_by_NID(name, NID_commonName, -1)
    while index >= 0 {
      if let entry = X509_NAME_get_entry(name, index),
        let value = X509_NAME_ENTRY_get_data(entry)
      {
        var text: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&text, value)
        if count >= 0, let text {
          names.append(
            String(decoding: UnsafeBufferPointer(start: text, count: Int(count)), as: UTF8.self))
          CRYPTO_free(text, #file, #line)
        }
      }
      index = X509_NAME_get_index_by_NID(name, NID_commonName, index)
    }
    return names
  }

  /// Whether subject and issuer are the same: a root, which a message never carries.
  var isSelfIssued: Bool {
    X509_NAME_cmp(X509_get_subject_name(pointer), X509_get_issuer_name(pointer)) == 0
  }

  /// Whether this could be the issuer of `other` by names, key identifiers and key usage. The
  /// signature is not looked at.
  func isIssuer(of other: Certificate) -> Bool {
    X509_check_issued(pointer, other.pointer) == X509_V_OK
  }

  /// Hexadecimal serial number, upper case, as `openssl x509 -serial` prints it.
  var serialNumber: String {
    guard let serial = X509_get0_serialNumber(pointer) else { return "" }
    let text = MemoryBIO.writing { i2a_ASN1_INTEGER($0, serial) > 0 }
    return String(decoding: text ?? Data(), as: UTF8.self)
  }

  /// Whether the authority signed with a digest that the profile does not allow (MD5, SHA-1).
  var hasWeakSignature: Bool {
    defer { OpenSSLErrors.clear() }
    var bits: Int32 = 0
    return X509_get_signature_info(pointer, nil, nil, &bits, nil) != 1
      || bits < TrustStore.securityBits
  }

  /// The public key, which stays the certificate's. Nil when OpenSSL cannot decode it.
  func withPublicKey<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
    body(X509_get0_pubkey(pointer))
  }

  func matches(_ key: PrivateKey) -> Bool {
    defer { OpenSSLErrors.clear() }
    return key.withPointer { X509_check_private_key(pointer, $0) == 1 }
  }
}
