import AMQPTransport
import ArgumentParser
import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore

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
      var failures = 0
      func check(_ what: String, _ body: () throws -> String) {
        do {
          Console.print("ok    \(what): \(try body())")
        } catch let error as any ReportableError {
          failures += 1
          Console.print("FAIL  \(what): [\(error.code)] \(error.reason)\n      next: \(error.hint)")
        } catch {
          failures += 1
          Console.print("FAIL  \(what): \(error)")
        }
      }
      check("configuration") { "\(settings.folder)/\(Settings.fileName)" }
      check("database") {
        let store = try assembly.store()
        try store.check()
        return "durable (WAL, synchronous=FULL)"
      }
      check("directory") {
        let unit = try settings.unit
        let directory = try assembly.directory().current
        guard directory.unit(unit.organId) != nil else {
          throw NodeError(.notAUnit, "unit.id: “\(unit.organId)” is not in the directory")
        }
        return "\(directory.units.count) units, “\(unit.organId)” among them"
      }
      check("signing key") {
        let key = try assembly.signingKey()
        let certificate = key.certificate
        let directory = try assembly.directory().current
        let unit = try settings.unit.organId
        guard directory.unit(unit)?.certificates.contains(certificate.sha256) == true else {
          throw NodeError(
            .notAUnit, "signing certificate: the directory does not list it for “\(unit)”")
        }
        return "\(certificate.subject), valid until \(certificate.notAfter.shown)"
      }
      check("trust") {
        _ = try assembly.verifier(try assembly.directory())
        return settings.path("trust.anchorsFile") ?? ""
      }
      if !offline {
        let hosts = try settings.brokerHosts
        var caveat: String?
        for host in hosts {
          check(hosts.count == 1 ? "broker" : "broker \(host)") {
            let broker = try assembly.brokerSettings()
            let found = try BrokerCheck.run(broker, at: host)
            caveat = found.caveat ?? caveat
            let waiting = Lane.allCases.map { "\(found.waiting[$0] ?? 0) \($0)" }
            return "\(broker.address(of: host)) (\(found.broker)), waiting: "
              + waiting.joined(separator: ", ")
          }
        }
        if let caveat { Console.print("note  broker: \(caveat)") }
      }
      if failures > 0 { throw ExitCode(1) }
    }
  }
}
