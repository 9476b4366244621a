import Foundation
import Testing

/// The own certificate, those of others and the files around them, as the commands judge them.
@Suite(.serialized) struct CertificateTests {
  private static let shared = Task { try await Office() }

  private func issue(
    _ office: Office, _ name: String, _ extensions: String, digest: String = "sha256",
    authority: String = "ca", days: Int = 365
  ) async throws -> String {
    let path = "\(office.folder)/\(name).crt"
    let file = try office.write(extensions + "\n", as: "\(name).ext")
    let from = days < 0 ? days * 2 : 0
    try await Command.require(
      "/bin/sh",
      [
        "-c",
        """
        cd \(office.folder)/\(authority) && openssl ca -batch -notext -preserveDN \
        -config openssl.cnf -md \(digest) -extfile \(file) -in \(office.node.path)/unit.csr \
        -startdate $(date -u -d '\(from) days' +%Y%m%d%H%M%SZ) \
        -enddate $(date -u -d '\(days) days' +%Y%m%d%H%M%SZ) -out \(path)
        """,
      ], environment: ["CA_DIR": "\(office.folder)/\(authority)", "CA_HOST": "none"])
    return path
  }

  /// A directory file that lists the certificates at `paths` for the office; its path.
  private func directory(
    _ office: Office, _ paths: [String], others: [[String: Any]] = []
  ) throws -> String {
    let own: [String: Any] = [
      "organId": office.node.unit, "organName": "Liên đoàn Lao động tỉnh",
      "certificates": paths.map(Command.text),
    ]
    let other: [String: Any] = ["organId": "CDCS-MAY", "organName": "Công đoàn cơ sở May"]
    let json = try JSONSerialization.data(withJSONObject: [
      "version": 1, "units": [own] + (others.isEmpty ? [other] : others),
    ])
    let path = "\(office.folder)/\(UUID().uuidString).json"
    try json.write(to: URL(filePath: path))
    return path
  }

  private struct Case: Sendable {
    let name: String
    var extensions = "extendedKeyUsage=emailProtection"
    var digest = "sha256"
    var days = 365
    /// Nil when it is in order.
    var code: String?
    var text = ""
  }

  @Test(arguments: [
    Case(name: "mail"),
    Case(
      name: "vnpt",
      extensions: """
        keyUsage=digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment
        extendedKeyUsage=clientAuth,1.3.6.1.4.1.311.10.3.12
        """),
    Case(name: "document", extensions: "extendedKeyUsage=1.3.6.1.5.5.7.3.36"),
    Case(
      name: "encryption", extensions: "keyUsage=keyEncipherment", code: "CERTIFICATE-NOT-BELIEVED",
      text: "neither digitalSignature nor nonRepudiation"),
    Case(
      name: "login", extensions: "extendedKeyUsage=clientAuth", code: "CERTIFICATE-NOT-BELIEVED",
      text: "clientAuth only"),
    Case(name: "sha1", digest: "sha1", code: "CERTIFICATE-NOT-BELIEVED", text: "SHA-256"),
    Case(name: "over", days: -1, code: "CERTIFICATE-NOT-VALID", text: "is valid from"),
    Case(name: "soon", days: 20, text: "ends on"),
  ])
  private func theOwnCertificateIsJudgedBeforeAnythingIsSent(_ wanted: Case) async throws {
    let office = try await Self.shared.value
    let certificate = try await issue(
      office, wanted.name, wanted.extensions, digest: wanted.digest, days: wanted.days)
    try await review(
      office, certificate, code: wanted.code, text: wanted.text,
      listed: try directory(office, [certificate]))
  }

