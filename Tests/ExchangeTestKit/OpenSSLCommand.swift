package import Foundation

/// The `openssl` program: an implementation beside ours, to make fixtures and to check them.
package enum OpenSSLCommand {
  /// What a run of the program printed.
  package struct Result: Sendable {
    /// 0 for success.
    package let status: Int32
    /// Standard output.
    package let output: Data
    /// Standard error.
    package let errors: String
  }

  /// A command that should have succeeded and did not.
  package struct Failed: Error, CustomStringConvertible {
    /// The command line and what the program complained about.
    package let description: String
  }

  /// Runs `openssl` with `arguments` and waits for it. Blocks the calling thread.
  package static func run(_ arguments: [String], in folder: URL? = nil) throws -> Result {
    let process = Process()
    let (output, errors) = (Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    // Errors are short; reading one pipe after the other cannot block the program.
    let printed = try output.fileHandleForReading.readToEnd() ?? Data()
    let complaints = try errors.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: printed,
      errors: String(decoding: complaints, as: UTF8.self))
  }

  /// Runs `openssl` and returns what it printed. Throws `Failed` unless it ended with status 0.
  @discardableResult
  package static func require(_ arguments: [String], in folder: URL? = nil) throws -> Data {
    let result = try run(arguments, in: folder)
    guard result.status == 0 else {
      throw Failed(description: "openssl \(arguments.joined(separator: " ")): \(result.errors)")
    }
    return result.output
  }
}
