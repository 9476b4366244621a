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

  func validate() throws { try Console.checkLimit(limit) }

  func run() throws {
    let store = try folder.assembly().store()
    var (hasMore, open) = (false, 0)
    if json {
      try Console.array { emit in
        hasMore = try store.reader.eachIncoming(limit: limit, recalled: recalled) { emit($0.json) }
      }
      if hasMore { Console.noteMore(limit, "documents") }
      return
    }
    try Console.table([
      "ID", "ĐẾN LÚC", "NƠI GỬI", "SỐ, KÝ HIỆU", "NGÀY VB", "LOẠI", "TRÍCH YẾU", "ĐỘ KHẨN", "TỆP",
      "TRẠNG THÁI",
    ]) { emit in
      hasMore = try store.reader.eachIncoming(limit: limit, recalled: recalled) { incoming in
        if incoming.hasOpenTakeBack { open += 1 }
        let document = incoming.document
        emit([
          document.id.rawValue, incoming.receivedAt.shown, document.sender.rawValue,
          document.number, document.issuedDate, document.typeName,
          Console.cut(document.subject, 50), document.urgency.vietnamese,
          "\(document.attachments.count)",
          incoming.state.rawValue + (incoming.status.map { " \($0)" } ?? "")
            + document.frozenText + (incoming.hasOpenTakeBack ? " – chờ trả lời lấy lại" : ""),
        ])
      }
    }
    if hasMore { Console.noteMore(limit, "documents") }
    if open > 0 {
      Console.note(
        "\(open) document(s) are taken back by their sender; answer with: congvan recall ID --agree, "
          + "or --decline --reason …")
    }
    let quarantined = try store.reader.quarantinedCount()
    if quarantined > 0 {
      Console.note("\(quarantined) message(s) in quarantine; see: congvan quarantine")
    }
  }
}
