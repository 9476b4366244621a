import Foundation
import Testing

/// Where the output of a command may go: a reader that has gone, a full disk, nothing at all.
@Suite struct OutputTests {
  /// Runs congvan on the office's node from a shell that redirects it with `redirection`. The fifo
  /// behind descriptor 4 has no reader any more.
  private func run(
    _ office: Office, _ arguments: [String], _ redirection: String, inFolder: Bool = true
  ) async throws -> CommandResult {
    let script = """
      cd '\(office.folder)'
      mkfifo f$$; exec 3<>f$$ 4>f$$ 3<&-
      "$@" \(redirection)
      """
    return try await Command.run(
      "/bin/bash",
      ["-c", script, "sh", Places.congvan] + arguments
        + (inFolder ? ["--dir", office.node.path] : []))
  }

  static let commands: [[String]] = [
    ["inbox"], ["outbox"], ["outbox", "--json"], ["deliveries"], ["deliveries", "--json"],
    ["units"], ["quarantine"], ["notices"], ["check"], ["config", "check", "--offline"],
    ["broker", "definitions"], ["reconcile", "--show"],
  ]
  static let texts: [[String]] = [
    ["--help"], ["help", "send"], ["--version"], ["--generate-completion-script", "bash"],
  ]

  @Test(arguments: commands) func aListingEndsQuietlyOrWithAnError(_ command: [String])
    async throws
  {
    let office = try await Office()
    _ = try await office.send()
    let gone = try await run(office, command, ">&4")
    #expect(gone.status == 141 && gone.errors.isEmpty, "\(gone)")
    for redirection in [">/dev/full", ">&-"] {
      let lost = try await run(office, command, redirection)
      #expect(lost.failure == "OUTPUT-FAILED", "\(redirection): \(lost)")
    }
  }

  @Test(arguments: texts) func helpEndsInTheSameWays(_ command: [String]) async throws {
    let office = try await Office()
    #expect(try await run(office, command, ">&4", inFolder: false).status == 141)
    let lost = try await run(office, command, ">/dev/full", inFolder: false)
    #expect(lost.failure == "OUTPUT-FAILED", "\(lost)")
    let read = try await run(office, command, "", inFolder: false)
    #expect(read.status == 0 && !read.output.isEmpty)
  }

  @Test(arguments: [">&4", ">/dev/full", ">&-"], [false, true])
  func whatWasIssuedIsSaidAllTheSame(_ redirection: String, isJSON: Bool) async throws {
    let office = try await Office()
    let result = try await run(
      office, try office.sendArguments() + (isJSON ? ["--json"] : []), redirection)
    #expect(result.status == (redirection == ">&4" ? 141 : 1), "\(result)")
    let issued = try Shape.list(try await office.node.require("outbox", "--json"))
    let id = try #require(issued.first?["id"] as? String)
    #expect(issued.count == 1 && result.errors.contains(id), "\(result)")
  }

  @Test(arguments: ["2>&-", "2>/dev/full", "2>&4", ">/dev/null 2>&- <&-"])
  func aLostStandardErrorChangesNothing(_ redirection: String) async throws {
    let office = try await Office()
    #expect(try await run(office, try office.sendArguments(), redirection).status == 0)
    let wrong = try office.sendArguments(["--number": "không"])
    #expect(try await run(office, wrong, redirection).status == 1)
    #expect(try await office.countDocuments() == 1)
  }

  /// A closed descriptor is given to the next file that is opened: nothing may be written into it.
  @Test func withEverythingClosedTheDatabaseStaysSound() async throws {
    let office = try await Office()
    let large = try office.write("%PDF-1.7\n" + String(repeating: "x", count: 600_000), as: "l.pdf")
    let arguments = try office.sendArguments(files: [large])
    let result = try await run(office, arguments, ">&- 2>&- <&-")
    #expect(result.status == 1)
    #expect(try await office.countDocuments() == 1)
    let check = try await office.node.congvan(["check", "--full"])
    #expect(check.status == 0, "\(check)")
  }
}
