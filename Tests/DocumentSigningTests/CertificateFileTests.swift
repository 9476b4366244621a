import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Certificates as authorities, Windows and mail programs hand them out.
@Suite struct CertificateFileTests {
  private let world: World
  private let folder: TemporaryFolder

  init() throws {
    world = try World.shared.get()
    folder = try TemporaryFolder()
  }

  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  /// alpha's certificate and its issuers in each form.
  private func forms() throws -> [String: String] {
    let pem = try bytes(world.alpha.chainPath)
    let text = String(decoding: pem, as: UTF8.self)
    var paths = ["pem": world.alpha.chainPath]
    func openssl(_ name: String, _ arguments: [String]) throws {
      paths[name] = folder.path(name)
      try OpenSSLCommand.require(arguments + ["-out", folder.path(name)])
    }
    let root = ["-certfile", world.root.rootPath, "-certfile", world.alpha.chainPath]
    try openssl("p7b-pem", ["crl2pkcs7", "-nocrl"] + root)
    try openssl("p7b-der", ["crl2pkcs7", "-nocrl", "-outform", "DER"] + root)
    paths["p7b-bare"] = try folder.write(
      try bytes(folder.path("p7b-der")).base64EncodedData(options: [.lineLength64Characters]),
      as: "p7b-bare")
    paths["p7b-as-certificate"] = try folder.write(
      Data(
        String(decoding: try bytes(folder.path("p7b-pem")), as: UTF8.self)
          .replacing("PKCS7", with: "CERTIFICATE").utf8), as: "p7b-as-certificate")
    paths["crlf"] = try folder.write(Data(text.replacing("\n", with: "\r\n").utf8), as: "crlf")
    paths["bom"] = try folder.write(Data(("\u{FEFF}" + text).utf8), as: "bom")
    paths["utf16"] = try folder.write(
      try #require(("\u{FEFF}" + text).data(using: .utf16BigEndian)), as: "utf16")
    paths["text"] = try folder.write(
      Data(("Bag Attributes\n  friendlyName: x\nsubject=CN = x\n" + text).utf8), as: "text")
    paths["one line"] = try folder.write(
      Data(text.replacing("\n", with: " ").utf8), as: "one-line")
    paths["trusted"] = try folder.write(
      try OpenSSLCommand.require([
        "x509", "-in", world.alpha.certificatePath, "-trustout", "-addtrust", "clientAuth",
      ]) + bytes(world.intermediate.certificatePath), as: "trusted")
    return paths
  }

  @Test func `A chain is read in every form`() throws {
    for (form, path) in try forms() {
      let key = try SigningKey.load(
        key: world.alpha.keyPath, certificate: path, passphrase: nil)
      #expect(key.certificate.subject.hasPrefix("CN=LDLD.ALPHA"), "\(form)")
      #expect(key.intermediates.count == 1, "\(form)")
    }
  }

  @Test func `One in DER is read as certificate and as anchor`() throws {
    let (unit, root) = (folder.path("unit.cer"), folder.path("root.cer"))
    for (path, out) in [(world.beta.certificatePath, unit), (world.root.rootPath, root)] {
      try OpenSSLCommand.require(["x509", "-in", path, "-outform", "DER", "-out", out])
    }
    let key = try SigningKey.load(key: world.beta.keyPath, certificate: unit, passphrase: nil)
    let verifier = world.verifier(trust: try TrustStore.load(anchors: root))
    let message = try CMSSigner(key: key).sign(World.content, at: World.noon)
    #expect(
      verifier.verify(message, from: World.betaID, arrivedAt: World.noon).problem == nil)
    for (form, path) in try forms() where form.hasPrefix("p7b") {
      let trust = try TrustStore.load(anchors: path)
      #expect(trust.anchors.contains { $0.subject.contains("Test Root") }, "\(form)")
    }
  }

  @Test func `Revocation lists are read in every form`() throws {
    let pem = try world.root.revocationList()
    let text = String(decoding: try bytes(pem), as: UTF8.self)
    let (der, p7b) = (folder.path("list.der"), folder.path("list.p7b"))
    try OpenSSLCommand.require(["crl", "-in", pem, "-outform", "DER", "-out", der])
    try OpenSSLCommand.require(["crl2pkcs7", "-in", pem, "-outform", "DER", "-out", p7b])
    let paths = [
      pem, der, p7b,
      try folder.write(
        Data(("\u{FEFF}issuer=x\r\n" + text.replacing("\n", with: "\r\n")).utf8), as: "list.txt"),
    ]
    for path in paths {
      let trust = try TrustStore.load(anchors: world.root.rootPath, revocationLists: path)
      #expect(trust.revocationLists.count == 1, "\(path)")
    }
  }

  @Test func `Every other file is named, with its own next step`() throws {
    let text = world.alpha.certificatePEM
    let request = folder.path("unit.csr")
    try OpenSSLCommand.require([
      "req", "-new", "-key", world.alpha.keyPath, "-subj", "/CN=x", "-out", request,
    ])
    func file(_ name: String, _ content: String) throws -> String {
      try folder.write(Data(content.utf8), as: name)
    }
    let cases: [(path: String, reason: String, next: String)] = [
      (try file("empty", ""), "is empty", "PEM, DER (.cer) or PKCS#7"),
      (world.alpha.keyPath, "is a private key", "this file is secret"),
      (request, "is a certificate request", "Send the request to the authority"),
      (
        try world.root.pkcs12(world.alpha, passphrase: "x"), "is a PKCS#12 file",
        "signing.pkcs12File"
      ),
      (try world.root.revocationList(), "is a certificate revocation list", "PEM, DER"),
      (try file("page", "<html>đăng nhập</html>"), "is a web page", "Download the file itself"),
      (try file("cut", String(text.prefix(text.count / 2))), "is cut off", "Copy the file again"),
      (
        try file("damaged", text.replacing("\nMII", with: "\nAAA", maxReplacements: 1)),
        "is damaged", "Copy the file again"
      ),
      (try file("words", "chứng thư"), "is not recognised", "PEM, DER"),
    ]
    for (path, reason, next) in cases {
      let error = failure {
        try SigningKey.load(key: world.alpha.keyPath, certificate: path, passphrase: nil)
      }
      #expect(error?.kind == .certificateUnreadable, "\(path)")
      #expect(error?.reason.contains(reason) == true, "\(path): \(error?.reason ?? "")")
      #expect(error?.hint.contains(next) == true, "\(path): \(error?.hint ?? "")")
      #expect(failure { try TrustStore.load(anchors: path) }?.kind == .trustUnreadable)
    }
  }
}
