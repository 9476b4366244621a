import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Keys and PKCS#12 files as programs write them: read, or refused with the cause and its next step.
@Suite struct KeyFileTests {
  private let world: World
  private let folder: TemporaryFolder

  init() throws {
    world = try World.shared.get()
    folder = try TemporaryFolder()
  }

  private func load(_ key: String, passphrase: String? = nil) throws -> SigningKey {
    try SigningKey.load(
      key: key, certificate: world.alpha.certificatePath, passphrase: passphrase)
  }

  private func openssl(_ arguments: String...) throws { try OpenSSLCommand.require(arguments) }

  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  @Test func `DER is read: PKCS#8, PKCS#1, SEC1, encrypted`() throws {
    let (rsa, ec) = (world.alpha.keyPath, world.beta.keyPath)
    let out = folder.path("key.der")
    try openssl("pkcs8", "-topk8", "-nocrypt", "-in", rsa, "-outform", "DER", "-out", out)
    #expect(try load(out).certificate.keyType == "RSA 2048")
    try openssl("rsa", "-in", rsa, "-traditional", "-outform", "DER", "-out", out)
    #expect(try load(out).certificate.keyType == "RSA 2048")
    try openssl(
      "pkcs8", "-topk8", "-in", rsa, "-outform", "DER", "-passout", "pass:bí mật", "-out", out)
    #expect(try load(out, passphrase: "bí mật").certificate.keyType == "RSA 2048")
    #expect(failure { try load(out, passphrase: "sai") }?.kind == .keyPassphrase)
    #expect(failure { try load(out) }?.kind == .keyPassphrase)
    try openssl("ec", "-in", ec, "-outform", "DER", "-out", out)
    let key = try SigningKey.load(
      key: out, certificate: world.beta.certificatePath, passphrase: nil)
    #expect(key.certificate.keyType == "EC prime256v1")
  }

  @Test func `Text, other blocks, CRLF, a byte order mark and UTF-16 do no harm`() throws {
    let key = String(decoding: try bytes(world.alpha.keyPath), as: UTF8.self)
    let certificate = world.alpha.certificatePEM
    let texts = [
      "Bag Attributes\n    friendlyName: đơn vị\nKey Attributes: <No Attributes>\n" + key,
      certificate + key, key.replacing("\n", with: "\r\n"), "\u{FEFF}" + key,
      key.split(separator: "\n").map { "   " + $0 }.joined(separator: "\n"),
    ]
    for (index, text) in texts.enumerated() {
      let path = try folder.write(Data(text.utf8), as: "key\(index).pem")
      #expect(try load(path).certificate.keyType == "RSA 2048", "\(text)")
    }
    let utf16 = try #require(("\u{FEFF}" + key).data(using: .utf16LittleEndian))
    #expect(try load(try folder.write(utf16, as: "utf16")).certificate.keyType == "RSA 2048")
  }

  @Test func `An EC key with its parameters before it is read`() throws {
    let parameters = try OpenSSLCommand.require(["ecparam", "-name", "prime256v1"])
    let sec1 = try OpenSSLCommand.require(["ec", "-in", world.beta.keyPath])
    let path = try folder.write(parameters + sec1, as: "ec.pem")
    let key = try SigningKey.load(
      key: path, certificate: world.beta.certificatePath, passphrase: nil)
    #expect(key.certificate.keyType == "EC prime256v1")
  }

  @Test func `Of several keys the certificate's is taken`() throws {
    let both = try folder.write(
      try bytes(world.beta.keyPath) + bytes(world.alpha.keyPath), as: "both.pem")
    #expect(try load(both).certificate.subject.hasPrefix("CN=LDLD.ALPHA"))
    let neither = try folder.write(
      try bytes(world.beta.keyPath) + bytes(world.leader.keyPath), as: "neither.pem")
    #expect(failure { try load(neither) }?.kind == .keyCertificateMismatch)
  }

