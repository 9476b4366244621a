import ArgumentParser
import DocumentSigning
import ExchangeCore
import ExchangeNode
import Foundation

struct BrokerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broker", abstract: "For the operator of the broker.",
    subcommands: [Definitions.self])

  struct Definitions: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "definitions",
      abstract: "Write the RabbitMQ definitions for the directory's units.",
      discussion: """
        Import the result with rabbitmqctl import_definitions FILE. Users log in with their client \
        certificate (CN = unit id); with --passwords they also get a password each.
        """)

    @Option(help: "Directory file. Default: directory.file of the node.") var directory: String?
    @Option(help: "Virtual host.") var virtualHost = "congvan"
    @Option(help: "Length limit of a queue in bytes.") var queueBytes: Int64 = 20 << 30
    @Option(
      help:
        "Folder for one password file per unit (UNIT.password, mode 0600). Existing ones are used again."
    )
    var passwords: String?
    @Option(help: "Write to this file instead of standard output.") var out: String?
    @OptionGroup var folder: NodeFolder

    func run() throws {
      let hashing = OpenSSLHashing()
      let path: String
      if let directory {
        path = directory
      } else {
        path = try folder.assembly().settings.path("directory.file") ?? ""
      }
      let units = try DirectoryFile(path: path, hashing: hashing).current
      var options = BrokerDefinitions.Options()
      options.virtualHost = virtualHost
      options.queueBytes = queueBytes
      if let passwords { options.passwords = try secrets(for: units, in: passwords) }
      let json = try BrokerDefinitions.json(for: units, options: options, hashing: hashing)
      guard let out else { return Console.print(String(decoding: json, as: UTF8.self)) }
      guard
        FileManager.default.createFile(
          atPath: out, contents: json, attributes: [.posixPermissions: 0o600])
      else { throw ConfigError(.unreadable, "out: “\(out)” cannot be written") }
      Console.note("wrote \(out): \(units.units.count) units")
    }

    private func secrets(for directory: Directory, in folder: String) throws -> [UnitID: String] {
      let manager = FileManager.default
      try? manager.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      var secrets: [UnitID: String] = [:]
      for unit in directory.units {
        let path = "\(folder)/\(unit.id).password"
        if let known = manager.contents(atPath: path) {
          secrets[unit.id] = String(decoding: known, as: UTF8.self)
            .trimmingCharacters(in: .newlines)
          continue
        }
        let password = BrokerDefinitions.makePassword()
        guard
          manager.createFile(
            atPath: path, contents: Data((password + "\n").utf8),
            attributes: [.posixPermissions: 0o600])
        else { throw ConfigError(.unreadable, "passwords: “\(path)” cannot be written") }
        secrets[unit.id] = password
      }
      return secrets
    }
  }
}
