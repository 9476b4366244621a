import COpenSSL
import ExchangeCore
import Foundation

/// What a file is that is not what was asked for. Only what was recognised is said.
struct FileKind {
  /// What was asked for.
  enum Wanted { case certificate, key, pkcs12 }

  private enum Kind {
    case empty, webPage, document, java, putty, openSSH, sshPublic, pgp, certificate, request
    case publicKey, key, encryptedKey, pkcs12, pkcs7, revocationList, otherPEM, signedMessage
  }

  /// A sentence's predicate: “is a Java keystore (JKS)”.
  let what: String
  private let kind: Kind

  /// True for a private key in a form that OpenSSL reads.
  var isKey: Bool { kind == .key || kind == .encryptedKey }

  private init(_ kind: Kind, _ what: String) {
    self.kind = kind
    self.what = what
  }

  /// Nil when the content is not recognised.
  static func recognise(_ bytes: Data) -> FileKind? {
    if bytes.isEmpty { return FileKind(.empty, "is empty") }
    if bytes.starts(with: [0xFE, 0xED, 0xFE, 0xED]) || bytes.starts(with: [0xCE, 0xCE, 0xCE, 0xCE])
    {
      return FileKind(.java, "is a Java keystore (JKS)")
    }
    let text = PEMText.text(of: bytes.prefix(65_536))
    let head = text.trimmingCharacters(
      in: .whitespacesAndNewlines.union(CharacterSet(charactersIn: "\u{FEFF}")))
    if head.isEmpty { return FileKind(.empty, "holds nothing but space") }
    return byText(head) ?? byLabel(PEMText.blocks(in: text))
      ?? byDER(CertificateFile.der(of: bytes))
  }

  /// The next step of a person who gave this file where `wanted` was expected; nil for the general one.
  func next(for wanted: Wanted, path: String) -> String? {
    let file = Shell.quoted(path)
    switch (kind, wanted) {
    case (.java, _):
      return "Convert it, then name the new file in signing.pkcs12File: keytool -importkeystore "
        + "-srckeystore \(file) -destkeystore \(Shell.quoted(path + ".p12")) "
        + "-deststoretype PKCS12"
    case (.pkcs12, .key), (.pkcs12, .certificate):
      return "Name it in signing.pkcs12File instead of signing.keyFile and signing.certificateFile."
    case (.key, .pkcs12), (.encryptedKey, .pkcs12), (.certificate, .pkcs12), (.pkcs7, .pkcs12):
      return "Name key and certificate in signing.keyFile and signing.certificateFile, and leave "
        + "signing.pkcs12File empty."
    case (.certificate, .key), (.pkcs7, .key), (.publicKey, _), (.request, .key),
      (.sshPublic, .key):
      return "Give the private key that was made together with the certificate request; it is in "
        + "no file that the authority hands out."
    case (.openSSH, .key):
      return "Copy the file, then convert the copy: ssh-keygen -p -m PKCS8 -f COPY"
    case (.putty, .key):
      return "Convert it, in two steps: puttygen \(file) -O private-openssh-new -o COPY, then "
        + "ssh-keygen -p -m PKCS8 -f COPY"
    case (.request, .certificate):
      return "Send the request to the authority; it returns the certificate."
    case (.key, .certificate), (.encryptedKey, .certificate):
      return "Give the certificate that the authority returned; this file is secret."
    case (.webPage, _):
      return "Download the file itself, not the page about it."
    default: return nil
    }
  }

  private static func byText(_ head: String) -> FileKind? {
    let beginnings: [(String, Kind, String)] = [
      ("PuTTY-User-Key-File", .putty, "is a key of PuTTY"),
      ("---- BEGIN SSH2", .sshPublic, "is a public SSH key"),
      ("ssh-", .sshPublic, "is a public SSH key"),
      ("ecdsa-sha2-", .sshPublic, "is a public SSH key"),
      ("-----BEGIN PGP", .pgp, "is an OpenPGP file"),
      ("<", .webPage, "is a web page or XML"),
      ("%PDF", .document, "is a PDF"),
      ("PK\u{3}\u{4}", .document, "is a ZIP archive or an Office document"),
      ("Rar!", .document, "is a RAR archive"),
      ("MIME-Version", .signedMessage, "is an e-mail message"),
    ]
    return beginnings.first { head.hasPrefix($0.0) }.map { FileKind($0.1, $0.2) }
  }

