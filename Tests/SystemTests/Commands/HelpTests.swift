import Testing

@Suite struct HelpTests {
  @Test func everyCommandExplainsItself() async throws {
    let names = try await explain([])
    #expect(
      Set(names).isSuperset(of: [
        "init", "node", "send", "outbox", "inbox", "deliveries", "show", "export", "import",
        "verify",
        "refuse", "recall", "resend", "units", "quarantine", "reconcile", "notices", "broker",
        "config",
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

  @Test(arguments: [
    (["gửi"], "Unexpected argument 'gửi'", "congvan"),
    (
      ["send", "a.pdf", "--to", "B"], "Missing expected argument '--number <number>'",
      "congvan send"
    ),
    (["inbox", "--limit", "x"], "The value 'x' is invalid", "congvan inbox"),
    (["outbox", "--lim", "3"], "Unknown option '--lim'", "congvan outbox"),
    (["resend", "--reason", "x"], "Name deliveries, or use --failed", "congvan resend"),
    (
      ["resend", "01976f3e", "--document", "01976f3e", "--reason", "x"],
      "Name documents, or use --document", "congvan resend"
    ),
    (["recall", "x", "--agree", "--decline"], "Either --agree or --decline", "congvan recall"),
    (["quarantine", "show", "abc"], "The value 'abc' is invalid", "congvan quarantine show"),
    (["quarantine", "discard", "--reason", "x"], "Missing", "congvan quarantine discard"),
  ])
  func wrongUsageHasItsCodeAndItsNextStep(_ arguments: [String], _ text: String, command: String)
    async throws
  {
    let result = try await Command.run(Places.congvan, arguments)
    #expect(result.status == 64)
    #expect(result.output.isEmpty)
    #expect(result.errors.hasPrefix("error[USAGE]: \(text)"), "\(result)")
    #expect(result.errors.contains("\nUsage: \(command) "), "\(result)")
    #expect(result.errors.hasSuffix("\n  next: See what it takes with: \(command) --help\n"))
  }
}
