import ArgumentParser
import ExchangeCore
import ExchangeNode
import ExchangeStore
import Foundation

struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node", abstract: "Run the daemon (stop it with SIGTERM or Ctrl-C).")

  @Flag(help: "Return when nothing is left to send or to receive.") var untilIdle = false
  @OptionGroup var folder: NodeFolder

  func run() async throws {
    let assembly = try folder.assembly()
    let lock = try NodeLock(folder: assembly.settings.folder)
    let log = assembly.logger()
    try await assembly.node(untilIdle: untilIdle, log: log).run()
    _ = consume lock
    if untilIdle {
      let open = try assembly.store().reader.openWork(now: SystemClock().now)
      Console.note(
        "idle: \(open.awaitingReceipt) awaiting receipt, \(open.unsent) waiting for a retry, "
          + "\(open.failed) failed")
    }
  }
}
