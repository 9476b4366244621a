import ArgumentParser
import ExchangeCore
import UnitOffice

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Take a document of this unit in again, from an export of a unit that received it.",
    discussion: """
      For a node that was restored from a backup and does not know what it issued afterwards: \
      congvan quarantine names such documents (STATUS-UNMATCHED). The other unit writes \
      congvan export ID --out DIR. The same bytes are queued to every recipient again; those that \
      have the document answer with their stored receipts.
      """)

  @Argument(help: "The exported folder.") var export: String
  @Flag(help: "Print JSON: id, deliveries (the members of congvan deliveries --json).")
  var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let assembly = try folder.assembly()
    let (id, deliveries) = try assembly.office().takeIn(export: export)
    Output.hasDone("document \(id) is taken in")
    guard !json else {
      let watch = try assembly.receiptWatch()
      return Console.print(
        .object([
          "id": .string(id.rawValue), "deliveries": .array(deliveries.map { $0.json(watch) }),
        ]))
    }
    Console.print("took in \(id) with \(deliveries.count) deliveries")
  }
}
