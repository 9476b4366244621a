import COpenSSL
import ExchangeCore
import Foundation

/// The contents of a PKCS#12 file (RFC 7292). It may hold several keys: authorities hand out one for
/// signing and one for encryption in one file.
///
/// `PKCS12_parse` is not used, because it returns the first key only.
final class PKCS12File {
  /// PKCS12 *
  private let pointer: OpaquePointer
  private let path: String
  /// What the pass phrase has to be for OpenSSL.
  private var opening: String?
  private(set) var keys: [PrivateKey] = []
  private(set) var certificates: [Certificate] = []

  /// Safes within safes; a file that nests deeper was made to harm.
  private static let maximumDepth = 4

  /// Reads the file's bytes. Throws `KEY-UNREADABLE` or `KEY-PASSPHRASE`. The file's MAC tells the two
  /// apart: it is checked before anything is decrypted.
  init(_ bytes: Data, path: String, passphrase: String?) throws(SigningError) {
    OpenSSLErrors.clear()
    guard let file = MemoryBIO.reading(bytes, { d2i_PKCS12_bio($0, nil) }) else {
      let kind = FileKind.recognise(bytes)
      throw SigningError(
        .keyUnreadable, "\(path): \(kind?.what ?? "is not recognised"); a PKCS#12 file is needed",
        next: kind?.next(for: .pkcs12, path: path))
    }
    pointer = file
    self.path = path
    opening = nil
    opening = try checkMAC(passphrase)
    try readSafes()
    guard !keys.isEmpty else {
      throw SigningError(
        .keyUnreadable, "\(path): holds no private key",
        next: "Export key and certificate together (“with the private key”).")
    }
  }

  deinit { PKCS12_free(pointer) }

  /// Returns the pass phrase in the form that fits: no pass phrase is written as none or as an empty
  /// one, depending on the program.
  private func checkMAC(_ passphrase: String?) throws(SigningError) -> String? {
    let candidates: [String?] = passphrase.map { [$0] } ?? [nil, ""]
    guard PKCS12_mac_present(pointer) == 1 else { return candidates[0] }
    defer { OpenSSLErrors.clear() }
    if let fitting = candidates.first(where: { PKCS12_verify_mac(pointer, $0, -1) == 1 }) {
      return fitting
    }
    guard passphrase != nil else {
      throw SigningError(
        .keyPassphrase, "\(path): the file is protected and no pass phrase was given",
        next: "Write the pass phrase into a file with mode 0600 and name it in "
          + "signing.passphraseFile.")
    }
    let algorithm = macAlgorithm
    // OpenSSL before 3.4 cannot check PBMAC1 (RFC 9579) and calls the pass phrase wrong.
    if algorithm == NID_pbmac1, OpenSSL_version_num() < 0x3040_0000 {
      throw SigningError(
        .keyUnreadable,
        "\(path): its integrity check is PBMAC1, which OpenSSL before 3.4 cannot check (this is "
          + "\(Self.version)); whether the pass phrase is right is not known",
        next: "Convert it: " + Shell.converting(pkcs12: path, options: "-nomacver"))
    }
    throw SigningError(
      .keyPassphrase, "\(path): the file is protected and the pass phrase does not open it")
  }

  private var macAlgorithm: Int32 {
    var algorithm: UnsafePointer<X509_ALGOR>?
    PKCS12_get0_mac(nil, &algorithm, nil, nil, pointer)
    return OBJ_obj2nid(algorithm?.pointee.algorithm)
  }

  private static var version: String {
    OpenSSL_version(OPENSSL_VERSION_STRING).map { String(cString: $0) } ?? "another"
  }

  private func readSafes() throws(SigningError) {
    guard let safes = PKCS12_unpack_authsafes(pointer) else { throw broken() }
    defer { congvan_safes_free(safes) }
    for index in 0..<max(0, congvan_safes_count(safes)) {
      guard let safe = congvan_safes_at(safes, index) else { continue }
      let bags: OpaquePointer?
      switch congvan_safe_type(safe) {
      case NID_pkcs7_data: bags = PKCS12_unpack_p7data(safe)
      case NID_pkcs7_encrypted: bags = PKCS12_unpack_p7encdata(safe, opening, -1)
      default: continue
      }
      guard let bags else { throw broken() }
      defer { congvan_bags_free(bags) }
      try readBags(bags, depth: 0)
    }
  }

  private func readBags(_ bags: OpaquePointer?, depth: Int) throws(SigningError) {
    for index in 0..<max(0, congvan_bags_count(bags)) {
      guard let bag = congvan_bags_at(bags, index) else { continue }
      switch PKCS12_SAFEBAG_get_nid(bag) {
      case NID_keyBag: keys.append(try key(PKCS12_SAFEBAG_get0_p8inf(bag)))
      case NID_pkcs8ShroudedKeyBag:
        guard let plain = PKCS12_decrypt_skey(bag, opening, -1) else { throw broken() }
        defer { PKCS8_PRIV_KEY_INFO_free(plain) }
        keys.append(try key(plain))
      case NID_certBag:
        guard PKCS12_SAFEBAG_get_bag_nid(bag) == NID_x509Certificate else { continue }
        guard let certificate = PKCS12_SAFEBAG_get1_cert(bag) else { throw broken() }
        certificates.append(Certificate(owning: certificate))
      case NID_safeContentsBag where depth < Self.maximumDepth:
        try readBags(PKCS12_SAFEBAG_get0_safes(bag), depth: depth + 1)
      default: continue
      }
    }
  }

  private func key(_ plain: OpaquePointer?) throws(SigningError) -> PrivateKey {
    guard let plain, let key = EVP_PKCS82PKEY(plain) else { throw broken() }
    return PrivateKey(owning: key)
  }

  /// What stopped the reading, from OpenSSL's errors. The MAC was right, so the pass phrase is.
  private func broken() -> SigningError {
    let errors = OpenSSLErrors.drain()
    guard errors.saysUnsupported else {
      return SigningError(
        .keyUnreadable, "\(path): the PKCS#12 file is damaged (\(errors.text))",
        next: "Copy or export the file again.")
    }
    return SigningError(
      .keyUnreadable,
      "\(path): is encrypted with a cipher that OpenSSL only reads with its legacy provider, "
        + "such as RC2 (\(errors.text))",
      next: "Convert it (Debian 13: install openssl-provider-legacy first): "
        + Shell.converting(pkcs12: path, options: "-legacy"))
  }
}
