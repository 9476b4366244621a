import ArgumentParser
import ExchangeCore
import ExchangeStore

struct QuarantineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quarantine", abstract: "List messages that were not believed, and why.")

  @Option(help: "At most so many messages, newest first.") var limit = 100
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let messages = try folder.assembly().store().quarantined(limit: limit)
    if json {
      return try Console.print(
        .array(
          messages.map { message in
            .object([
              "id": .integer(message.key), "from": .string(message.sender),
              "messageId": .string(message.messageID), "type": .string(message.type),
              "outcome": .string(message.outcome), "detail": .text(message.detail),
              "size": .integer(message.size), "duplicates": .integer(Int64(message.duplicates)),
              "receivedAt": .time(message.receivedAt),
            ])
          }))
    }
    Console.table(
      ["ID", "ĐẾN LÚC", "NƠI GỬI", "MESSAGE-ID", "LÝ DO", "CHI TIẾT"],
      messages.map { message in
        [
          "\(message.key)", message.receivedAt.shown, message.sender,
          Console.cut(message.messageID, 40), message.outcome, message.detail ?? "",
        ]
      })
  }
}
