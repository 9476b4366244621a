import ArgumentParser
import ExchangeCore
import ExchangeStore
import Foundation
import UnitOffice

struct SendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send", abstract: "Sign a document and queue it for its recipients (phát hành).",
    discussion: """
      The first file is the main document. The daemon sends it, now or when it starts.

      A program that repeats a send because it does not know how the first one ended gives both the \
      same --key: the document is issued once, and the repetition prints what the first one printed. \
      The same key with another content is an error (SEND-KEY-USED) that says what differs.
      """)

  @Argument(help: "The main document, then its attachments.") var files: [String]
  @Option(
    parsing: .upToNextOption, help: "Units, aliases or @groups of the directory (nơi nhận).")
  var to: [String]
  @Option(help: "Reference number (số, ký hiệu): 159/QĐ-LĐLĐ, 762-CV/TU.") var number: String
  @Option(help: "Date of the document, yyyy-MM-dd.") var date: String
  @Option(help: "Kind of document (tên loại): Quyết định, Báo cáo, Công văn …") var type: String
  @Option(help: "Abstract (trích yếu).") var subject: String
  @Option(help: "Name of the signatory (người ký).") var signer: String?
  @Option(help: "Position of the signatory (chức vụ).") var position: String?
  @Option(help: "Signing capacity: TM., KT., TL., TUQ., Q.") var capacity: String?
  @Option(help: "thường, khẩn, thượng-khẩn or hỏa-tốc.") var urgency: String?
  @Option(help: "Date by which an answer is expected, yyyy-MM-dd.") var due: String?
  @Option(
    help: "End the deliveries without a receipt then: a date, a moment, or a span such as 3d.")
  var expires: String?
  @Option(help: "Id of the document that this one answers.") var replyTo: String?
  @Option(help: "Id of the document of this unit that this one replaces (thay thế).")
  var replaces: String?
  @Option(help: "Secrecy mark: anything but “Thường” is refused (Điều 5).") var secrecy: String?
  @Flag(help: "Send texts as they are although they look like TCVN3 or VNI.") var textAsIs = false
  @Option(
    help: "Issue at most one document under this key: 1 to 128 of A-Z a-z 0-9 . _ - : / + = @ #.")
  var key: String?
  @Flag(
    help: """
      Print JSON: id, deliveries (the members of congvan deliveries --json), key, repeated, \
      warnings (code, text).
      """)
  var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    var draft = OutgoingDraft(
      files: files, recipients: to, number: number, date: date, typeName: type, subject: subject)
    draft.signerName = signer
    draft.position = position
    draft.competence = capacity
    draft.dueDate = due
    draft.replyTo = replyTo
    draft.replaces = replaces
    draft.secrecyMark = secrecy
    draft.textAsIs = textAsIs
    draft.expiresAt = try expires.map {
      try Moment.parse($0, field: "expires", now: SystemClock().now, isFuture: true)
    }
    draft.expiresAsGiven = expires
    draft.key = key
    if let urgency {
      guard let known = Urgency(vietnamese: urgency) else {
        throw DocumentError(
          .text, "urgency: “\(urgency)” is not thường, khẩn, thượng-khẩn or hỏa-tốc",
          next: "Give one of the four in --urgency.")
      }
      draft.urgency = known
    }
    let assembly = try folder.assembly()
    let sent = try assembly.office().send(draft)
    Output.hasDone("document \(sent.id) is issued")
    if sent.isRepeated {
      Console.note("note: \(sent.id) was issued before under this key; nothing was issued again")
    }
    Console.warn(sent.warnings)
    if json {
      let watch = try assembly.receiptWatch()
      Console.print(
        .object([
          "id": .string(sent.id.rawValue),
          "deliveries": .array(sent.deliveries.map { $0.json(watch) }),
          "key": .text(sent.key), "repeated": .bool(sent.isRepeated),
          "warnings": .array(sent.warnings.map(\.json)),
        ]))
    } else {
      Console.print("\(sent.id)")
    }
  }
}
