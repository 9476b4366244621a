import ArgumentParser
import ExchangeCore
import ExchangeNode
import Foundation
import Logging

#if canImport(Glibc)
  import Glibc
#endif

struct CongvanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "congvan",
    abstract: "Exchange signed documents between trade-union units (trao đổi văn bản có ký số).",
    discussion: """
      Every command works on a node folder, named by --dir or CONGVAN_DIR, whether the daemon \
      runs or not. Times are shown in Vietnam time; --json gives them in UTC.

      First steps:
        congvan init --unit 000.00.01.H57 --name "LĐLĐ tỉnh" --dir /var/lib/congvan
        congvan config check
        congvan node
        congvan send quyet-dinh.pdf --to UNIT --number 159/QĐ-LĐLĐ --date 2018-07-04 \\
          --type "Quyết định" --subject "Ban hành Quy chế …"
        congvan deliveries
      """,
    version: "1.0.0",
    subcommands: [
      InitCommand.self, NodeCommand.self, SendCommand.self, OutboxCommand.self, InboxCommand.self,
      DeliveriesCommand.self, ShowCommand.self, ExportCommand.self, ImportCommand.self,
      VerifyCommand.self,
      RefuseCommand.self, RecallCommand.self, ResendCommand.self, UnitsCommand.self,
      QuarantineCommand.self, ReconcileCommand.self, NoticesCommand.self, CheckCommand.self,
      BrokerCommand.self, ConfigCommand.self, BenchCommand.self,
    ])
}

@main
enum Main {
  static func main() async {
    // Whatever is written (database, WAL, blobs, keys, exports) is private to this user.
    umask(0o077)
    _ = NodeOwner.invoker
    Output.prepare()
    // Before any logger is made: none goes another way.
    LoggingSystem.bootstrap { label in HarmlessLog(label: label) { Output.writeError($0) } }
    do {
      var command = try CongvanCommand.parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      Output.finish()
    } catch let error as any ReportableError {
      Output.tellDone()
      exit(Console.explain(error))
    } catch let error as ExitCode {
      exit(error.rawValue)
    } catch {
      switch CongvanCommand.exitCode(for: error) {
      case .failure:
        Output.tellDone()
        exit(Console.explain(error))
      case .validationFailure:
        exit(Console.explain(usage: CongvanCommand.fullMessage(for: error)))
      case let status:
        // Help, the version, a completion script.
        Output.write(CongvanCommand.fullMessage(for: error) + "\n")
        Output.finish()
        exit(status.rawValue)
      }
    }
  }
}

/// Where the node is. Shared by every command.
struct NodeFolder: ParsableArguments {
  @Option(
    name: .long, help: ArgumentHelp("The node's folder (or CONGVAN_DIR).", valueName: "dir"))
  var dir: String?

  var path: String {
    get throws {
      let environment = ProcessInfo.processInfo.environment["CONGVAN_DIR"]
      guard let folder = dir ?? environment, !folder.isEmpty else {
        throw ConfigError(.noFolder, "no node folder is named")
      }
      return folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    }
  }

  func assembly() throws -> Assembly {
    try NodeOwner.enter(folder: try path)
    return Assembly(
      settings: try Settings(
        folder: try path, environment: ProcessInfo.processInfo.environment))
  }
}
