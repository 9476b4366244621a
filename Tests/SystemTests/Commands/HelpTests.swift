import Testing

@Suite struct HelpTests {
  static let commands = [
    "init", "node", "send", "outbox", "inbox", "deliveries", "show", "export", "verify", "refuse",
    "resend", "units", "quarantine", "broker", "config", "bench",
  ]

  @Test func theProgramNamesItsCommands() async throws {
    let help = try await Command.require(Places.congvan, ["--help"])
    for command in Self.commands {
      #expect(help.contains(try Regex("\n  \(command) +[A-Z]")), "\(command)")
    }
    #expect(help.contains("CONGVAN_DIR"))
    let version = try await Command.require(Places.congvan, ["--version"])
    #expect(version.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
  }

  @Test(arguments: commands) func everyCommandExplainsItself(_ command: String) async throws {
    let help = try await Command.require(Places.congvan, [command, "--help"])
    #expect(help.contains("OVERVIEW: "))
    #expect(help.contains("USAGE: congvan \(command)"))
    if !["broker", "config"].contains(command) { #expect(help.contains("--dir <dir>")) }
  }

  @Test(arguments: [["config", "check"], ["broker", "definitions"]])
  func soDoTheirParts(_ command: [String]) async throws {
    let help = try await Command.require(Places.congvan, command + ["--help"])
    #expect(help.contains("USAGE: congvan \(command.joined(separator: " "))"))
  }

  @Test func whatIsNoCommandIsAnErrorOfUsage() async throws {
    let result = try await Command.run(Places.congvan, ["gửi"])
    #expect(result.status == 64)
    #expect(result.errors.contains("Usage: congvan"))
    let missing = try await Command.run(Places.congvan, ["send", "a.pdf", "--to", "B"])
    #expect(missing.status == 64)
    #expect(missing.errors.contains("--number"))
  }
}
