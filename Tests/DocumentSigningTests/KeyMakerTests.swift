import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct KeyMakerTests {
  @Test(arguments: KeyMaker.KeyType.allCases, [nil, "mật khẩu"])
  func `A new key signs once its request was granted`(
    type: KeyMaker.KeyType, passphrase: String?
  ) throws {
    let world = try World.shared.get()
    let folder = try TemporaryFolder()
    let path = folder.path("unit.key")
    let key = try KeyMaker.generate(type)
    try key.write(to: path, passphrase: passphrase)
    let request = try folder.write(
      key.certificateRequest(unit: World.alphaID, name: "Liên đoàn Lao động"), as: "unit.csr")

    let granted = try world.root.issue(request: request, keyPath: path)
    let loaded = try SigningKey.load(
      key: path, certificate: granted.certificatePath, passphrase: passphrase)
    #expect(loaded.certificate.subject == "CN=LDLD.ALPHA,O=Liên đoàn Lao động")
    let message = try CMSSigner(key: loaded).sign(World.content, at: World.noon)
    let verdict = world.verifier(
      directory: try World.makeDirectory(["LDLD.ALPHA": [granted]])
    ).verify(message, from: World.alphaID, arrivedAt: World.noon)
    #expect(verdict.problem == nil, "\(verdict)")
  }

  @Test func `The key file is private, and encrypted when there is a pass phrase`() throws {
    let folder = try TemporaryFolder()
    let key = try KeyMaker.generate(.p256)
    for (name, passphrase, header) in [
      ("plain", nil, "-----BEGIN PRIVATE KEY-----"),
      ("secret", "x", "-----BEGIN ENCRYPTED PRIVATE KEY-----"),
    ] {
      let path = folder.path(name)
      try key.write(to: path, passphrase: passphrase)
      let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
      #expect(mode as? Int == 0o600)
      #expect(try String(contentsOfFile: path, encoding: .utf8).hasPrefix(header))
    }
    let parameters = try OpenSSLCommand.require([
      "asn1parse", "-in", folder.path("secret"),
    ])
    let text = String(decoding: parameters, as: UTF8.self)
    #expect(text.contains("aes-256-cbc") && text.contains("hmacWithSHA256"))
  }

  @Test func `A key is never overwritten, not even through a link`() throws {
    let folder = try TemporaryFolder()
    let key = try KeyMaker.generate(.p256)
    let old = try folder.write(Data("old".utf8), as: "old.key")
    let link = folder.path("link.key")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "nowhere")
    for path in [old, link] {
      #expect(throws: SigningError(.keyExists, "")) { try key.write(to: path, passphrase: nil) }
    }
    #expect(try String(contentsOfFile: old, encoding: .utf8) == "old")
    #expect(throws: SigningError(.keyNotWritten, "")) {
      try key.write(to: folder.path("missing/unit.key"), passphrase: nil)
    }
    #expect(throws: SigningError(.keyPassphrase, "")) {
      try key.write(to: folder.path("empty.key"), passphrase: "")
    }
  }

  @Test func `The request is signed and its names are UTF-8`() throws {
    let folder = try TemporaryFolder()
    // 15 words, 88 characters, decomposed as some keyboards type it.
    let name =
      "Công đoàn cơ sở Công ty Trách nhiệm hữu hạn Một thành viên Xây dựng và Thương mại Bình Minh"
    let request = try KeyMaker.generate(.p256).certificateRequest(
      unit: World.betaID, name: name.decomposedStringWithCanonicalMapping)
    let path = try folder.write(request, as: "unit.csr")
    let result = try OpenSSLCommand.run([
      "req", "-in", path, "-verify", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb",
    ])
    #expect(result.status == 0)
    let subject = String(decoding: result.output, as: UTF8.self)
    let short = "Công đoàn cơ sở Công ty Trách nhiệm hữu hạn Một thành viên Xây"
    #expect(subject.contains("CN=LDLD.BETA,O=\(short)\n"), "\(subject)")
    let types = try OpenSSLCommand.require(["asn1parse", "-in", path])
    let strings = String(decoding: types, as: UTF8.self).components(separatedBy: "UTF8STRING")
    #expect(strings.count == 3)
  }
}
