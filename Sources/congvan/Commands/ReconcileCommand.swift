import ArgumentParser
import ExchangeCore
import ExchangeStore
import Logging
import NodeOperations

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
    let store = try assembly.store()
    let units = try unit.map { try assembly.identifiers(named: $0, in: store) }
    var outcome = TallyByHand.Outcome()
    if !show {
      let tally = TallyByHand(
        context: try assembly.context(store: store), policy: try assembly.settings.reconciliation,
        actor: Assembly.actor, log: Logger(label: "congvan"))
      outcome = try tally.send(to: units) { Output.hasDone("a tally to \($0) is queued") }
    }
    let pairs = try store.reader.reconciliations(withAny: units)
    report(pairs, outcome)
    Output.hasReported()
    var status: CInt = 0
    for (unit, error) in outcome.failures.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      status = max(status, Console.explain(error, about: "tally to “\(unit)”"))
    }
    if status != 0 { throw ExitCode(status) }
  }

  private func report(_ pairs: [Reconciliation], _ outcome: TallyByHand.Outcome) {
    if json {
      return Console.print(
        .array(
          pairs.map { pair in
            .object([
              "unit": .string(pair.unit.rawValue), "sent": .integer(Int64(pair.sent)),
              "receipts": .integer(Int64(pair.receipts)), "lastTally": .time(pair.lastTally),
              "answeredAt": .time(pair.answeredAt),
              "missing": pair.missing.map { .integer(Int64($0)) } ?? .null,
              "queued": .bool(outcome.queued.contains(pair.unit)),
              "error": outcome.failures[pair.unit].map { Explanation($0).json } ?? .null,
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
