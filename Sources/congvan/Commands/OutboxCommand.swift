import ArgumentParser
import ExchangeCore
import ExchangeStore

struct OutboxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "outbox", abstract: "List outgoing documents (văn bản đi) with their deliveries.")

  @Option(help: "At most so many documents, newest first.") var limit = 100
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func validate() throws { try Console.checkLimit(limit) }

  func run() throws {
    let assembly = try folder.assembly()
    let (store, watch) = (try assembly.store(), try assembly.receiptWatch())
    // The deliveries of one document are in memory at a time.
    func each(_ body: (DocumentSummary, [DeliverySummary]) -> Void) throws -> Bool {
      try store.reader.eachOutgoing(limit: limit) { document in
        var filter = DeliveryFilter()
        filter.documents = [document.id]
        body(document, try store.reader.deliveries(filter))
      }
    }
    var hasMore = false
    if json {
      try Console.array { emit in
        hasMore = try each { document, deliveries in
          var members = document.members
          members["createdAt"] = .time(document.createdAt)
          members["deliveries"] = .array(deliveries.map { $0.json(watch) })
          emit(.object(members))
        }
      }
    } else {
      try Console.table(
        ["ID", "SỐ, KÝ HIỆU", "NGÀY VB", "LOẠI", "TRÍCH YẾU", "ĐÃ NHẬN", "TRẠNG THÁI"]
      ) { emit in
        hasMore = try each { emit(row($0, $1, watch)) }
      }
    }
    if hasMore { Console.noteMore(limit, "documents") }
  }

  private func row(
    _ document: DocumentSummary, _ deliveries: [DeliverySummary], _ watch: ReceiptWatch
  ) -> [String] {
    let received = deliveries.count { $0.state == .delivered }
    let states = Dictionary(grouping: deliveries) { $0.stateText(watch) }
      .map { "\($0.key) \($0.value.count)" }.sorted().joined(separator: ", ")
    return [
      document.id.rawValue, document.number, document.issuedDate, document.typeName,
      Console.cut(document.subject, 50), "\(received)/\(deliveries.count)",
      states + document.frozenText,
    ]
  }
}
