import COpenSSL
import ExchangeCore
import Foundation

/// The contents of a PKCS#12 file (RFC 7292): one key and the certificates beside it.
enum PKCS12File {
  /// Throws `KEY-UNREADABLE` or `KEY-PASSPHRASE`. The file's MAC tells the two apart: it is checked
  /// before anything is decrypted.
  static func open(_ bytes: Data, path: String, passphrase: String?) throws(SigningError)
    -> (key: PrivateKey, certificates: [Certificate])
  {
    OpenSSLErrors.clear()
    guard let file = MemoryBIO.reading(bytes, { d2i_PKCS12_bio($0, nil) }) else {
      let text = OpenSSLErrors.drain().text
      throw SigningError(.keyUnreadable, "\(path): not a PKCS#12 file: \(text)")
    }
    defer { PKCS12_free(file) }

    // No pass phrase is written as none or as an empty one, depending on the program.
    let candidates: [String?] = passphrase.map { [$0] } ?? [nil, ""]
    let isProtected = PKCS12_mac_present(file) == 1
    let opening = candidates.first { !isProtected || PKCS12_verify_mac(file, $0, -1) == 1 }
    OpenSSLErrors.clear()
    guard let opening else {
      let what = passphrase == nil ? "no pass phrase was given" : "the pass phrase does not open it"
      throw SigningError(.keyPassphrase, "\(path): the file is protected and \(what)")
    }

    var key: OpaquePointer?
    var certificate: OpaquePointer?
    var others: OpaquePointer?
    let parsed = PKCS12_parse(file, opening, &key, &certificate, &others)
    let errors = OpenSSLErrors.drain()
    // Owned before anything can throw.
    let owned = key.map(PrivateKey.init(owning:))
    let first = certificate.map(Certificate.init(owning:))
    let rest = CertificateStack.certificates(of: others)
    congvan_certificates_free(others)

    guard parsed == 1, let owned else {
      throw SigningError(
        .keyUnreadable, "\(path): \(parsed == 1 ? "holds no private key" : errors.text)")
    }
    return (owned, [first].compactMap(\.self) + rest)
  }
}
