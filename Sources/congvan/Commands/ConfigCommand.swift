import AMQPTransport
import ArgumentParser
import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import NodeDatabase
import UnitOffice

struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Check the configuration.", subcommands: [Check.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check",
      abstract: "Check every part a node needs, and say what is wrong and what to do.")

    @Flag(help: "Do not connect to the broker.") var offline = false
    @Flag(help: "Also list every key with its value and where it comes from.") var verbose = false
    @OptionGroup var folder: NodeFolder

    func run() throws {
      let assembly = try folder.assembly()
      let settings = assembly.settings
      if verbose {
        Console.table(
          ["KEY", "FROM", "VALUE"],
          Settings.keys.map { [$0.name, settings.sources[$0.name] ?? "", settings[$0.name]] })
      }
      var parts = Parts()
      parts.check("configuration") { "\(settings.folder)/\(Settings.fileName)" }
      parts.check("database") {
        let store = try assembly.store()
        try store.file.check()
        return "durable (WAL, synchronous=FULL)"
      }
      let directory = parts.check("directory") {
        let unit = try settings.unit
        let directory = try assembly.directory()
        guard directory.current.unit(unit.organId) != nil else {
          throw NodeError(.notAUnit, "unit.id: “\(unit.organId)” is not in the directory")
        }
        return (directory, "\(directory.current.units.count) units, “\(unit.organId)” among them")
      }
      let trust = Result { try assembly.trust() }
      try checkKey(assembly, directory, trust, &parts)
      parts.check("trust") {
        _ = try trust.get()
        return settings.path("trust.anchorsFile") ?? ""
      }
      if let directory, let trust = try? trust.get() {
        noteUnits(directory, try assembly.verifier(directory, trust), &parts)
      }
      if !offline { try checkBrokers(assembly, &parts) }
      if parts.failures > 0 { throw ExitCode(1) }
    }

    /// The certificate is judged as the other units judge it, by a trial signature.
    private func checkKey(
      _ assembly: Assembly, _ directory: DirectoryFile?, _ trust: Result<TrustStore, any Error>,
      _ parts: inout Parts
    ) throws {
      let what = "signing key"
      guard let directory, let trust = try? trust.get() else {
        let key = parts.read(what) { try assembly.signingKey() }
        if let key {
          parts.note(
            what,
            "“\(key.certificate.subject)” is readable; whether other units believe it cannot "
              + "be said before directory and trust are in order")
        }
        return
      }
      let now = SystemClock().now
      let certificate = parts.check(what) {
        let signer = CMSSigner(key: try assembly.signingKey(trust))
        let verifier = try assembly.verifier(directory, trust)
        try BelievedSigner(
          signer, unit: try assembly.settings.unit.organId, verifier: verifier,
          directory: directory
        ).requireBelieved(at: now)
        let shown = signer.key.certificate
        return (signer.certificate, "\(shown.subject), valid until \(shown.notAfter.shown)")
      }
      CertificateEnd.warning(of: certificate ?? nil, at: now).map { parts.note(what, $0.text) }
    }

    /// More units than this are only counted.
    private static let notesAtOnce = 20

    private func noteUnits(
      _ directory: DirectoryFile, _ verifier: CMSVerifier, _ parts: inout Parts
    ) {
      let now = SystemClock().now
      var notes: [String] = []
      for unit in directory.current.units where unit.isValid(on: CalendarDate(now)) {
        let certificates = UnitCertificates(unit, verifier: verifier, at: now)
        if let reason = certificates.reason {
          notes.append("unit “\(unit.id)” \(reason): what it signs is not believed here")
          continue
        }
        for (index, listed) in unit.listed.enumerated() {
          guard let problem = listed.problem else { continue }
          notes.append("unit “\(unit.id)”: certificate \(index + 1) \(problem)")
        }
      }
      for note in notes.prefix(Self.notesAtOnce) { parts.note("directory", note) }
      if notes.count > Self.notesAtOnce {
        parts.note(
          "directory",
          "\(notes.count - Self.notesAtOnce) more such certificates; see: congvan units")
      }
    }

    private func checkBrokers(_ assembly: Assembly, _ parts: inout Parts) throws {
      let hosts = try assembly.settings.brokerHosts
      var caveat: String?
      for host in hosts {
        parts.check(hosts.count == 1 ? "broker" : "broker \(host)") {
          let broker = try assembly.brokerSettings()
          let found = try BrokerCheck.run(broker, at: host)
          caveat = found.caveat ?? caveat
          let waiting = Lane.allCases.map { "\(found.waiting[$0] ?? 0) \($0)" }
          return "\(broker.address(of: host)) (\(found.broker)), waiting: "
            + waiting.joined(separator: ", ")
        }
      }
      if let caveat { parts.note("broker", caveat) }
    }
  }
}

/// The lines of `config check`.
private struct Parts {
  private(set) var failures = 0

  mutating func check(_ what: String, _ body: () throws -> String) {
    _ = check(what) { ((), try body()) }
  }

  /// What `body` returns beside the text of its line; nil when it failed, which is printed.
  mutating func check<Value>(_ what: String, _ body: () throws -> (Value, String)) -> Value? {
    guard let (value, text) = read(what, body) else { return nil }
    Console.print("ok    \(what): \(text)")
    return value
  }

  /// As `check`, but success is not printed.
  mutating func read<Value>(_ what: String, _ body: () throws -> Value) -> Value? {
    do {
      return try body()
    } catch let error as any ReportableError {
      Console.print("FAIL  \(what): [\(error.code)] \(error.reason)\n      next: \(error.hint)")
    } catch {
      Console.print("FAIL  \(what): \(error)")
    }
    failures += 1
    return nil
  }

  /// Something that should be known and keeps the node from nothing.
  func note(_ what: String, _ text: String) { Console.print("note  \(what): \(text)") }
}
