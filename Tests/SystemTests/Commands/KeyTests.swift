import Foundation
import Testing

@Suite(.serialized) struct KeyTests {
  private static let passphrase = "bí mật 123"

  /// An office with its key once more, protected: as PEM and as PKCS#12.
  private static let shared = Task {
    let office = try await Office()
    let (key, certificate) = ("\(office.node.path)/unit.key", "\(office.node.path)/unit.crt")
    _ = try office.write(passphrase + "\n", as: "right")
    _ = try office.write("sai\n", as: "wrong")
    _ = try office.write(passphrase + "\n", as: "exposed", mode: 0o644)
    try await Command.require(
      "/usr/bin/openssl",
      [
        "pkcs8", "-topk8", "-in", key, "-passout", "pass:\(passphrase)", "-out",
        "\(office.folder)/key.pem",
      ])
    try await Command.require(
      "/usr/bin/openssl",
      [
        "pkcs12", "-export", "-inkey", key, "-in", certificate, "-passout", "pass:\(passphrase)",
        "-out", "\(office.folder)/unit.p12",
      ])
    try await Command.require(
      "/usr/bin/openssl",
      [
        "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-out", "\(office.folder)/other.key",
      ])
    return office
  }

  private enum Form: String, CaseIterable {
    case pem = "CONGVAN_SIGNING_KEY_FILE=key.pem"
    case pkcs12 = "CONGVAN_SIGNING_PKCS12_FILE=unit.p12"
  }

  private func environment(_ form: Form, passphraseFile: String?) async throws
    -> [String: String]
  {
    let folder = try await Self.shared.value.folder
    let parts = form.rawValue.split(separator: "=").map(String.init)
    var variables = [parts[0]: "\(folder)/\(parts[1])"]
    variables["CONGVAN_SIGNING_PASSPHRASE_FILE"] = passphraseFile.map { "\(folder)/\($0)" }
    return variables
  }

  @Test(arguments: Form.allCases)
  private func theRightPassphraseSigns(_ form: Form) async throws {
    let office = try await Self.shared.value
    var variables = try await environment(form, passphraseFile: "right")
    let fromFile = try await office.send(environment: variables)
    #expect(fromFile.status == 0, "\(fromFile)")
    // From the environment itself, for service managers that keep secrets there.
    variables["CONGVAN_SIGNING_PASSPHRASE_FILE"] = nil
    variables["CONGVAN_SIGNING_PASSPHRASE"] = Self.passphrase
    let direct = try await office.send(environment: variables)
    #expect(direct.status == 0, "\(direct)")
    let id = direct.output.trimmingCharacters(in: .whitespacesAndNewlines)
    let shown = try Shape.object(try await office.node.require("show", id, "--json"))
    #expect((shown["signature"] as? String)?.hasPrefix("hợp lệ") == true)
  }

  @Test(arguments: [
    ("wrong", "KEY-PASSPHRASE"), (nil, "KEY-PASSPHRASE"),
    ("exposed", "CONFIG-SECRET-EXPOSED"), ("nowhere", "CONFIG-SECRET-UNREADABLE"),
  ])
  func anyOtherIsRefusedAndNothingIsSent(_ file: String?, code: String) async throws {
    let office = try await Self.shared.value
    let before = try await office.countDocuments()
    for form in Form.allCases {
      let variables = try await environment(form, passphraseFile: file)
      let result = try await office.send(environment: variables)
      #expect(result.failure == code, "\(form): \(result)")
      #expect(!result.errors.contains(Self.passphrase))
    }
    #expect(try await office.countDocuments() == before)
  }

  @Test func aKeyOfAnotherCertificateIsRefused() async throws {
    let office = try await Self.shared.value
    let before = try await office.countDocuments()
    let result = try await office.send(
      environment: ["CONGVAN_SIGNING_KEY_FILE": "\(office.folder)/other.key"])
    #expect(result.failure == "KEY-CERTIFICATE-MISMATCH", "\(result)")
    #expect(try await office.countDocuments() == before)
  }

  @Test(arguments: [
    ("CONGVAN_SIGNING_KEY_FILE", "right", "KEY-UNREADABLE"),
    ("CONGVAN_SIGNING_PKCS12_FILE", "right", "KEY-UNREADABLE"),
    ("CONGVAN_SIGNING_KEY_FILE", "nowhere", "KEY-UNREADABLE"),
    ("CONGVAN_SIGNING_CERTIFICATE_FILE", "right", "CERTIFICATE-UNREADABLE"),
    ("CONGVAN_TRUST_ANCHORS_FILE", "right", "TRUST-UNREADABLE"),
    ("CONGVAN_TRUST_CRL_FILE", "right", "CRL-UNREADABLE"),
  ])
  func filesThatAreSomethingElseAreNamed(_ variable: String, file: String, code: String)
    async throws
  {
    let office = try await Self.shared.value
    let before = try await office.countDocuments()
    let result = try await office.send(environment: [variable: "\(office.folder)/\(file)"])
    #expect(result.failure == code, "\(result)")
    #expect(result.errors.contains("\(office.folder)/\(file)"))
    #expect(try await office.countDocuments() == before)
  }
}
