import Foundation
import Glibc
import Testing

/// What is given to `verify` in place of an export: what it is is said, and nothing else is claimed.
@Suite struct VerifyKindsTests {
  private static let doNotUse = "Do not use this copy"

  /// An office with one exported document.
  private static func export() async throws -> (Office, folder: String, ca: String) {
    let office = try await Office()
    let id = try await office.node.send(try Samples.pdf(), to: "CDCS-MAY")
    let out = "\(office.folder)/xuất"
    try await office.node.require("export", id, "--out", out)
    return (office, out, "\(office.folder)/ca/ca.pem")
  }

  private static func verify(_ path: String, _ more: String...) async throws -> CommandResult {
    try await Command.run(Places.congvan, ["verify", path] + more)
  }

  @Test func aWrongCertificateAuthorityIsNoAlteration() async throws {
    let (office, out, _) = try await Self.export()
    try await Command.require("\(Places.deploy)/ca", ["init", "\(office.folder)/other"])
    let result = try await Self.verify(out, "--ca", "\(office.folder)/other/ca.pem")
    #expect(
      result.failure == "VERIFY-FAILED" && result.errors.contains("next: Check --ca"), "\(result)")
    #expect(!result.errors.contains(Self.doNotUse))
  }

  @Test func whatWasAlteredMustNotBeUsed() async throws {
    let (_, out, ca) = try await Self.export()
    let file = "\(out)/files/Quyết định.pdf"
    try Data((Command.text(file) + "x").utf8).write(to: URL(filePath: file))
    let result = try await Self.verify(out, "--ca", ca)
    #expect(result.errors.contains("error[VERIFY-FAILED]") && result.errors.contains(Self.doNotUse))
    unlink(file)
    let missing = try await Self.verify(out, "--ca", ca)
    #expect(
      missing.errors.contains("is missing") && !missing.errors.contains(Self.doNotUse), "\(missing)"
    )
  }

  @Test(arguments: ["PEM", "base64", "base64 without line feeds"])
  func aTextFormIsRead(_ form: String) async throws {
    let (office, out, ca) = try await Self.export()
    let manifest = "\(out)/manifest.p7m"
    let bytes = try Data(contentsOf: URL(filePath: manifest))
    let options: Data.Base64EncodingOptions =
      form.hasSuffix("feeds") ? [] : [.lineLength64Characters, .endLineWithLineFeed]
    var text = bytes.base64EncodedString(options: options)
    if form == "PEM" { text = "-----BEGIN PKCS7-----\n\(text)\n-----END PKCS7-----\n" }
    try Data(text.utf8).write(to: URL(filePath: manifest))
    let result = try await Self.verify(out, "--ca", ca)
    #expect(result.status == 0, "\(result)")
    _ = office
  }

  @Test func whatItIsIsSaid() async throws {
    let (office, out, ca) = try await Self.export()
    let detached = "\(office.folder)/a.p7s"
    try await Command.require(
      "/usr/bin/openssl",
      [
        "cms", "-sign", "-binary", "-in", "\(out)/manifest.json", "-signer",
        "\(office.node.path)/unit.crt", "-inkey", "\(office.node.path)/unit.key", "-outform", "DER",
        "-out", detached,
      ])
    let list = "\(office.folder)/a.p7b"
    try await Command.require(
      "/usr/bin/openssl",
      ["crl2pkcs7", "-nocrl", "-certfile", ca, "-outform", "DER", "-out", list])
    let cases = [
      (try office.write("%PDF-1.7 đã ký", as: "a.pdf"), "is a PDF"), (detached, ".p7s"),
      (list, ".p7b"), ("\(out)/manifest.json", "looks like JSON"), (ca, "is a certificate"),
      (try office.write("PK\u{3}\u{4}", as: "a.docx"), "ZIP"),
      (try office.write("", as: "e"), "is empty"),
      (try office.write("<a/>", as: "a.xml"), "XML"),
      (try office.write("abc", as: "t"), "not recognised"),
      (try office.write("MIME-Version: 1.0", as: "a.eml"), "S/MIME"),
      (office.node.path, "has no manifest.p7m"),
    ]
    for (path, words) in cases {
      let result = try await Self.verify(path, "--ca", ca)
      #expect(
        result.failure == "NOT-AN-EXPORT" && result.errors.contains(words), "\(path): \(result)")
      #expect(!result.errors.contains(Self.doNotUse))
    }
    let nowhere = try await Self.verify("\(out)/nowhere", "--ca", ca)
    #expect(nowhere.failure == "ATTACHMENT-NOT-FOUND", "\(nowhere)")
  }

  @Test func withoutAnchorsTheWayOutIsNamed() async throws {
    let (_, out, _) = try await Self.export()
    let result = try await Self.verify(out)
    #expect(
      result.failure == "CONFIG-NO-FOLDER" && result.errors.contains("--ca FILE"), "\(result)")
    let wrong = try await Self.verify(out, "--ca", "\(out)/nowhere.pem")
    #expect(wrong.status == 1 && wrong.errors.contains("nowhere.pem"), "\(wrong)")
  }
}
