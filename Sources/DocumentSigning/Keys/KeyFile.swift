import COpenSSL
import ExchangeCore
import Foundation

/// Reads the private keys of a file: PEM (PKCS#8, PKCS#1, SEC1, plain or encrypted, with or without
/// text and certificates around them) or DER of the same. Never asks on the terminal.
enum KeyFile {
  private static let labels = [
    "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY",
    "ANY PRIVATE KEY",
  ]

  /// The keys in the file's order, at least one. Throws `KEY-UNREADABLE` or `KEY-PASSPHRASE`.
  static func read(_ path: String, passphrase: String?) throws(SigningError) -> [PrivateKey] {
    let bytes = try BoundedFile.read(path, limit: BoundedFile.keyBytes, code: .keyUnreadable)
    let blocks = PEMText.blocks(in: PEMText.text(of: bytes))
    let keys = blocks.filter { labels.contains($0.label) }
    var found: [PrivateKey] = []
    for block in keys {
      guard block.isClosed else {
        throw SigningError(
          .keyUnreadable, "\(path): the private key is cut off: its END line is missing",
          next: "Copy the file again from where it came; do not edit it.")
      }
      // Without base64 there are headers in between: the traditional encryption.
      let reading =
        block.der.map { PrivateKey.read(der: $0, passphrase: passphrase) }
        ?? PrivateKey.read(pem: Data((block.text + "\n").utf8), passphrase: passphrase)
      found.append(try key(reading, path: path, hasPassphrase: passphrase != nil))
    }
    if blocks.isEmpty {
      let der = CertificateFile.der(of: bytes)
      if der.first == 0x30, isKey(der) {
        let reading = PrivateKey.read(der: der, passphrase: passphrase)
        found.append(try key(reading, path: path, hasPassphrase: passphrase != nil))
      }
    }
    guard found.isEmpty else { return found }
    let kind = FileKind.recognise(bytes)
    throw SigningError(
      .keyUnreadable, "\(path): \(kind?.what ?? "is not recognised"); a private key is needed",
      next: kind?.next(for: .key, path: path))
  }

  /// A PKCS#12 file and a certificate are sequences, too.
  private static func isKey(_ der: Data) -> Bool {
    let kind = FileKind.recognise(der)
    return kind?.isKey == true || kind == nil
  }

  private static func key(_ reading: PrivateKey.Reading, path: String, hasPassphrase: Bool)
    throws(SigningError) -> PrivateKey
  {
    switch reading {
    case .key(let key): return key
    case .passphraseNeeded where hasPassphrase:
      throw SigningError(
        .keyPassphrase, "\(path): the key is encrypted and the pass phrase does not open it")
    case .passphraseNeeded:
      throw SigningError(
        .keyPassphrase, "\(path): the key is encrypted and no pass phrase was given",
        next: "Write the pass phrase into a file with mode 0600 and name it in "
          + "signing.passphraseFile.")
    case .unsupported(let text):
      throw SigningError(
        .keyUnreadable,
        "\(path): the key is encrypted with a cipher that OpenSSL only reads with its legacy "
          + "provider (\(text))",
        next: "Convert it (Debian 13: install openssl-provider-legacy first): "
          + Shell.converting(key: path))
    case .unreadable(let text):
      throw SigningError(
        .keyUnreadable,
        "\(path): the private key is damaged, or of a kind that OpenSSL does not know (\(text))",
        next: "Check the key with: openssl pkey -noout -check -in \(Shell.quoted(path))")
    }
  }
}
