import ArgumentParser
import ExchangeCore
import ExchangeNode
import ExchangeStore
import Foundation

/// Which deliveries a command is about.
struct DeliveryOptions: ParsableArguments {
  @Option(help: "Only deliveries to this unit.") var to: String?
  @Flag(help: "Only deliveries that a person must act on: suspended, refused, expired.")
  var failed = false
  @Option(
    help: "Only deliveries that changed since then: 2026-11-20, 2026-11-20T08:00:00+07:00, 24h.")
  var since: String?

  func filter(now: Timestamp) throws -> DeliveryFilter {
    var filter = DeliveryFilter()
    if let to {
      guard let unit = UnitID(to) else {
        throw DirectoryError(.unknown, "to: “\(to)” is not a unit identifier")
      }
      filter.to = unit
    }
    if failed { filter.states = OutgoingState.allCases.filter(\.isFailed) }
    filter.since = try since.map { try Moment.parse($0, field: "since", now: now) }
    return filter
  }
}

/// Moments as administrators type them.
enum Moment {
  /// A date (its beginning, or with `isFuture` its end, in Vietnam), a moment with its zone, or a
  /// span before (with `isFuture` after) `now`: `90m`, `24h`, `3d`.
  static func parse(_ text: String, field: String, now: Timestamp, isFuture: Bool = false) throws
    -> Timestamp
  {
    if let time = Timestamp(iso8601: text) { return time }
    let clock = isFuture ? "23:59:59" : "00:00:00"
    if CalendarDate(text) != nil, let time = Timestamp(iso8601: "\(text)T\(clock)+07:00") {
      return time
    }
    let units: [Character: Int64] = ["m": 60, "h": 3600, "d": 86_400]
    if let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()),
      (0...100_000).contains(count)
    {
      return now.advanced(by: .seconds((isFuture ? count : -count) * unit))
    }
    throw DocumentError(
      .date, "\(field): “\(text)” is not a date, a moment with its zone, or a span such as 24h")
  }
}

struct DeliveriesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deliveries", abstract: "List deliveries: one document to one unit each.")

  @Option(
    help: ArgumentHelp(
      "Only deliveries in this state.",
      valueName: OutgoingState.allCases.map(\.rawValue).joined(separator: "|")))
  var state: String?
  @Option(help: "Only deliveries of this document.") var document: String?
  @OptionGroup var options: DeliveryOptions
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let store = try folder.assembly().store()
    var filter = try options.filter(now: SystemClock().now)
    if let state {
      guard let known = OutgoingState(rawValue: state) else {
        let names = OutgoingState.allCases.map(\.rawValue).joined(separator: ", ")
        throw DocumentError(.text, "state: “\(state)” is not one of \(names)")
      }
      filter.states = [known]
    }
    if let document {
      filter.documents = [try store.find(document, preferring: "outgoing").summary.id]
    }
    let deliveries = try store.deliveries(filter)
    if json { return try Console.print(.array(deliveries.map(\.json))) }
    Console.table(
      ["VĂN BẢN", "NƠI NHẬN", "TRẠNG THÁI", "NGHIỆP VỤ", "LẦN THỬ", "CẬP NHẬT", "LỖI"],
      deliveries.map { delivery in
        [
          delivery.document.rawValue, delivery.to.rawValue, delivery.state.rawValue,
          delivery.statusText, "\(delivery.attempts)", delivery.updatedAt.shown,
          delivery.lastError.map { "\($0) \(delivery.lastErrorText ?? "")" } ?? "",
        ]
      })
  }
}
