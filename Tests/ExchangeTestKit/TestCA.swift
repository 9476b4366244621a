package import ExchangeCore
import Foundation
import Synchronization

/// A certification authority for tests, made with the `openssl` program in a folder of its own.
///
/// Slow (a process per step): keep one per suite in a `static let`. Safe to use from several tests
/// at once; every certificate gets its own file names.
package final class TestCA: Sendable {
  /// Keys that tests ask for; the weak ones are for refusals.
  package enum Key: String, Sendable, CaseIterable {
    case rsa2048 = "rsa:2048"
    case p256 = "ec:P-256"
    case p384 = "ec:P-384"
    case weakRSA = "rsa:1024"
    case weakEC = "ec:P-224"
  }

  /// A key with its certificate, as paths of PEM files that live as long as this value.
  package struct Identity: Sendable {
    /// Owns the files.
    private let authority: TestCA
    /// The private key, plain PEM PKCS#8.
    package let keyPath: String
    /// The certificate alone.
    package let certificatePath: String
    /// The certificate, then the intermediates up to, but not including, the root.
    package let chainPath: String
    /// PEM of the certificate.
    package let certificatePEM: String
    /// The intermediates alone, nil when there are none.
    package let intermediatesPath: String?

    fileprivate init(
      authority: TestCA, keyPath: String, certificatePath: String, chainPath: String,
      certificatePEM: String, intermediatesPath: String?
    ) {
      self.authority = authority
      self.keyPath = keyPath
      self.certificatePath = certificatePath
      self.chainPath = chainPath
      self.certificatePEM = certificatePEM
      self.intermediatesPath = intermediatesPath
    }
  }

  /// Long enough for every test that does not care.
  package static let from = Timestamp(microseconds: 1_704_067_200_000_000)  // 2024-01-01
  /// See `from`.
  package static let to = Timestamp(microseconds: 2_208_988_800_000_000)  // 2040-01-01

  let folder: TemporaryFolder
  /// Nil for a root.
  let parent: TestCA?
  /// `openssl ca` keeps its database in files: one call at a time, and numbers for file names.
  let counter = Mutex(0)

  /// The certificate of this authority (PEM).
  package let certificatePath: String
  /// The root that this authority leads to (PEM): the trust anchor.
  package var rootPath: String { parent?.rootPath ?? certificatePath }

  /// Makes a root.
  package convenience init(
    name: String = "Test Root", key: Key = .rsa2048, from: Timestamp = TestCA.from,
    to: Timestamp = TestCA.to
  ) throws {
    try self.init(name: name, key: key, from: from, to: to, parent: nil)
  }

  /// Makes an authority below this one.
  package func intermediate(
    name: String = "Test Intermediate", key: Key = .rsa2048, from: Timestamp = TestCA.from,
    to: Timestamp = TestCA.to
  ) throws -> TestCA {
    try TestCA(name: name, key: key, from: from, to: to, parent: self)
  }

  private init(name: String, key: Key, from: Timestamp, to: Timestamp, parent: TestCA?) throws {
    self.parent = parent
    folder = try TemporaryFolder()
    certificatePath = folder.path("ca.crt")
    try folder.write(Data(Self.configuration.utf8), as: "ca.cnf")
    try folder.write(Data(), as: "index.txt")
    // Serial numbers differ between authorities of the same name. An even number of digits.
    let serial = Int.random(in: 10_000_000...99_999_999)
    try folder.write(Data("\(serial)00\n".utf8), as: "serial")
    try folder.write(Data("01\n".utf8), as: "crlnumber")
    try Self.makeKey(key, at: folder.path("ca.key"))
    try request(subject: "/O=Test Federation/CN=\(name)", key: "ca.key", as: "ca.csr")
    if let parent {
      try parent.sign(
        folder.path("ca.csr"), to: certificatePath, extensions: "authority", from: from, to: to)
    } else {
      try sign(
        folder.path("ca.csr"), to: certificatePath, extensions: "authority", from: from, to: to,
        more: ["-selfsign"])
    }
  }

  /// Issues a certificate for a unit. `extensions` names a section of the configuration: `signer`,
  /// `server` (TLS only) or `encipherment` (no signatures). `more` are options of `openssl ca`.
  package func issue(
    _ unit: String, name: String = "Công đoàn thử nghiệm", key: Key = .rsa2048,
    from: Timestamp = TestCA.from, to: Timestamp = TestCA.to, extensions: String = "signer",
    more: [String] = []
  ) throws -> Identity {
    let number = nextNumber()
    let keyName = "\(number).key"
    try Self.makeKey(key, at: folder.path(keyName))
    try request(subject: "/O=\(name)/CN=\(unit)", key: keyName, as: "\(number).csr")
    return try issue(
      request: folder.path("\(number).csr"), keyPath: folder.path(keyName), from: from, to: to,
      extensions: extensions, more: more)
  }

  /// Issues a certificate for the request in a file, whose key is in another.
  package func issue(
    request: String, keyPath: String, from: Timestamp = TestCA.from, to: Timestamp = TestCA.to,
    extensions: String = "signer", more: [String] = []
  ) throws -> Identity {
    let number = nextNumber()
    let path = folder.path("\(number).crt")
    try sign(request, to: path, extensions: extensions, from: from, to: to, more: more)
    let pem = try String(contentsOfFile: path, encoding: .utf8)
    let intermediates = try intermediatesPEM()
    return Identity(
      authority: self, keyPath: keyPath, certificatePath: path,
      chainPath: try folder.write(Data((pem + intermediates).utf8), as: "\(number).chain"),
      certificatePEM: pem,
      intermediatesPath: intermediates.isEmpty
        ? nil : try folder.write(Data(intermediates.utf8), as: "\(number).above"))
  }

  /// This authority and those above, without the root.
  private func intermediatesPEM() throws -> String {
    guard let parent else { return "" }
    return try String(contentsOfFile: certificatePath, encoding: .utf8) + parent.intermediatesPEM()
  }

  func nextNumber() -> Int {
    counter.withLock { count in
      count += 1
      return count
    }
  }

  private static func makeKey(_ key: Key, at path: String) throws {
    let parts = key.rawValue.split(separator: ":")
    let option =
      parts[0] == "rsa" ? "rsa_keygen_bits:\(parts[1])" : "ec_paramgen_curve:\(parts[1])"
    try OpenSSLCommand.require([
      "genpkey", "-quiet", "-algorithm", parts[0].uppercased(), "-pkeyopt", option, "-out", path,
    ])
  }

  private func request(subject: String, key: String, as name: String) throws {
    try OpenSSLCommand.require([
      "req", "-new", "-utf8", "-config", folder.path("ca.cnf"), "-key", folder.path(key), "-subj",
      subject, "-out", folder.path(name),
    ])
  }

  private func sign(
    _ request: String, to path: String, extensions: String, from: Timestamp, to end: Timestamp,
    more: [String] = []
  ) throws {
    try counter.withLock { _ in
      _ = try OpenSSLCommand.require(
        [
          "ca", "-batch", "-notext", "-utf8", "-config", "ca.cnf", "-extensions", extensions,
          "-startdate", Self.time(from), "-enddate", Self.time(end), "-in", request, "-out", path,
        ] + more, in: folder.url)
    }
  }

  /// `yyyyMMddHHmmssZ`, as `openssl ca` reads it.
  static func time(_ time: Timestamp) -> String {
    let digits = time.iso8601.prefix(19).filter(\.isNumber)
    return "\(digits)Z"
  }

  private static let configuration = """
    [ca]
    default_ca = test
    [test]
    database = index.txt
    serial = serial
    crlnumber = crlnumber
    new_certs_dir = .
    certificate = ca.crt
    private_key = ca.key
    default_md = sha256
    default_crl_days = 3650
    policy = any
    unique_subject = no
    string_mask = utf8only
    [any]
    organizationName = optional
    commonName = supplied
    [req]
    distinguished_name = name
    string_mask = utf8only
    [name]
    [authority]
    basicConstraints = critical, CA:true
    keyUsage = critical, keyCertSign, cRLSign
    subjectKeyIdentifier = hash
    authorityKeyIdentifier = keyid
    [signer]
    basicConstraints = critical, CA:false
    keyUsage = critical, digitalSignature, nonRepudiation
    subjectKeyIdentifier = hash
    authorityKeyIdentifier = keyid
    [server]
    basicConstraints = critical, CA:false
    keyUsage = critical, digitalSignature
    extendedKeyUsage = serverAuth
    [encipherment]
    basicConstraints = critical, CA:false
    keyUsage = critical, keyEncipherment
    """
}
