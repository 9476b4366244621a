package import Foundation

/// Runs a program and waits for it.
package enum Command {
  /// The program ended with a status other than zero.
  package struct Failed: Error, CustomStringConvertible {
    /// The command and what it printed.
    package let description: String
  }

  /// Standard output of `arguments`, found through PATH; throws with standard error when the exit
  /// status is not zero.
  @discardableResult
  package static func run(_ arguments: [String], input: Data? = nil) throws -> Data {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    let errors = Pipe()
    let stdin = Pipe()
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = stdin
    try process.run()
    if let input { stdin.fileHandleForWriting.write(input) }
    try stdin.fileHandleForWriting.close()
    let text = try output.fileHandleForReading.readToEnd() ?? Data()
    let complaint = try errors.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failed(
        description: "\(arguments.prefix(3)): "
          + String(decoding: complaint + text, as: UTF8.self))
    }
    return text
  }
}