  private static func byLabel(_ blocks: [PEMBlock]) -> FileKind? {
    let labels = blocks.map(\.label)
    let known: [(String, Kind, String)] = [
      ("OPENSSH PRIVATE KEY", .openSSH, "is a private SSH key in OpenSSH's own form"),
      ("ENCRYPTED PRIVATE KEY", .encryptedKey, "is an encrypted private key"),
      ("PRIVATE KEY", .key, "is a private key"), ("RSA PRIVATE KEY", .key, "is a private key"),
      ("EC PRIVATE KEY", .key, "is a private key"), ("DSA PRIVATE KEY", .key, "is a private key"),
      ("CERTIFICATE REQUEST", .request, "is a certificate request"),
      ("NEW CERTIFICATE REQUEST", .request, "is a certificate request"),
      ("CERTIFICATE", .certificate, "holds certificates and no private key"),
      ("X509 CERTIFICATE", .certificate, "holds certificates and no private key"),
      ("TRUSTED CERTIFICATE", .certificate, "holds certificates and no private key"),
      ("PKCS7", .pkcs7, "is a PKCS#7 file without a private key"),
      ("PUBLIC KEY", .publicKey, "is a public key"),
      ("RSA PUBLIC KEY", .publicKey, "is a public key"),
      ("X509 CRL", .revocationList, "is a certificate revocation list"),
    ]
    if let found = known.first(where: { labels.contains($0.0) }) {
      return FileKind(found.1, found.2)
    }
    return labels.first.map {
      FileKind(.otherPEM, "is a PEM file with “\(TextRules.fitting($0, maximum: 40))”")
    }
  }

  private static func byDER(_ der: Data) -> FileKind? {
    guard der.first == 0x30 else { return nil }
    defer { OpenSSLErrors.clear() }
    if Certificate(der: der) != nil {
      return FileKind(.certificate, "holds certificates and no private key")
    }
    if PKCS7File.certificates(in: der) != nil {
      return FileKind(.pkcs7, "is a PKCS#7 file without a private key")
    }
    let readers: [(FileKind, (OpaquePointer) -> Bool)] = [
      (
        FileKind(.pkcs12, "is a PKCS#12 file (.p12, .pfx)"),
        { freed(d2i_PKCS12_bio($0, nil), PKCS12_free) }
      ),
      (
        FileKind(.revocationList, "is a certificate revocation list"),
        { freed(d2i_X509_CRL_bio($0, nil), X509_CRL_free) }
      ),
      (
        FileKind(.request, "is a certificate request"),
        { freed(d2i_X509_REQ_bio($0, nil), X509_REQ_free) }
      ),
      (FileKind(.publicKey, "is a public key"), { freed(d2i_PUBKEY_bio($0, nil), EVP_PKEY_free) }),
      (
        FileKind(.key, "is a private key"), { freed(d2i_PrivateKey_bio($0, nil), EVP_PKEY_free) }
      ),
      (
        FileKind(.encryptedKey, "is an encrypted private key"),
        { freed(d2i_PKCS8_bio($0, nil), X509_SIG_free) }
      ),
    ]
    return readers.first { reader in
      MemoryBIO.reading(der) { reader.1($0) ? true : nil } == true
    }?.0
  }

  private static func freed(_ pointer: OpaquePointer?, _ free: (OpaquePointer?) -> Void) -> Bool {
    free(pointer)
    return pointer != nil
  }
}

/// Text that a person copies into a shell.
enum Shell {
  /// `word` as one word of a POSIX shell.
  static func quoted(_ word: String) -> String {
    "'" + word.replacing("'", with: "'\\''") + "'"
  }

  /// The command that writes the PKCS#12 file at `path` again with today's ciphers, beside it. It goes
  /// through a private file because two programs that ask for pass phrases cannot share a terminal,
  /// and `options` let it read the old one. Tried word for word with OpenSSL 3.0.
  static func converting(pkcs12 path: String, options: String) -> String {
    let base = path.hasSuffix(".p12") || path.hasSuffix(".pfx") ? String(path.dropLast(4)) : path
    let (old, new) = (quoted(path), quoted("\(base)-new.p12"))
    let between = quoted("\(base)-new.pem")
    return "(umask 077; openssl pkcs12 \(options) -noenc -in \(old) -out \(between) && "
      + "openssl pkcs12 -export -in \(between) -out \(new); rm -f \(between))"
  }

  /// The command that writes the key at `path` again with today's ciphers, beside it.
  static func converting(key path: String) -> String {
    "(umask 077; openssl pkey -provider default -provider legacy -in \(quoted(path)) -aes256 "
      + "-out \(quoted(path + ".new")))"
  }
}