  @Test func `Of a renewed certificate the one in force is taken`() throws {
    let root = try TestCA(key: .p256)
    let request = try root.request(
      "LDLD.BETA", keyOptions: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    let old = try root.issue(
      request: request.request, keyPath: request.key, to: World.noon.advanced(by: .seconds(-1)))
    let new = try root.issue(request: request.request, keyPath: request.key)
    let file = try folder.write(
      Data((old.certificatePEM + new.certificatePEM).utf8), as: "both.crt")
    let key = try SigningKey.load(
      key: request.key, certificate: file, passphrase: nil, now: World.noon)
    #expect(key.certificate.notAfter == TestCA.to)
  }

  /// What the error says, and the beginning of the next step.
  @Test func `Every other file is named, with its own next step`() throws {
    let (key, request) = (world.alpha.keyPath, folder.path("unit.csr"))
    try openssl("req", "-new", "-key", key, "-subj", "/CN=x", "-out", request)
    try openssl("pkey", "-in", key, "-pubout", "-out", folder.path("public.pem"))
    try openssl("pkey", "-in", key, "-pubout", "-outform", "DER", "-out", folder.path("public.der"))
    try openssl(
      "x509", "-in", world.alpha.certificatePath, "-outform", "DER", "-out", folder.path("c.der"))
    let p12 = try world.intermediate.pkcs12(world.alpha, passphrase: "x")
    let text = String(decoding: try bytes(key), as: UTF8.self)
    func file(_ name: String, _ content: String) throws -> String {
      try folder.write(Data(content.utf8), as: name)
    }
    let cases: [(path: String, reason: String, next: String)] = [
      (try file("empty", ""), "is empty", "Check the path"),
      (try file("space", " \n\n"), "nothing but space", "Check the path"),
      (world.alpha.certificatePath, "holds certificates and no private key", "made together with"),
      (folder.path("c.der"), "holds certificates and no private key", "made together with"),
      (request, "is a certificate request", "made together with"),
      (folder.path("public.pem"), "is a public key", "made together with"),
      (folder.path("public.der"), "is a public key", "made together with"),
      (p12, "is a PKCS#12 file", "signing.pkcs12File"),
      (
        try folder.write(Data([0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2]), as: "store.jks"),
        "is a Java keystore", "keytool -importkeystore"
      ),
      (
        try file(
          "ssh", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"),
        "is a private SSH key", "ssh-keygen -p -m PKCS8"
      ),
      (try file("id.ppk", "PuTTY-User-Key-File-3: ssh-rsa\n"), "is a key of PuTTY", "puttygen"),
      (try file("id.pub", "ssh-ed25519 AAAA x@y\n"), "is a public SSH key", "made together with"),
      (try file("pgp", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"), "is an OpenPGP file", "Check"),
      (try file("page.html", "<!DOCTYPE html><html>"), "is a web page", "Download the file itself"),
      (
        try folder.write(
          Data((0..<500).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ 7) }), as: "rubbish"),
        "is not recognised", "Check the path"
      ),
      (try file("cut", String(text.prefix(text.count / 2))), "is cut off", "Copy the file again"),
      (
        try file("damaged", text.replacing("\nMII", with: "\nAAA", maxReplacements: 1)),
        "is damaged",
        "openssl pkey"
      ),
      (folder.path("nowhere"), "does not exist", "Check the path"),
      (folder.url.path, "is a folder", "Name the file itself"),
    ]
    for (path, reason, next) in cases {
      let error = failure { try load(path, passphrase: "x") }
      #expect(error?.kind == .keyUnreadable, "\(path)")
      #expect(error?.reason.contains(reason) == true, "\(path): \(error?.reason ?? "")")
      #expect(error?.hint.contains(next) == true, "\(path): \(error?.hint ?? "")")
    }
    let asPKCS12 = failure { try SigningKey.load(pkcs12: key, passphrase: "x") }
    #expect(asPKCS12?.reason.contains("is a private key") == true)
    #expect(asPKCS12?.hint.contains("signing.keyFile") == true)
    let locked = failure {
      try load(try world.root.encryptedKey(world.alpha, passphrase: "x"))
    }
    #expect(locked?.kind == .keyPassphrase)
    #expect(locked?.hint.contains("signing.passphraseFile") == true)
  }

  @Test(arguments: [
    (["-algorithm", "ED25519"], SigningErrorCode.keyNotAllowed, "ED25519"),
    (["-algorithm", "ED448"], .keyNotAllowed, "ED448"),
    (["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], .keyNotAllowed, "RSASSA-PSS"),
    (
      ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], .keyNotAllowed, "secp256k1"
    ),
    (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-192"], .keyTooWeak, "prime192v1"),
    (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], .keyTooWeak, "1024 bits"),
  ])
  func `Keys outside the profile are named, and weak only when they are`(
    _ options: [String], code: SigningErrorCode, text: String
  ) throws {
    let request = try world.root.request("LDLD.BETA", keyOptions: options)
    let identity = try world.root.issue(request: request.request, keyPath: request.key)
    let error = failure {
      try SigningKey.load(
        key: identity.keyPath, certificate: identity.certificatePath, passphrase: nil)
    }
    #expect(error?.kind == code, "\(String(describing: error))")
    #expect(error?.reason.contains(text) == true, "\(error?.reason ?? "")")
  }

  // MARK: PKCS#12

  private func makePair(_ root: TestCA, _ lines: [String]) throws -> (key: Data, certificate: Data)
  {
    let identity = try root.issue("LDLD.BETA", extensionLines: lines)
    return (try bytes(identity.keyPath), Data(identity.certificatePEM.utf8))
  }

  /// Joins the contents of two PKCS#12 files; OpenSSL's program writes one key only.
  private func twoKeys(_ pairs: [(key: Data, certificate: Data)]) throws -> String {
    let parts = try pairs.enumerated().map { index, pair -> DERTree in
      let key = try folder.write(pair.key, as: "\(index).key")
      let certificate = try folder.write(pair.certificate, as: "\(index).crt")
      let out = folder.path("\(index).p12")
      try openssl(
        "pkcs12", "-export", "-nomac", "-keypbe", "NONE", "-certpbe", "NONE", "-inkey", key, "-in",
        certificate, "-passout", "pass:", "-out", out)
      return try #require(DERTree(try bytes(out)))
    }
    // PFX: version, ContentInfo(data) of an OCTET STRING of SEQUENCE OF ContentInfo.
    let safes = try parts.flatMap { part -> [DERTree] in
      let octets = part.children[1].children[1].children[0]
      return try #require(DERTree(Data(octets.bytes))).children
    }
    var joined = parts[0]
    var sequence = try #require(
      DERTree(Data(joined.children[1].children[1].children[0].bytes)))
    sequence.children = safes
    joined.children[1].children[1].children[0].bytes = Array(sequence.encoded)
    return try folder.write(joined.encoded, as: "two.p12")
  }

  @Test func `Of a p12 with two keys the signing pair is taken, whichever comes first`() throws {
    let root = try TestCA(key: .p256)
    let signing = try makePair(root, ["keyUsage=digitalSignature,nonRepudiation"])
    let encryption = try makePair(root, ["keyUsage=keyEncipherment,dataEncipherment"])
    let wanted = try CertificateInfo.all(inPEM: signing.certificate)[0].sha256
    for pairs in [[signing, encryption], [encryption, signing]] {
      let key = try SigningKey.load(pkcs12: try twoKeys(pairs), passphrase: nil)
      #expect(key.certificate.sha256 == wanted)
    }
    // When none may sign, the verdict lists what each is for.
    let server = try makePair(root, ["extendedKeyUsage=serverAuth"])
    let useless = try SigningKey.load(pkcs12: try twoKeys([encryption, server]), passphrase: nil)
    let verifier = world.verifier(trust: try TrustStore.load(anchors: root.rootPath))
    let error = failure {
      try verifier.examine(CMSSigner(key: useless), of: World.betaID, at: World.noon)
    }
    _ = error
    let listed = try Directory.decode(
      JSONSerialization.data(withJSONObject: [
        "version": 1,
        "units": [
          [
            "organId": "LDLD.BETA", "organName": "B",
            "certificates": [encryption, server].map {
              String(decoding: $0.certificate, as: UTF8.self)
            },
          ]
        ],
      ]), hashing: OpenSSLHashing())
    let told = failure {
      try world.verifier(trust: try TrustStore.load(anchors: root.rootPath), directory: listed)
        .examine(CMSSigner(key: useless), of: World.betaID, at: World.noon)
    }
    #expect(told?.reason.contains("keyEncipherment") == true, "\(told?.reason ?? "")")
    #expect(told?.reason.contains("serverAuth") == true, "\(told?.reason ?? "")")
  }

  /// Runs what the hint says, word for word, on a terminal, and answers each question for a pass phrase.
  private func run(_ hint: String, answers: [String]) throws {
    let start = try #require(hint.firstRange(of: "(umask"))
    let script = try folder.write(Data(Self.terminal.utf8), as: "terminal.py")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments = [script, String(hint[start.lowerBound...])] + answers
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(hint)")
  }

  private static let terminal = """
    import os, pty, re, sys
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv('/bin/sh', ['sh', '-c', sys.argv[1]])
    answers, seen = sys.argv[2:], b''
    while True:
        try:
            part = os.read(terminal, 1024)
        except OSError:
            break
        if not part:
            break
        seen += part
        if re.search(rb'(?i)(password|pass phrase)[^\\n]*: ?$', seen):
            os.write(terminal, (answers.pop(0) if answers else '').encode() + b'\\n')
            seen = b''
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """

  private func mode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  /// Windows exported so for years; OpenSSL 3 reads it only with its legacy provider.
  @Test func `The hint for a p12 with forgotten ciphers makes one that is read`() throws {
    let path = folder.path("cũ 'của' A.p12")
    try openssl(
      "pkcs12", "-export", "-legacy", "-inkey", world.beta.keyPath, "-in",
      world.beta.certificatePath, "-passout", "pass:mật khẩu", "-out", path)
    let error = failure { try SigningKey.load(pkcs12: path, passphrase: "mật khẩu") }
    #expect(error?.kind == .keyUnreadable)
    #expect(error?.reason.contains("legacy provider") == true)
    #expect(
      failure { try SigningKey.load(pkcs12: path, passphrase: "sai") }?.kind == .keyPassphrase)
    try run(error?.hint ?? "", answers: ["mật khẩu", "mới 1", "mới 1"])
    let new = folder.path("cũ 'của' A-new.p12")
    #expect(
      try SigningKey.load(pkcs12: new, passphrase: "mới 1").certificate.keyType == "EC prime256v1")
    #expect(try mode(new) == 0o600)
    #expect(!FileManager.default.fileExists(atPath: folder.path("cũ 'của' A-new.pem")))
  }

