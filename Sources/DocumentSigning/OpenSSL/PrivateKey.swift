import COpenSSL
import Foundation

/// `pem_password_cb *`: fills the buffer and returns the length, or -1.
typealias PassphraseCallback =
  @convention(c) (
    UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?
  ) -> Int32

/// Owns one EVP_PKEY that holds a private key. OpenSSL wipes it when it is freed.
///
/// `@unchecked Sendable`: the key is never changed after `init`, and OpenSSL 3 allows concurrent
/// use of one EVP_PKEY (operations keep their state in contexts; RSA blinding takes a lock).
final class PrivateKey: @unchecked Sendable {
  /// EVP_PKEY *
  private let pointer: OpaquePointer

  /// Takes over the caller's reference.
  init(owning pointer: OpaquePointer) { self.pointer = pointer }

  deinit { EVP_PKEY_free(pointer) }

  /// What came of reading a key.
  enum Reading {
    case key(PrivateKey)
    /// It is encrypted, and there was no pass phrase or a wrong one.
    case passphraseNeeded
    /// It is encrypted with a cipher that this OpenSSL does not have.
    case unsupported(String)
    case unreadable(String)
  }

  /// Reads one private key in DER: PKCS#8, plain or encrypted, PKCS#1 or SEC1.
  static func read(der: Data, passphrase: String?) -> Reading {
    OpenSSLErrors.clear()
    defer { OpenSSLErrors.clear() }
    let protected: OpaquePointer? = der.withUnsafeBytes { buffer in
      var next = buffer.bindMemory(to: UInt8.self).baseAddress
      return d2i_X509_SIG(nil, &next, buffer.count)
    }
    guard let protected else {
      OpenSSLErrors.clear()
      let key = der.withUnsafeBytes { buffer in
        var next = buffer.bindMemory(to: UInt8.self).baseAddress
        return d2i_AutoPrivateKey(nil, &next, buffer.count)
      }
      guard let key else { return .unreadable(OpenSSLErrors.drain().text) }
      return .key(PrivateKey(owning: key))
    }
    defer { X509_SIG_free(protected) }
    guard let passphrase else { return .passphraseNeeded }
    guard let plain = PKCS8_decrypt(protected, passphrase, Int32(passphrase.utf8.count)) else {
      return failure(OpenSSLErrors.drain())
    }
    defer { PKCS8_PRIV_KEY_INFO_free(plain) }
    guard let key = EVP_PKCS82PKEY(plain) else {
      return .unreadable(OpenSSLErrors.drain().text)
    }
    return .key(PrivateKey(owning: key))
  }

  /// Reads the first private key of a PEM text: the traditional encrypted forms above all.
  static func read(pem text: Data, passphrase: String?) -> Reading {
    let source = PassphraseSource(passphrase)
    OpenSSLErrors.clear()
    let key = MemoryBIO.reading(text) { bio in
      withExtendedLifetime(source) {
        PEM_read_bio_PrivateKey(
          bio, nil, PassphraseSource.callback, Unmanaged.passUnretained(source).toOpaque())
      }
    }
    let errors = OpenSSLErrors.drain()
    if let key { return .key(PrivateKey(owning: key)) }
    guard source.wasAsked || errors.saysUnsupported else { return .unreadable(errors.text) }
    return passphrase == nil ? .passphraseNeeded : failure(errors)
  }

  /// A wrong pass phrase and a key damaged inside its encryption look alike to OpenSSL; what fails
  /// after the decryption began is therefore the pass phrase's fault, unless the cipher is missing.
  private static func failure(_ errors: OpenSSLErrors) -> Reading {
    errors.saysUnsupported ? .unsupported(errors.text) : .passphraseNeeded
  }

  func withPointer<Result>(_ body: (OpaquePointer) -> Result) -> Result { body(pointer) }
}

/// Answers OpenSSL's question for a pass phrase and remembers that it was asked.
private final class PassphraseSource {
  private let bytes: [UInt8]?
  private(set) var wasAsked = false

  init(_ passphrase: String?) { bytes = passphrase.map { Array($0.utf8) } }

  static let callback: PassphraseCallback = { buffer, size, _, context in
    guard let buffer, let context else { return -1 }
    let source = Unmanaged<PassphraseSource>.fromOpaque(context).takeUnretainedValue()
    source.wasAsked = true
    guard let bytes = source.bytes, bytes.count <= size else { return -1 }
    for (index, byte) in bytes.enumerated() { buffer[index] = CChar(bitPattern: byte) }
    return Int32(bytes.count)
  }
}
