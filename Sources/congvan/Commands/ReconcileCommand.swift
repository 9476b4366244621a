import ArgumentParser
import ExchangeCore
import ExchangeNode
import ExchangeStore
import Logging

struct ReconcileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reconcile",
    abstract: "Compare with other units what was sent and what arrived (đối soát).",
    discussion: """
      Sends a signed tally to the unit, or to every unit that something was sent to, and shows how \
      things stand. The unit answers with what it lacks, and the daemon sends that again by itself; \
      it also sends a tally by itself every reconcile.intervalHours.
      """)

  @Argument(help: "Only this unit, alias or @group.") var unit: String?
  @Flag(help: "Only show; send no tally.") var show = false
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let assembly = try folder.assembly()
    let units = try unit.map(assembly.identifiers)
    let store = try assembly.store()
    func reconciliations() throws -> [Reconciliation] {
      try units?.flatMap { try store.reader.reconciliations(with: $0) }
        ?? store.reader.reconciliations(with: nil)
    }
    var queued: Set<UnitID> = []
    var failures: [UnitID: any Error] = [:]
    if !show {
      let upkeep = Upkeep(
        context: try assembly.context(), policy: try assembly.settings.reconciliation,
        log: Logger(label: "congvan"))
      for pair in try reconciliations() {
        // A unit that fails is no reason to leave out those after it.
        do {
          guard try upkeep.tally(pair.unit, by: Assembly.actor) else { continue }
          queued.insert(pair.unit)
          Output.hasDone("a tally to \(pair.unit) is queued")
        } catch {
          failures[pair.unit] = error
        }
      }
    }
    let pairs = try reconciliations()
    report(pairs, queued, failures)
    Output.hasReported()
    var status: CInt = 0
    for (unit, error) in failures.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      status = max(status, Console.explain(error, about: "tally to “\(unit)”"))
    }
    if status != 0 { throw ExitCode(status) }
  }

  private func report(
    _ pairs: [Reconciliation], _ queued: Set<UnitID>, _ failures: [UnitID: any Error]
  ) {
    if json {
      return Console.print(
        .array(
          pairs.map { pair in
            .object([
              "unit": .string(pair.unit.rawValue), "sent": .integer(Int64(pair.sent)),
              "receipts": .integer(Int64(pair.receipts)), "lastTally": .time(pair.lastTally),
              "answeredAt": .time(pair.answeredAt),
              "missing": pair.missing.map { .integer(Int64($0)) } ?? .null,
              "queued": .bool(queued.contains(pair.unit)),
              "error": failures[pair.unit].map { Explanation($0).json } ?? .null,
            ])
          }))
    }
    Console.table(
      [
        "NƠI NHẬN", "ĐÃ GỬI", "ĐÃ CÓ BIÊN NHẬN", "ĐỐI SOÁT LÚC", "TRẢ LỜI LÚC",
        "THIẾU (ĐÃ GỬI LẠI)",
      ],
      pairs.map { pair in
        [
          pair.unit.rawValue, "\(pair.sent)", "\(pair.receipts)", pair.lastTally?.shown ?? "-",
          pair.answeredAt?.shown ?? "-", pair.missing.map { "\($0)" } ?? "-",
        ]
      })
  }
}