  @Test(arguments: ["PBE-SHA1-RC2-40", "PBE-MD5-DES", "traditional"])
  func `The hint for a key with forgotten ciphers makes one that is read`(cipher: String) throws {
    let path = folder.path("old.key")
    let legacy = ["-provider", "default", "-provider", "legacy"]
    try OpenSSLCommand.require(
      (cipher == "traditional"
        ? ["rsa", "-traditional", "-des"] : ["pkcs8", "-topk8", "-v1", cipher]) + legacy
        + ["-in", world.alpha.keyPath, "-passout", "pass:cũ", "-out", path])
    let error = failure { try load(path, passphrase: "cũ") }
    #expect(error?.kind == .keyUnreadable, "\(String(describing: error))")
    try run(error?.hint ?? "", answers: ["cũ", "mới 12", "mới 12"])
    #expect(try load(path + ".new", passphrase: "mới 12").certificate.keyType == "RSA 2048")
    #expect(try mode(path + ".new") == 0o600)
  }

  /// OpenSSL 3.4 and later write it on request, and 3.0 calls every pass phrase wrong.
  @Test func `A p12 with PBMAC1 is read, or told from a wrong pass phrase`() throws {
    let plain = folder.path("plain.p12")
    try openssl(
      "pkcs12", "-export", "-nomac", "-inkey", world.beta.keyPath, "-in",
      world.beta.certificatePath, "-passout", "pass:x1", "-out", plain)
    let path = folder.path("new.p12")
    let script = try folder.write(Data(Self.pbmac1.utf8), as: "pbmac1.py")
    try Command.run(["python3", script, plain, path, "x1"])
    let version = String(decoding: try OpenSSLCommand.require(["version"]), as: UTF8.self)
    guard
      ["OpenSSL 3.0.", "OpenSSL 3.1.", "OpenSSL 3.2.", "OpenSSL 3.3."].contains(
        where: version.hasPrefix)
    else {
      #expect(
        try SigningKey.load(pkcs12: path, passphrase: "x1").certificate.keyType == "EC prime256v1")
      return
    }
    let error = failure { try SigningKey.load(pkcs12: path, passphrase: "x1") }
    #expect(error?.kind == .keyUnreadable)
    #expect(error?.reason.contains("PBMAC1") == true)
    try run(error?.hint ?? "", answers: ["x1", "y123", "y123"])
    let new = folder.path("new-new.p12")
    #expect(
      try SigningKey.load(pkcs12: new, passphrase: "y123").certificate.keyType == "EC prime256v1")
  }

  /// Puts a MacData of RFC 9579 behind a PKCS#12 file without one.
  private static let pbmac1 = """
    import hashlib, hmac, sys
    source, target, passphrase = sys.argv[1:4]
    def tlv(tag, value):
        size = len(value)
        if size < 128:
            return bytes([tag, size]) + value
        length = size.to_bytes((size.bit_length() + 7) // 8, 'big')
        return bytes([tag, 0x80 | len(length)]) + length + value
    def read(data, at=0):
        size, at = data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7f
            size, at = int.from_bytes(data[at:at + count], 'big'), at + count
        return data[at:at + size], at + size
    body, _ = read(open(source, 'rb').read())
    _, after_version = read(body)
    safe, _ = read(body, after_version)
    _, after_type = read(safe)
    content, _ = read(read(safe, after_type)[0])
    def seq(*parts): return tlv(0x30, b''.join(parts))
    def integer(number): return tlv(2, number.to_bytes((number.bit_length() + 8) // 8, 'big'))
    def oid(text): return tlv(6, bytes.fromhex(text))
    salt, rounds = b'0123456789abcdef', 2048
    prf = seq(oid('2a864886f70d0209'), b'\\x05\\x00')
    kdf = seq(oid('2a864886f70d01050c'), seq(tlv(4, salt), integer(rounds), integer(32), prf))
    algorithm = seq(oid('2a864886f70d01050e'), seq(kdf, prf))
    key = hashlib.pbkdf2_hmac('sha256', passphrase.encode(), salt, rounds, 32)
    mac = hmac.new(key, content, 'sha256').digest()
    data = seq(seq(algorithm, tlv(4, mac)), tlv(4, b'NOT USED'), integer(1))
    open(target, 'wb').write(tlv(0x30, body + data))
    """
}
