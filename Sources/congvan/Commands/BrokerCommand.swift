import ArgumentParser
import DocumentSigning
import ExchangeCore
import ExchangeNode
import Foundation
import NodeOperations

struct BrokerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broker", abstract: "For the operator of the broker.",
    subcommands: [Definitions.self, Check.self])

  struct Definitions: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "definitions",
      abstract: "Write the RabbitMQ definitions for the directory's units.",
      discussion: """
        Import the result with rabbitmqctl import_definitions FILE. Users log in with their client \
        certificate (CN = unit id); with --passwords they also get a password each. Importing again \
        repairs what differs and keeps what waits; do it after an update of congvan.
        """)

    @Option(help: "Directory file. Default: directory.file of the node.") var directory: String?
    @Option(help: "Virtual host.") var virtualHost = "congvan"
    @Option(help: "Length limit of a queue in bytes.") var queueBytes: Int64 = 20 << 30
    @Option(help: "Length limit of a queue in messages.") var queueMessages: Int64 = 1_000_000
    @Option(
      help:
        "Folder for one password file per unit (UNIT.password, mode 0600). Existing ones are used again."
    )
    var passwords: String?
    @Option(help: "Write to this file instead of standard output.") var out: String?
    @OptionGroup var folder: NodeFolder

    func run() throws {
      let hashing = OpenSSLHashing()
      let units = try folder.directory(directory, hashing: hashing)
      var options = BrokerDefinitions.Options()
      options.virtualHost = virtualHost
      options.queueBytes = queueBytes
      options.queueMessages = queueMessages
      if let passwords { options.passwords = try secrets(for: units, in: passwords) }
      let json = try BrokerDefinitions.json(for: units, options: options, hashing: hashing)
      guard let out else { return Output.write(String(decoding: json, as: UTF8.self) + "\n") }
      guard
        FileManager.default.createFile(
          atPath: out, contents: json, attributes: [.posixPermissions: 0o600])
      else {
        throw ConfigError(
          .unreadable, "out: “\(out)” cannot be written",
          next: "Give the path of a file that this user may make in --out.")
      }
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
        else {
          throw ConfigError(
            .unreadable, "passwords: “\(path)” cannot be written",
            next: "Give a folder that this user may write to in --passwords.")
        }
        secrets[unit.id] = password
      }
      return secrets
    }
  }
}

extension BrokerCommand {
  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check",
      abstract: "Compare the broker with what the directory's units need.",
      discussion: """
        Reads an export of the broker's definitions, which only its operator can make, for example: \
        rabbitmqctl -q export_definitions - | congvan broker check - --directory directory.json. \
        The export holds password hashes: do not leave it lying about.
        """)

    @Argument(help: "The export; “-” reads it from standard input.") var file: String
    @Option(help: "Directory file. Default: directory.file of the node.") var directory: String?
    @Option(help: "Virtual host.") var virtualHost = "congvan"
    @OptionGroup var folder: NodeFolder

    func run() throws {
      let units = try folder.directory(directory, hashing: OpenSSLHashing())
      let json =
        file == "-"
        ? FileHandle.standardInput.readDataToEndOfFile()
        : FileManager.default.contents(atPath: file)
      guard let json else { throw ConfigError(.unreadable, "“\(file)” cannot be read") }
      guard let audit = BrokerAudit(json, virtualHost: virtualHost) else {
        throw ConfigError(
          .unreadable, "“\(file)” is not an export of RabbitMQ's definitions",
          next: "Make one with: rabbitmqctl -q export_definitions -")
      }
      let parts = audit.parts(for: units)
      Console.print("ok    export: \(audit.broker)")
      for part in parts {
        if part.problems.isEmpty { Console.print("ok    \(part.name): \(part.summary)") }
        for problem in part.problems.prefix(20) { Console.print("FAIL  \(part.name): \(problem)") }
        if part.problems.count > 20 {
          Console.print("FAIL  \(part.name): and \(part.problems.count - 20) more")
        }
      }
      guard parts.contains(where: { !$0.problems.isEmpty }) else { return }
      Console.print(
        """
              next: congvan broker definitions --directory FILE --out definitions.json; \
        rabbitmqctl import_definitions definitions.json; \
        an import changes policies, users and rights, but no queue that exists
        """)
      throw ExitCode(1)
    }
  }
}

extension NodeFolder {
  /// The directory of `path`, or else the one that the node's configuration names.
  fileprivate func directory(_ path: String?, hashing: some ContentHashing) throws -> Directory {
    let path = try path ?? assembly().settings.path("directory.file") ?? ""
    return try DirectoryFile(path: path, hashing: hashing).current
  }
}
