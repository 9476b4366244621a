import Foundation
import Glibc

/// What a program that has ended had to say.
struct CommandResult: Sendable, CustomStringConvertible {
  let status: Int32
  let output: String
  let errors: String

  var description: String { "exit status \(status)\n\(output)\n\(errors)" }
}

struct CommandFailed: Error, CustomStringConvertible {
  let description: String
}

enum Command {
  /// Runs a program to its end. A signal counts as status 128 + signal, as in a shell.
  static func run(
    _ program: String, _ arguments: [String], environment: [String: String] = [:],
    within limit: Duration = .seconds(120)
  ) async throws -> CommandResult {
    let base = "\(CleanUp.shared.folder)/run-\(UUID().uuidString)"
    let (output, errors) = ("\(base).out", "\(base).err")
    defer {
      unlink(output)
      unlink(errors)
    }
    let child = try ChildProcess(
      program, arguments, environment: environment, output: output, errors: errors)
    defer { child.terminate() }
    let status: Int32 =
      switch try await child.end(within: limit) {
      case .exited(let status): status
      case .killed(let signal): 128 + signal
      }
    return CommandResult(status: status, output: text(output), errors: text(errors))
  }

  /// Runs a program that has to succeed; its output.
  @discardableResult
  static func require(
    _ program: String, _ arguments: [String], environment: [String: String] = [:],
    within limit: Duration = .seconds(120)
  ) async throws -> String {
    let result = try await run(program, arguments, environment: environment, within: limit)
    guard result.status == 0 else {
      throw CommandFailed(description: "\(program) \(arguments): \(result)")
    }
    return result.output
  }

  static func text(_ path: String) -> String {
    String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
  }
}