  private func review(
    _ office: Office, _ certificate: String, code: String?, text: String, listed: String,
    more: [String: String] = [:]
  ) async throws {
    let environment = [
      "CONGVAN_SIGNING_CERTIFICATE_FILE": certificate, "CONGVAN_DIRECTORY_FILE": listed,
    ].merging(more) { $1 }
    let check = try await office.node.congvan(
      ["config", "check", "--offline"], environment: environment)
    #expect(check.status == (code == nil ? 0 : 1), "\(check)")
    #expect(
      check.output.contains(code.map { "FAIL  signing key: [\($0)]" } ?? "ok    signing key: "),
      "\(check)")
    #expect(text.isEmpty || check.output.contains(text), "\(check)")
    let before = try await office.countDocuments()
    let sent = try await office.send(environment: environment)
    #expect(sent.failure == code || sent.status == 0, "\(sent)")
    #expect(try await office.countDocuments() == before + (code == nil ? 1 : 0))
    let resend = try await office.node.congvan(
      ["recall", "01976f3e", "--reason", "x"], environment: environment)
    #expect(resend.failure == (code ?? "NOT-FOUND"), "\(resend)")
  }

  @Test func revokedUnlistedOrWithoutItsIntermediate() async throws {
    let office = try await Self.shared.value
    let certificate = try await issue(office, "revoked", "extendedKeyUsage=emailProtection")
    let ca = "\(Places.deploy)/ca"
    try await Command.require(ca, ["revoke", "\(office.folder)/ca", certificate])
    let list = "\(office.folder)/list.crl"
    try await Command.require(ca, ["crl", "\(office.folder)/ca", "--out", list])
    try await review(
      office, certificate, code: "CERTIFICATE-NOT-BELIEVED", text: "is revoked since",
      listed: try directory(office, [certificate]), more: ["CONGVAN_TRUST_CRL_FILE": list])
    try await review(
      office, certificate, code: "UNIT-NOT-IN-DIRECTORY", text: "does not list it",
      listed: try directory(office, []))

    let sub = "\(office.folder)/sub"
    try await Command.require(ca, ["init", sub, "--name", "CA cấp dưới"])
    try await Command.require(
      "/bin/sh",
      [
        "-c",
        """
        cd \(office.folder) && openssl req -new -key sub/ca.key -subj '/CN=CA sub' -out sub.csr && \
        printf 'basicConstraints=critical,CA:true\\nkeyUsage=keyCertSign,cRLSign\\n' >sub.ext && \
        openssl x509 -req -in sub.csr -CA ca/ca.pem -CAkey ca/ca.key -set_serial 99 -days 99 \
        -extfile sub.ext -out sub/ca.pem
        """,
      ])
    let below = try await issue(
      office, "below", "extendedKeyUsage=emailProtection", authority: "sub")
    let listed = try directory(office, [below])
    try await review(
      office, below, code: "CERTIFICATE-NOT-BELIEVED", text: "CA sub", listed: listed)
    let chain = try office.write(
      Command.text(below) + Command.text("\(sub)/ca.pem"), as: "chain.crt")
    try await review(office, chain, code: nil, text: "", listed: listed)
    let anchors = try office.write(
      Command.text("\(office.folder)/ca/ca.pem") + Command.text("\(sub)/ca.pem"), as: "both.crt")
    try await review(
      office, below, code: nil, text: "", listed: listed,
      more: ["CONGVAN_TRUST_ANCHORS_FILE": anchors])
  }

  @Test func recipientsCertificatesAreSpokenOf() async throws {
    let office = try await Self.shared.value
    let own = "\(office.node.path)/unit.crt"
    let over = try await issue(office, "their", "extendedKeyUsage=emailProtection", days: -1)
    func unit(_ id: String, _ certificates: [String]) -> [String: Any] {
      ["organId": id, "organName": "Đơn vị \(id)", "certificates": certificates]
    }
    let text = Command.text(over)
    let listed = try directory(
      office, [own],
      others: [
        unit("CDCS-MAY", [text]), unit("KHONG", []),
        unit("CUT", [String(text.prefix(200)) + "\n-----END CERTIFICATE-----\n"]),
      ])
    let environment = ["CONGVAN_DIRECTORY_FILE": listed]
    let units = try await office.node.congvan(["units"], environment: environment).output
    for line in ["CDCS-MAY.*0 \\(hết hạn\\)", "KHONG.*không có", "CUT.*0 \\(không đọc được\\)"] {
      #expect(units.contains(try Regex(line)), "\(units)")
    }
    #expect(units.contains(try Regex("\(office.node.unit).* 1\n")), "\(units)")
    let check = try await office.node.congvan(
      ["config", "check", "--offline"], environment: environment)
    #expect(check.status == 0, "\(check)")
    for part in ["“CDCS-MAY” has one certificate", "“KHONG” has no certificate", "“CUT” has one"] {
      #expect(check.output.contains("note  directory: unit \(part)"), "\(check)")
    }
    let sent = try await office.node.congvan(
      try office.sendArguments(["--to": "CDCS-MAY;KHONG"]) + ["--json"], environment: environment)
    #expect(sent.status == 0, "\(sent)")
    #expect(sent.errors.contains("warning[RECIPIENT-CERTIFICATE]: to: “CDCS-MAY”"), "\(sent)")
    let warnings = try Shape.object(sent.output)["warnings"] as? [[String: Any]]
    #expect(warnings?.count { $0["code"] as? String == "RECIPIENT-CERTIFICATE" } == 2)
  }

  // MARK: Secrets behind links

  @Test func behindALinkTheFileItselfCounts() async throws {
    let office = try await Office()
    let key = "\(office.node.path)/unit.key"
    let vault = "\(office.folder)/vault/..2026_11_28"
    let manager = FileManager.default
    try manager.createDirectory(atPath: vault, withIntermediateDirectories: true)
    try manager.moveItem(atPath: key, toPath: "\(vault)/k")
    // As Kubernetes does it: unit.key -> ..data/k, ..data -> ..2026_11_28.
    try manager.createSymbolicLink(
      atPath: "\(office.folder)/vault/..data", withDestinationPath: "..2026_11_28")
    try manager.createSymbolicLink(
      atPath: "\(office.folder)/vault/key", withDestinationPath: "..data/k")
    try manager.createSymbolicLink(atPath: key, withDestinationPath: "../vault/key")
    func check(_ more: [String: String] = [:]) async throws -> CommandResult {
      try await office.node.congvan(["config", "check", "--offline"], environment: more)
    }
    for mode in [0o600, 0o400] {
      try manager.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(vault)/k")
      let result = try await check()
      #expect(result.status == 0, "\(result)")
    }
    for mode in [0o640, 0o604, 0o620, 0o601] {
      try manager.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(vault)/k")
      let result = try await check()
      #expect(result.output.contains("FAIL  signing key: [CONFIG-SECRET-EXPOSED]"), "\(result)")
      #expect(result.output.contains("next: Make the file private: chmod 600 '"), "\(result)")
      #expect(result.output.contains("/vault/..2026_11_28/k'"), "\(result)")
    }
    try manager.setAttributes([.posixPermissions: 0o600], ofItemAtPath: "\(vault)/k")

    // The pass phrase and the broker's password go the same way.
    let secret = try office.write("x\n", as: "secret")
    for (name, variable) in [
      ("signing.passphraseFile", "CONGVAN_SIGNING_PASSPHRASE_FILE")
    ] {
      let link = "\(office.folder)/\(name)"
      try manager.createSymbolicLink(atPath: link, withDestinationPath: secret)
      #expect(try await check([variable: link]).status == 0)
      try manager.setAttributes([.posixPermissions: 0o644], ofItemAtPath: secret)
      #expect(try await check([variable: link]).output.contains("chmod 600 '\(secret)'"))
      try manager.setAttributes([.posixPermissions: 0o600], ofItemAtPath: secret)
      for (target, text) in [
        ("nowhere", "leads to no file"), (name, "in a circle"), (office.folder, "is a folder"),
      ] {
        try manager.removeItem(atPath: link)
        try manager.createSymbolicLink(atPath: link, withDestinationPath: target)
        let result = try await check([variable: link])
        #expect(result.output.contains("[CONFIG-SECRET-UNREADABLE]"), "\(result)")
        #expect(result.output.contains(text), "\(result)")
      }
    }
    try manager.removeItem(atPath: key)
    try manager.createSymbolicLink(atPath: key, withDestinationPath: "nowhere")
    let dangling = try await check()
    #expect(dangling.output.contains("[KEY-UNREADABLE]"), "\(dangling)")
    #expect(dangling.output.contains("is a link to “nowhere”"), "\(dangling)")
  }

  @Test func aSecretOfAnotherUserIsRefused() async throws {
    guard getuid() == 0 else { return }
    let office = try await Office()
    let secret = try office.write("x\n", as: "theirs")
    #expect(chown(secret, 65_534, 65_534) == 0)
    let result = try await office.node.congvan(
      ["config", "check", "--offline"], environment: ["CONGVAN_SIGNING_PASSPHRASE_FILE": secret])
    #expect(result.output.contains("[CONFIG-SECRET-EXPOSED]"), "\(result)")
    #expect(result.output.contains("belongs to user 65534"), "\(result)")
  }

  // MARK: The directory file

  @Test(arguments: [
    ("{\"version\": 1,\n \"units\": [],\n}", "line 3, column 1: there is a comma too many"),
    ("<html>", "is a web page"), ("", "is empty"),
  ])
  func aBrokenDirectoryIsExplainedOnce(_ text: String, what: String) async throws {
    let office = try await Self.shared.value
    let path = try office.write(text, as: "broken-\(UUID().uuidString).json")
    let environment = ["CONGVAN_DIRECTORY_FILE": path]
    let check = try await office.node.congvan(
      ["config", "check", "--offline"], environment: environment)
    #expect(check.status == 1)
    #expect(check.output.contains(what), "\(check)")
    #expect(
      check.output.split(separator: path, omittingEmptySubsequences: false).count == 2, "\(check)")
    #expect(check.output.contains("ok    trust"), "\(check)")
    let sent = try await office.send(environment: environment)
    #expect(sent.failure == "DIRECTORY-MALFORMED" && sent.errors.contains(what), "\(sent)")
  }

  @Test func errorsOfInitNameTheOption() async throws {
    let node = NodeFolder(unit: "A", path: "\(try CleanUp.folder("init"))/node")
    for (arguments, next) in [
      (["--unit", "a/b", "--name", "A"], "--unit"), (["--unit", "A", "--name", " "], "--name"),
    ] {
      let result = try await node.congvan(["init"] + arguments)
      #expect(result.failure != nil)
      #expect(result.errors.contains(try Regex("next: .*\(next)")), "\(result)")
      #expect(!result.errors.contains("congvan.yaml"), "\(result)")
    }
  }
}
