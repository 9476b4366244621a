import Testing

@Suite struct HelpTests {
  @Test func everyCommandExplainsItself() async throws {
    let names = try await explain([])
    #expect(
      Set(names).isSuperset(of: [
        "init", "node", "send", "outbox", "inbox", "deliveries", "show", "export", "verify",
        "refuse", "recall", "resend", "units", "quarantine", "reconcile", "broker", "config",
        "bench",
      ]))
    for name in names {
      for part in try await explain([name]) { #expect(try await explain([name, part]) == []) }
    }
    let version = try await Command.require(Places.congvan, ["--version"])
    #expect(version.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
  }

  /// Checks the help of a command; the names of its subcommands.
  private func explain(_ command: [String]) async throws -> [String] {
    let help = try await Command.require(Places.congvan, command + ["--help"])
    #expect(help.hasPrefix("OVERVIEW: "))
    #expect(help.contains("USAGE: \((["congvan"] + command).joined(separator: " "))"))
    guard let list = help.split(separator: "SUBCOMMANDS:\n").dropFirst().first else {
      #expect(help.contains("--dir <dir>"), "\(command)")
      return []
    }
    return list.matches(of: /(?m)^  ([a-z-]+)(?: \(default\))? +\S/).map { String($0.1) }
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
