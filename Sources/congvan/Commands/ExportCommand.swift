import ArgumentParser
import ExchangeCore
import UnitOffice

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a document with signature and receipts, verifiable with plain openssl.")

  @Argument(help: "Id of the document, or its beginning.") var id: String
  @Option(help: "A new or empty folder.") var out: String
  @OptionGroup var folder: NodeFolder

  func run() throws {
    _ = try folder.assembly().office(signs: false).export(id, to: out)
    Output.hasDone("the export \(out) is written")
    Console.print(
      """
      Wrote \(out). Check it anywhere with:
        congvan verify \(out) --ca ca.crt
        openssl cms -verify -inform DER -in \(out)/\(ExportFolder.manifestName) -CAfile ca.crt -out manifest.json
      """)
  }
}
