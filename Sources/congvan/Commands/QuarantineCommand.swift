import ArgumentParser
import ExchangeCore
import ExchangeStore
import Foundation
import NodeDatabase
import NodeOperations
import UnitOffice

struct QuarantineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quarantine", abstract: "Messages that were not believed, and why.",
    subcommands: [List.self, Counts.self, Show.self, Release.self, Discard.self],
    defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the quarantine.")

    @Option(help: "At most so many messages, newest first.") var limit = 100
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var folder: NodeFolder

    func validate() throws { try Console.checkLimit(limit) }

    func run() throws {
      let store = try folder.assembly().store()
      var hasMore = false
      if json {
        try Console.array { emit in
          hasMore = try store.reader.eachQuarantined(limit: limit) { emit(.object($0.members)) }
        }
      } else {
        try Console.table(["ID", "ĐẾN LÚC", "NƠI GỬI", "MESSAGE-ID", "LÝ DO", "CHI TIẾT"]) { emit in
          hasMore = try store.reader.eachQuarantined(limit: limit) { message in
            emit([
              "\(message.key)", message.receivedAt.shown, message.sender,
              Console.cut(message.messageID, 40), message.outcome, message.detail ?? "",
            ])
          }
        }
      }
      if hasMore { Console.noteMore(limit, "messages") }
      let dropped = try store.reader.dropped().reduce(0) { $0 + $1.count }
      if dropped > 0, !json {
        Console.print("Not kept, only counted: \(dropped) messages (congvan quarantine counts)")
      }
    }
  }

  struct Counts: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Messages beyond a sender's quota: counted, not kept.")

    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var folder: NodeFolder

    func run() throws {
      let dropped = try folder.assembly().quarantine().counts()
      if json {
        return Console.print(
          .array(
            dropped.map { row in
              .object([
                "from": .string(row.sender), "outcome": .string(row.outcome),
                "count": .integer(row.count), "firstAt": .string(row.firstAt.iso8601),
                "lastAt": .string(row.lastAt.iso8601),
              ])
            }))
      }
      Console.table(
        ["NƠI GỬI", "LÝ DO", "SỐ LƯỢNG", "TỪ LÚC", "ĐẾN LÚC"],
        dropped.map {
          [$0.sender, $0.outcome, "\($0.count)", $0.firstAt.shown, $0.lastAt.shown]
        })
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show one message with its history; --out writes it to a file.")

    @Argument(help: "Id from the list.") var id: Int64
    @Option(help: "Write the message as it came to this new file.") var out: String?
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var folder: NodeFolder

    func run() throws {
      let store = try folder.assembly().store()
      let message = try store.reader.quarantined(key: id)
      let history = try store.reader.history(received: id)
      if let out {
        guard let body = message.body else {
          throw StoreError(
            .contentMissing, "message \(id): its content was not kept",
            next: "Show what is known of it without --out.")
        }
        guard !FileManager.default.fileExists(atPath: out),
          FileManager.default.createFile(atPath: out, contents: body)
        else {
          throw OfficeError(
            .exportExists, "out: “\(out)” exists or cannot be written",
            next: "Give the path of a new file that this user may make in --out.")
        }
      }
      if json {
        var members = message.members
        members["history"] = .array(history.map(\.json))
        return Console.print(.object(members))
      }
      Console.print(
        """
        Message \(message.key) from \(message.sender), \(message.type), \(message.size) bytes
        message-id  \(message.messageID)
        arrived     \(message.receivedAt.shown), again \(message.duplicates) times
        because     \(message.outcome): \(message.detail ?? "")
        """)
      for entry in history { Console.print("  " + entry.line) }
    }
  }

  /// What release and discard have in common: messages, and why.
  struct Decision: ParsableArguments {
    @Argument(help: "Ids from the list.") var ids: [Int64]
    @Option(help: "Why; recorded in the history.") var reason: String
    @OptionGroup var folder: NodeFolder

    /// All acts before the first report: a report that cannot be written ends the program.
    func report(
      _ words: String,
      _ act: (Quarantine, _ done: (Int64) -> Void) throws -> Quarantine.Outcome
    ) throws {
      let outcome = try act(folder.assembly().quarantine()) { id in
        Output.hasDone("message \(id) \(words)")
      }
      for id in outcome.done { Console.print("message \(id) \(words)") }
      Output.hasReported()
      var status: CInt = 0
      for failure in outcome.failures {
        status = max(status, Console.explain(failure.error, about: "message \(failure.id)"))
      }
      if status != 0 { throw ExitCode(status) }
    }
  }

  struct Release: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Have a message reviewed anew by the same rules.")

    @OptionGroup var decision: Decision

    func run() throws {
      try decision.report("is judged anew") { quarantine, done in
        try quarantine.release(decision.ids, reason: decision.reason, done: done)
      }
    }
  }

  struct Discard: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Put a message aside for good; row and history stay.")

    @OptionGroup var decision: Decision

    func run() throws {
      try decision.report("is put aside") { quarantine, done in
        try quarantine.discard(decision.ids, reason: decision.reason, done: done)
      }
    }
  }
}

extension QuarantinedMessage {
  fileprivate var members: [String: JSON] {
    [
      "id": .integer(key), "from": .string(sender), "messageId": .string(messageID),
      "type": .string(type), "outcome": .string(outcome), "detail": .text(detail),
      "size": .integer(size), "duplicates": .integer(Int64(duplicates)),
      "receivedAt": .time(receivedAt),
    ]
  }
}
