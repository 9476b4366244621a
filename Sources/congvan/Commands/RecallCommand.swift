import ArgumentParser
import ExchangeCore
import UnitOffice

struct RecallCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recall",
    abstract: "Take a document back (lấy lại), or answer the sender who takes one back.",
    discussion: """
      For an outgoing document: freezes it, cancels what was not sent, and sends a signed status 13 \
      with the reason to every recipient. For an incoming document that its sender takes back: \
      --agree answers 15, --decline answers 16 with the reason.
      """)

  @Argument(help: "Id of the document, or its beginning.") var id: String
  @Flag(help: "Incoming: agree to the take-back (15).") var agree = false
  @Flag(help: "Incoming: decline the take-back (16).") var decline = false
  @Option(help: "Why; the other unit reads it.") var reason: String?
  @OptionGroup var folder: NodeFolder

  func validate() throws {
    guard !(agree && decline) else { throw ValidationError("Either --agree or --decline.") }
  }

  func run() throws {
    let office = try folder.assembly().office()
    if agree || decline {
      let id = try office.answerRecall(id, agree: agree, reason: reason)
      Output.hasDone("the take-back of \(id) is answered")
      return Console.print("answered the take-back of \(id) with \(agree ? "15" : "16")")
    }
    let (id, units) = try office.recall(id, reason: reason ?? "")
    Output.hasDone("document \(id) is taken back")
    Console.print("took back \(id); status 13 is queued for \(units.count) unit(s)")
  }
}
