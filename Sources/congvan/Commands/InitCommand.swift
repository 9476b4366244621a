import ArgumentParser
import DocumentSigning
import ExchangeCore
import ExchangeStore
import Foundation

struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Make a node folder: configuration, database, key and certificate request.")

  enum KeyType: String, ExpressibleByArgument, CaseIterable { case rsa, ec }

  @Option(help: "The unit's identifier, as in the directory.") var unit: String
  @Option(help: "The unit's name.") var name: String
  @Option(help: "Kind of key: rsa (2048 bits) or ec (P-256).") var keyType = KeyType.rsa
  @Option(help: "File with the pass phrase that protects the key (mode 0600).")
  var passphraseFile: String?
  @OptionGroup var folder: NodeFolder

  func run() throws {
    guard let id = UnitID(unit) else {
      throw ConfigError(
        .badValue,
        "unit: “\(TextRules.fitting(unit, maximum: 60))” is not an identifier: 1 to 35 characters of "
          + "A-Z a-z 0-9 . _ -, a letter or digit first",
        next: "Give --unit as the federation's directory writes it, for example 000.00.12.H57.")
    }
    let organ = Organ(organId: id, organName: TextRules.normalized(name))
    do {
      try TextRules.check(
        organ.organName ?? "", field: "name", maximum: Organ.maximumNameLength)
    } catch {
      throw DocumentError(
        error.kind, error.reason, next: "Give the unit's name in --name, of 1 to 200 characters.")
    }
    let path = try folder.path
    try NodeOwner.enter(folder: path)
    let manager = FileManager.default
    let configuration = "\(path)/\(Settings.fileName)"
    guard !manager.fileExists(atPath: configuration) else {
      throw ConfigError(.exists, "\(path): is a node folder already")
    }
    let passphrase = try passphraseFile.map {
      try SecretFile.read($0, named: "passphrase-file")
    }
    do {
      try manager.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw ConfigError(
        .unreadable, "\(path): the folder cannot be made: \(error.localizedDescription)",
        next: "Give a folder in --dir that this user may make.")
    }
    let store = try Store(folder: path, hashing: OpenSSLHashing(), create: true)
    try store.setNodeValue(id.rawValue, for: "unit", at: SystemClock().now)
    let key = try KeyMaker.generate(keyType == .rsa ? .rsa2048 : .p256)
    try key.write(to: "\(path)/unit.key", passphrase: passphrase)
    let request = try key.certificateRequest(unit: id, name: organ.organName ?? "")
    guard manager.createFile(atPath: "\(path)/unit.csr", contents: request) else {
      throw ConfigError(
        .unreadable, "\(path)/unit.csr: cannot be written",
        next: "Check the folder's permissions and the free space, remove it, and run init again.")
    }
    // Last: a folder with this file is a complete node folder.
    var text = Settings.template(unit: organ)
    if let passphraseFile {
      text = text.replacing(
        "  # passphraseFile: unit.passphrase",
        with: "  passphraseFile: \(absolute(passphraseFile))")
    }
    guard
      manager.createFile(
        atPath: configuration, contents: Data(text.utf8),
        attributes: [.posixPermissions: 0o600])
    else {
      throw ConfigError(
        .unreadable, "\(configuration): cannot be written",
        next: "Check the folder's permissions and the free space, remove it, and run init again.")
    }
    Output.hasDone("the node folder \(path) is made")
    Console.print(
      """
      Made the node folder \(path) for \(id) (\(organ.organName ?? "")).

      Next:
        1. Send \(path)/unit.csr to the federation; it returns unit.crt, ca.crt and directory.json.
        2. Put the three files into \(path).
        3. Set broker.host in \(configuration), then run: congvan config check --dir \(path)
      """)
  }

  private func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }
}
