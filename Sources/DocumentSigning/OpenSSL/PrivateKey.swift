import COpenSSL
import Foundation

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

  /// What came of reading a PEM key.
  enum Reading {
    case key(PrivateKey)
    /// OpenSSL asked for the pass phrase and then could not go on.
    case passphraseNeeded
    case unreadable(String)
  }

  /// Reads the first private key of a PEM text: PKCS#8, plain or encrypted, or the older forms.
  ///
  /// A wrong pass phrase and a key damaged inside its encryption look alike to OpenSSL; everything
  /// that fails after it asked for the pass phrase is therefore the pass phrase's fault.
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
    return source.wasAsked ? .passphraseNeeded : .unreadable(errors.text)
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
