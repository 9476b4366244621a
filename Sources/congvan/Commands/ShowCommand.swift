import ArgumentParser
import ExchangeCore
import ExchangeStore
import UnitOffice

struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show all that is known about a document: record, files, signatures, history.")

  @Argument(help: "Id of the document, or its beginning.") var id: String
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let assembly = try folder.assembly()
    let (store, watch) = (try assembly.store(), try assembly.receiptWatch())
    let (document, direction) = try store.reader.find(id, preferring: "outgoing")
    var filter = DeliveryFilter()
    filter.documents = [document.id]
    let deliveries = try store.reader.deliveries(filter)
    let statuses = try store.reader.statuses(document: document.key)
    let history = try store.reader.history(document: document.key)
    let acts = try store.reader.acts(document: document.key)
    let unbelieved = try store.reader.unbelieved(document: document.key)
    let incoming = try store.reader.incomingDocument(key: document.key)
    let verifier = try assembly.verifier(assembly.directory(), assembly.trust())
    let signature = try SignatureDescription(store: store, verifier: verifier).text(
      of: document, incoming: incoming, deliveries: deliveries, history: history)
    let key = direction == "outgoing" ? try store.reader.issueKey(document: document.key) : nil
    let remarks = store.remarks(on: document)
    if json {
      var members = document.members
      members["direction"] = .string(direction)
      members["state"] = .text(incoming?.state.rawValue)
      members["duplicates"] = incoming.map { .integer(Int64($0.duplicates)) } ?? .null
      members["takeBackOpen"] = incoming.map { .bool($0.hasOpenTakeBack) } ?? .null
      members["deliveries"] = .array(deliveries.map { $0.json(watch) })
      members["key"] = .text(key)
      members["warnings"] = .array(
        remarks.map { file, remark in
          .object([
            "code": .string(remark.rawValue), "file": .string(file.name),
            "text": .string(remark.vietnamese),
          ])
        })
      members["signature"] = .string(signature)
      members["statuses"] = .array(
        statuses.map { status in
          .object([
            "id": .string(status.id.rawValue), "code": .string(status.code),
            "direction": .string(status.direction), "from": .string(status.from.rawValue),
            "to": .string(status.to.rawValue), "at": .time(status.at),
            "reasonCode": .text(status.reasonCode), "description": .text(status.note),
          ])
        })
      members["history"] = .array(history.map(\.json))
      members["acts"] = .array(acts.map(\.json))
      members["unbelieved"] = .array(unbelieved.map(\.json))
      return Console.print(.object(members))
    }
    Console.print(
      """
      \(document.typeName) \(document.number) ngày \(document.issuedDate)
      \(document.subject)

      Id            \(document.id)  (\(direction == "incoming" ? "văn bản đến" : "văn bản đi"))\(document.frozenText)
      Nơi gửi       \(document.sender)
      Độ khẩn       \(document.urgency.vietnamese)
      Chữ ký số     \(signature)
      """)
    if let key { Console.print("Khóa gửi      \(key)") }
    if let incoming {
      Console.print(
        "Trạng thái    \(incoming.state.rawValue), đến lúc \(incoming.receivedAt.shown)")
    }
    Console.print("\nTệp")
    for file in document.attachments {
      Console.print("  \(file.name)  \(Console.bytes(file.size))  \(file.sha256)")
      for item in remarks where item.file == file {
        Console.print("    lưu ý: \(item.remark.vietnamese)")
      }
    }
    if !deliveries.isEmpty {
      Console.print("\nNơi nhận")
      for delivery in deliveries {
        Console.print(
          "  \(delivery.to)  \(delivery.stateText(watch))  \(delivery.statusText)"
            + (delivery.lastError.map { "  \($0) \(delivery.lastErrorText ?? "")" } ?? "")
            + "\(delivery.unbelievedMark)")
      }
    }
    if !statuses.isEmpty {
      Console.print("\nTrạng thái nghiệp vụ (đã ký)")
      for status in statuses {
        let words = StatusCode(status.code)?.vietnamese ?? "?"
        Console.print(
          "  \(status.at.shown)  \(status.from) → \(status.to)  \(status.code) \(words)"
            + (status.reasonCode.map { "  \($0)" } ?? "") + (status.note.map { ": \($0)" } ?? ""))
      }
    }
    if !unbelieved.isEmpty {
      Console.print("\nTrạng thái đến mà chưa tin được (nội dung chưa kiểm chứng)")
      for status in unbelieved { Console.print(status.lines(document: document.id)) }
    }
    if !acts.isEmpty {
      Console.print("\nNgười thực hiện")
      for act in acts { Console.print("  " + act.line) }
    }
    Console.print("\nLịch sử")
    for entry in history { Console.print("  " + entry.line) }
  }
}
