import ArgumentParser
import ExchangeCore
import ExchangeStore

struct InboxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inbox", abstract: "List incoming documents (văn bản đến).")

  @Option(help: "At most so many documents, newest first.") var limit = 100
  @Flag(help: "Only documents whose sender takes them back and that await this unit's answer.")
  var recalled = false
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let store = try folder.assembly().store()
    let documents = try store.incomingDocuments(limit: limit, recalled: recalled)
    if json { return try Console.print(.array(documents.map(\.json))) }
    Console.table(
      [
        "ID", "ĐẾN LÚC", "NƠI GỬI", "SỐ, KÝ HIỆU", "NGÀY VB", "LOẠI", "TRÍCH YẾU", "ĐỘ KHẨN", "TỆP",
        "TRẠNG THÁI",
      ],
      documents.map { incoming in
        let document = incoming.document
        return [
          document.id.rawValue, incoming.receivedAt.shown, document.sender.rawValue,
          document.number, document.issuedDate, document.typeName,
          Console.cut(document.subject, 50), document.urgency.vietnamese,
          "\(document.attachments.count)",
          incoming.state.rawValue + (incoming.status.map { " \($0)" } ?? "")
            + document.frozenText + (incoming.hasOpenTakeBack ? " – chờ trả lời lấy lại" : ""),
        ]
      })
    let open = documents.count(where: \.hasOpenTakeBack)
    if open > 0 {
      Console.note(
        "\(open) document(s) are taken back by their sender; answer with: congvan recall ID --agree, "
          + "or --decline --reason …")
    }
    let quarantined = try store.quarantined(limit: 1000).count
    if quarantined > 0 {
      Console.note("\(quarantined) message(s) in quarantine; see: congvan quarantine")
    }
  }
}
