import ArgumentParser
import ExchangeCore
import ExchangeStore

struct OutboxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "outbox", abstract: "List outgoing documents (văn bản đi) with their deliveries.")

  @Option(help: "At most so many documents, newest first.") var limit = 100
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let assembly = try folder.assembly()
    let (store, watch) = (try assembly.store(), try assembly.receiptWatch())
    let documents = try store.outgoingDocuments(limit: limit)
    var filter = DeliveryFilter()
    filter.documents = documents.map(\.id)
    let deliveries = documents.isEmpty ? [] : try store.deliveries(filter)
    let byDocument = Dictionary(grouping: deliveries, by: \.document)
    if json {
      return try Console.print(
        .array(
          documents.map { document in
            var members = document.members
            members["createdAt"] = .time(document.createdAt)
            members["deliveries"] = .array((byDocument[document.id] ?? []).map { $0.json(watch) })
            return .object(members)
          }))
    }
    Console.table(
      ["ID", "SỐ, KÝ HIỆU", "NGÀY VB", "LOẠI", "TRÍCH YẾU", "ĐÃ NHẬN", "TRẠNG THÁI"],
      documents.map { document in
        let deliveries = byDocument[document.id] ?? []
        let received = deliveries.count { $0.state == .delivered }
        let states = Dictionary(grouping: deliveries) { $0.stateText(watch) }
          .map { "\($0.key) \($0.value.count)" }.sorted().joined(separator: ", ")
        return [
          document.id.rawValue, document.number, document.issuedDate, document.typeName,
          Console.cut(document.subject, 50), "\(received)/\(deliveries.count)",
          states + document.frozenText,
        ]
      })
  }
}
