import ArgumentParser
import ExchangeCore
import UnitOffice

struct RefuseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "refuse",
    abstract: "Refuse an incoming document (từ chối): a signed status 02 goes to the sender.")

  @Argument(help: "Id of the incoming document, or its beginning.") var id: String
  @Option(help: "Why; the sender reads it.") var reason: String
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let id = try folder.assembly().office().refuse(id, reason: reason)
    Output.hasDone("document \(id) is refused")
    Console.print("refused \(id): status 02 is queued for the sender")
  }
}
