import ArgumentParser
import ExchangeCore
import ExchangeNode
import ExchangeStore

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a document with signature and receipts, verifiable with plain openssl.")

  @Argument(help: "Id of the document, or its beginning.") var id: String
  @Option(help: "A new or empty folder.") var out: String
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let context = try folder.assembly().context()
    let (document, _) = try context.store.reader.find(id, preferring: "outgoing")
    if let incoming = try context.store.reader.incomingDocument(key: document.key),
      incoming.state != .accepted
    {
      throw NodeError(
        .notYetWhole, "document \(document.id) is \(incoming.state.rawValue), not accepted")
    }
    _ = try ExportFolder.write(document, context: context, to: out)
    Output.hasDone("the export \(out) is written")
    Console.print(
      """
      Wrote \(out). Check it anywhere with:
        congvan verify \(out) --ca ca.crt
        openssl cms -verify -inform DER -in \(out)/\(ExportFolder.manifestName) -CAfile ca.crt -out manifest.json
      """)
  }
}
