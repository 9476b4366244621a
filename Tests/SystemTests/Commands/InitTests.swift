import Foundation
import Testing

@Suite struct InitTests {
  @Test(arguments: ["rsa", "ec"]) func makesAPrivateFolderAndARequest(key: String) async throws {
    let path = "\(try CleanUp.folder("init"))/node"
    let node = NodeFolder(unit: "000.00.01.H57", path: path)
    let output = try await node.require(
      "init", "--unit", node.unit, "--name", "LĐLĐ tỉnh “Mẫu”", "--key-type", key)
    #expect(output.contains("congvan config check --dir \(path)"))
    let subject = try await Command.require(
      "/usr/bin/openssl",
      [
        "req", "-in", "\(path)/unit.csr", "-verify", "-noout", "-subject", "-nameopt",
        "utf8,sep_comma_plus",
      ])
    #expect(subject.contains("CN=000.00.01.H57"))
    #expect(subject.contains("LĐLĐ tỉnh “Mẫu”"))
    #expect(try exposedFiles(of: path) == [])
    #expect(try exposedFiles(of: "\(path)/..").filter { !$0.contains("/") } == [])
    // The name came through quoting and back.
    let check = try await node.congvan(["config", "check", "--offline", "--verbose"])
    #expect(check.output.contains(try Regex("unit.name +file +LĐLĐ tỉnh “Mẫu”\n")))
  }

  @Test func neverTouchesAnExistingNode() async throws {
    let path = "\(try CleanUp.folder("init"))/node"
    let node = NodeFolder(unit: "A", path: path)
    try await node.require("init", "--unit", "A", "--name", "A")
    let key = try await Samples.sha256("\(path)/unit.key")
    let again = try await node.congvan(["init", "--unit", "B", "--name", "B"])
    #expect(again.failure == "CONFIG-EXISTS")
    #expect(try await Samples.sha256("\(path)/unit.key") == key)
    #expect(Command.text("\(path)/congvan.yaml").contains("id: \"A\""))
  }

  @Test func protectsTheKeyWithThePassphraseOfAPrivateFile() async throws {
    let folder = try CleanUp.folder("init")
    let secret = "\(folder)/passphrase"
    try Data("mật khẩu\n".utf8).write(to: URL(filePath: secret))
    let node = NodeFolder(unit: "A", path: "\(folder)/node")
    let arguments = ["init", "--unit", "A", "--name", "A", "--passphrase-file", secret]
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: secret)
    #expect(try await node.congvan(arguments).failure == "CONFIG-SECRET-EXPOSED")
    #expect(!FileManager.default.fileExists(atPath: node.path))
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: secret)
    #expect(try await node.congvan(arguments).status == 0)
    #expect(Command.text("\(node.path)/unit.key").hasPrefix("-----BEGIN ENCRYPTED PRIVATE KEY"))
    #expect(Command.text("\(node.path)/congvan.yaml").contains("passphraseFile: \(secret)"))
    try await Command.require(
      "/usr/bin/openssl",
      ["pkey", "-in", "\(node.path)/unit.key", "-passin", "file:\(secret)", "-noout"])
  }

  @Test(arguments: [
    (["--unit", "a/b", "--name", "A"], "CONFIG-BAD-VALUE"),
    (["--unit", "", "--name", "A"], "CONFIG-BAD-VALUE"),
    (["--unit", "A", "--name", ""], "DOCUMENT-TEXT"),
    (["--unit", "A", "--name", "A", "--passphrase-file", "/nowhere"], "CONFIG-SECRET-UNREADABLE"),
  ])
  func leavesNothingForBadInput(arguments: [String], code: String) async throws {
    let node = NodeFolder(unit: "A", path: "\(try CleanUp.folder("init"))/node")
    #expect(try await node.congvan(["init"] + arguments).failure == code)
    #expect(!FileManager.default.fileExists(atPath: node.path))
  }
}
