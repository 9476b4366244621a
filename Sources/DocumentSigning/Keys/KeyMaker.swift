import COpenSSL
package import ExchangeCore
package import Foundation

/// Makes a unit's key and its request for a certificate, for `congvan init`.
package enum KeyMaker {
  /// The keys on offer. All satisfy the profile of schemas/README.md section 5.
  package enum KeyType: String, Sendable, CaseIterable {
    case rsa2048 = "rsa-2048"
    case rsa3072 = "rsa-3072"
    case p256 = "p-256"
  }

  /// Generates a key, which so far exists only in memory. RSA takes up to a second. Throws
  /// `KEY-NOT-MADE`.
  package static func generate(_ type: KeyType) throws(SigningError) -> NewKey {
    OpenSSLErrors.clear()
    let key =
      switch type {
      case .rsa2048: rsa(bits: 2048)
      case .rsa3072: rsa(bits: 3072)
      case .p256: ec(curve: "prime256v1")
      }
    guard let key else {
      throw SigningError(.keyNotMade, "\(type.rawValue): \(OpenSSLErrors.drain().text)")
    }
    return NewKey(key: PrivateKey(owning: key))
  }

  private static func rsa(bits: Int32) -> OpaquePointer? {
    generate("RSA") { EVP_PKEY_CTX_set_rsa_keygen_bits($0, bits) }
  }

  private static func ec(curve: String) -> OpaquePointer? {
    generate("EC") { EVP_PKEY_CTX_set_group_name($0, curve) }
  }

  private static func generate(_ name: String, _ configure: (OpaquePointer) -> Int32)
    -> OpaquePointer?
  {
    guard let context = EVP_PKEY_CTX_new_from_name(nil, name, nil) else { return nil }
    defer { EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard EVP_PKEY_keygen_init(context) == 1, configure(context) == 1,
      EVP_PKEY_generate(context, &key) == 1
    else { return nil }
    return key
  }
}

/// A key that was just made. Immutable; wiped from memory with its last reference.
package final class NewKey: Sendable {
  /// X.520 allows an organisation's name 64 characters.
  private static let maximumOrganisation = 64
  /// Rounds of PBKDF2 with HMAC-SHA-256 between pass phrase and key: about 0.1 s at each loading,
  /// and as much for each guess of who has the file.
  private static let passphraseRounds: Int32 = 200_000

  private let key: PrivateKey

  init(key: PrivateKey) { self.key = key }

  /// Writes the key as PEM PKCS#8 with mode 0600, encrypted with AES-256-CBC when there is a pass
  /// phrase. Never overwrites.
  ///
  /// Throws `KEY-EXISTS`, `KEY-NOT-WRITTEN` (nothing is left behind then), `KEY-PASSPHRASE` for an
  /// empty pass phrase.
  package func write(to path: String, passphrase: String?) throws(SigningError) {
    if let passphrase, passphrase.isEmpty {
      throw SigningError(.keyPassphrase, "an empty pass phrase protects nothing")
    }
    guard let text = pem(passphrase: passphrase) else {
      throw SigningError(.keyNotMade, "PKCS#8: \(OpenSSLErrors.drain().text)")
    }
    try ExclusiveFile.write(text, to: path, mode: 0o600)
  }

  /// A PKCS#10 request (RFC 2986) in PEM, signed with the key: CN is the unit's id, O its name, both
  /// UTF8String.
  ///
  /// The name is decoration for the authority's clerk; what counts is the id. A name longer than the
  /// 64 characters of X.520 is cut after a whole word. Throws `KEY-NOT-MADE`.
  package func certificateRequest(unit: UnitID, name: String) throws(SigningError) -> Data {
    OpenSSLErrors.clear()
    guard let request = request(commonName: unit.rawValue, organisation: Self.shortened(name))
    else { throw SigningError(.keyNotMade, "request: \(OpenSSLErrors.drain().text)") }
    return request
  }

  private func pem(passphrase: String?) -> Data? {
    OpenSSLErrors.clear()
    guard let plain = key.withPointer({ EVP_PKEY2PKCS8($0) }) else { return nil }
    defer { PKCS8_PRIV_KEY_INFO_free(plain) }
    guard let passphrase else {
      return MemoryBIO.writing { PEM_write_bio_PKCS8_PRIV_KEY_INFO($0, plain) == 1 }
    }
    // -1 stands for PBES2; a NULL salt is made at random.
    guard
      let encrypted = PKCS8_encrypt(
        -1, EVP_aes_256_cbc(), passphrase, Int32(passphrase.utf8.count), nil, 0,
        Self.passphraseRounds, plain)
    else { return nil }
    defer { X509_SIG_free(encrypted) }
    return MemoryBIO.writing { PEM_write_bio_PKCS8($0, encrypted) == 1 }
  }

  private func request(commonName: String, organisation: String) -> Data? {
    guard let request = X509_REQ_new(), let name = X509_NAME_new() else { return nil }
    defer {
      X509_NAME_free(name)
      X509_REQ_free(request)
    }
    let isNamed =
      add(organisation, as: NID_organizationName, to: name)
      && add(commonName, as: NID_commonName, to: name)
    let isSigned = key.withPointer { key in
      isNamed && X509_REQ_set_version(request, 0) == 1
        && X509_REQ_set_subject_name(request, name) == 1 && X509_REQ_set_pubkey(request, key) == 1
        && X509_REQ_sign(request, key, EVP_sha256()) > 0
    }
    guard isSigned else { return nil }
    return MemoryBIO.writing { PEM_write_bio_X509_REQ($0, request) == 1 }
  }

  private func add(_ text: String, as nid: Int32, to name: OpaquePointer) -> Bool {
    guard !text.isEmpty else { return true }
    let bytes = Array(text.utf8)
    return X509_NAME_add_entry_by_NID(
      name, nid, V_ASN1_UTF8STRING, bytes, Int32(bytes.count), -1, 0) == 1
  }

  private static func shortened(_ name: String) -> String {
    let name = name.precomposedStringWithCanonicalMapping
    guard name.unicodeScalars.count > maximumOrganisation else { return name }
    var short = ""
    for word in name.split(separator: " ") {
      let longer = short.isEmpty ? String(word) : "\(short) \(word)"
      guard longer.unicodeScalars.count <= maximumOrganisation else { break }
      short = longer
    }
    return short
  }
}
