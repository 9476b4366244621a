import ArgumentParser
import ExchangeCore
import ExchangeStore

struct NoticesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "notices",
    abstract: "List statuses, tallies and answers of this unit that the broker has not taken yet.",
    discussion: """
      They need no command: the daemon sends them again by itself, suspended ones after an hour and \
      when it starts. What it says under LỖI is for the broker's operator.
      """)

  @Flag(help: "Only those that the broker refused so far.") var failed = false
  @Option(help: "At most so many, oldest first.") var limit = 1000
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func validate() throws { try Console.checkLimit(limit) }

  func run() throws {
    let store = try folder.assembly().store()
    var notices = try store.reader.openNotices(refused: failed, limit: limit + 1)
    if notices.count > limit {
      notices.removeLast()
      Console.noteMore(limit, "statuses, tallies and answers")
    }
    if json { return Console.print(.array(notices.map(\.json))) }
    Console.table(
      [
        "LOẠI", "NƠI NHẬN", "VỀ VIỆC", "TRẠNG THÁI", "LẦN THỬ", "THỬ LẠI LÚC", "CẬP NHẬT", "LỖI",
      ],
      notices.map { notice in
        [
          notice.kindText, notice.to.rawValue, notice.about ?? "-", notice.state,
          "\(notice.attempts)", notice.nextAt?.shown ?? "-", notice.updatedAt.shown,
          notice.lastError.map { "\($0) \(notice.lastErrorText ?? "")" } ?? "",
        ]
      })
  }
}

extension NoticeSummary {
  fileprivate var kindText: String {
    switch MessageKind(rawValue: type) {
    case .tally: "đối soát"
    case .tallyAnswer: "trả lời đối soát"
    default:
      code.map { code in
        StatusCode(code)?.vietnamese.map { "\(code) \($0)" } ?? code
      } ?? type
    }
  }

  fileprivate var json: JSON {
    .object([
      "id": .string(id), "type": .string(type), "code": .text(code), "to": .string(to.rawValue),
      "about": .text(about), "state": .string(state), "attempts": .integer(Int64(attempts)),
      "lastError": .text(lastError), "lastErrorText": .text(lastErrorText),
      "nextAt": .time(nextAt), "updatedAt": .time(updatedAt),
    ])
  }
}
