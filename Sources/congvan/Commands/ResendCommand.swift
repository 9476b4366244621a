import ArgumentParser
import ExchangeCore
import ExchangeStore
import UnitOffice

struct ResendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resend",
    abstract: "Send deliveries again: the same id and the same signed bytes.",
    discussion: """
      Name documents or deliveries (ID or ID/UNIT), take all that failed with --failed, or those of \
      a unit, a document or a time with --to, --document, --since and --until; criteria narrow each \
      other. What is in flight or delivered is left alone, and the list says so; what is in flight goes \
      again when its unit has answered and the answer was not believed.
      """)

  @Argument(help: "Ids of documents or deliveries.") var ids: [String] = []
  @OptionGroup var options: DeliveryOptions
  @Flag(help: "Show what would be sent; change nothing.") var dryRun = false
  @Option(help: "Why; recorded in the history.") var reason: String
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func validate() throws {
    guard !ids.isEmpty || options.narrows else {
      throw ValidationError(
        "Name deliveries, or use --failed, --to, --document, --since or --until.")
    }
    guard ids.isEmpty || options.document == nil else {
      throw ValidationError("Name documents, or use --document.")
    }
  }

  func run() throws {
    let assembly = try folder.assembly()
    let office = try assembly.office(signs: false)
    let filter = try options.filter(assembly, in: office.context.store)
    func each(_ body: (ResendResult) -> Void) throws {
      var hasQueued = false
      try office.resend(ids: ids, filter: filter, reason: reason, dryRun: dryRun) { step in
        if !dryRun, !hasQueued, step.contains(where: { $0.refusal == nil }) {
          hasQueued = true
          Output.hasDone("deliveries are queued again")
        }
        step.forEach(body)
      }
    }
    if json { return try Console.array { emit in try each { emit(json(of: $0)) } } }
    try Console.table(["DOCUMENT", "TO", "WAS", "RESULT"]) { emit in
      try each { result in
        emit([
          result.document.rawValue, result.to.rawValue, result.before.rawValue,
          (result.refusal.map { "left alone: \($0)" } ?? (dryRun ? "would be queued" : "queued"))
            + (result.remark.map { " (\($0))" } ?? ""),
        ])
      }
    }
  }

  private func json(of result: ResendResult) -> JSON {
    .object([
      "id": .string("\(result.document)/\(result.to)"),
      "document": .string(result.document.rawValue), "to": .string(result.to.rawValue),
      "before": .string(result.before.rawValue),
      "resent": .bool(result.refusal == nil && !dryRun),
      "wouldResend": .bool(result.refusal == nil), "refusal": .text(result.refusal),
      "remark": .text(result.remark),
    ])
  }
}
