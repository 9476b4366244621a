import Foundation
import Glibc

/// A running `congvan node`.
struct Daemon: Sendable {
  let node: NodeFolder
  let process: ChildProcess
  /// What it logs.
  let log: String

  init(_ node: NodeFolder, wrapped wrapper: [String] = []) throws {
    self.node = node
    log = "\(CleanUp.shared.folder)/\(node.unit)-\(UInt32.random(in: 0...(.max))).log"
    let command = wrapper + [Places.congvan, "node", "--dir", node.path]
    process = try ChildProcess(
      command[0], Array(command.dropFirst()), environment: node.environment, output: log,
      errors: log)
  }

  /// True when all three connections have been up.
  var isConnected: Bool {
    ["publisher", "consumer express", "consumer ordinary"]
      .allSatisfy { Command.text(log).contains("link=\($0) [ExchangeNode] connected") }
  }

  func connected(within limit: Duration = .seconds(30)) async throws {
    _ = try await eventually(within: limit, "connection of \(node.unit)") {
      isConnected ? true : nil
    }
  }

  /// Peak resident memory so far, in KiB.
  func peakMemory() throws -> Int {
    let lines = Command.text("/proc/\(process.pid)/status").split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("VmHWM:") }),
      let number = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
    else { throw CommandFailed(description: "process \(process.pid) has no VmHWM") }
    return number
  }

  /// SIGTERM, and an orderly end: anything else is a failure of the test.
  func stop(within limit: Duration = .seconds(10)) async throws {
    process.send(SIGTERM)
    let ending = try await process.end(within: limit)
    guard ending == .exited(0) else {
      throw CommandFailed(description: "\(node.unit): \(ending)\n\(Command.text(log).suffix(2000))")
    }
  }
}

/// Runs `body` with daemons of `nodes`, which end with it: orderly after success, at once otherwise.
/// A failure shows the end of their logs.
@discardableResult
func withDaemons<Result>(
  _ nodes: NodeFolder..., body: ([Daemon]) async throws -> Result
) async throws -> Result {
  var daemons: [Daemon] = []
  defer { for daemon in daemons { daemon.process.terminate() } }
  for node in nodes { daemons.append(try Daemon(node)) }
  do {
    let result = try await body(daemons)
    for daemon in daemons where daemon.process.isRunning { try await daemon.stop() }
    return result
  } catch {
    for daemon in daemons { say("\(daemon.node.unit): \(Command.text(daemon.log).suffix(1500))") }
    throw error
  }
}
