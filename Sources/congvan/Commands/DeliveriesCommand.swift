import ArgumentParser
import ExchangeCore
import ExchangeStore
import Foundation
import UnitOffice

/// Which deliveries a command is about.
struct DeliveryOptions: ParsableArguments {
  @Option(help: "Only deliveries to this unit, alias or @group.") var to: String?
  @Option(help: "Only deliveries of this document.") var document: String?
  @Flag(help: "Only deliveries that a person must act on: suspended, refused, expired.")
  var failed = false
  @Option(
    help: "Only deliveries that changed since then: 2026-11-20, 2026-11-20T08:00:00+07:00, 24h.")
  var since: String?
  @Option(help: "Only deliveries that changed before then; of a date, until its end.")
  var until: String?

  /// False when every delivery is meant.
  var narrows: Bool {
    failed || [to, document, since, until].contains { $0 != nil }
  }

  /// `store` is that of the node.
  func filter(_ assembly: Assembly, in store: Store) throws -> DeliveryFilter {
    let now = SystemClock().now
    var filter = DeliveryFilter()
    filter.to = try to.map { try assembly.identifiers(named: $0, in: store) } ?? []
    if let document {
      filter.documents = [
        try store.reader.find(document, preferring: "outgoing").summary.id
      ]
    }
    if failed {
      filter.states = OutgoingState.allCases.filter(\.isFailed)
      filter.isInForce = true
    }
    filter.since = try since.map { try Moment.parse($0, field: "since", now: now) }
    filter.until = try until.map { try Moment.parse($0, field: "until", now: now, endOfDay: true) }
    if let since = filter.since, let until = filter.until, until <= since {
      throw DocumentError(
        .date, "until: is not after since", next: "Give a later --until or an earlier --since.")
    }
    return filter
  }
}

/// Moments as administrators type them.
enum Moment {
  /// A date (its beginning, or with `endOfDay` its end, in Vietnam), a moment with its zone, or a
  /// span before (with `isFuture` after) `now`: `90m`, `24h`, `3d`.
  static func parse(
    _ text: String, field: String, now: Timestamp, isFuture: Bool = false, endOfDay: Bool = false
  ) throws -> Timestamp {
    if let time = Timestamp(iso8601: text) { return time }
    let clock = endOfDay ? "23:59:59.999999" : isFuture ? "23:59:59" : "00:00:00"
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
      .date, "\(field): “\(text)” is not a date, a moment with its zone, or a span such as 24h",
      next: "Write 2026-11-20, 2026-11-20T08:00:00+07:00, 90m, 24h or 3d.")
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
  @OptionGroup var options: DeliveryOptions
  @Flag(
    help: "Only deliveries that wait longer for their receipt than receipt.overdueHours.")
  var overdue = false
  @Flag(
    help: "Only deliveries without a receipt that expire within receipt.expiryWarningHours.")
  var expiring = false
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let assembly = try folder.assembly()
    let (store, watch) = (try assembly.store(), try assembly.receiptWatch())
    var filter = try options.filter(assembly, in: store)
    if let state {
      guard let known = OutgoingState(rawValue: state) else {
        let names = OutgoingState.allCases.map(\.rawValue).joined(separator: ", ")
        throw DocumentError(
          .text, "state: “\(state)” is not one of \(names)", next: "Give one of them in --state.")
      }
      filter.states = [known]
    }
    if overdue { filter.overdueBefore = watch.overdueBefore }
    if expiring { filter.expiringBefore = watch.expiringBefore }
    if json {
      return try Console.array { emit in
        try store.reader.eachDelivery(filter) { emit($0.json(watch)) }
      }
    }
    try Console.table(
      ["VĂN BẢN", "NƠI NHẬN", "TRẠNG THÁI", "NGHIỆP VỤ", "LẦN THỬ", "CẬP NHẬT", "LỖI"]
    ) { emit in
      try store.reader.eachDelivery(filter) { delivery in
        emit([
          delivery.document.rawValue, delivery.to.rawValue, delivery.stateText(watch),
          delivery.statusText, "\(delivery.attempts)", delivery.updatedAt.shown,
          (delivery.lastError.map { "\($0) \(delivery.lastErrorText ?? "")" } ?? "")
            + delivery.unbelievedMark,
        ])
      }
    }
  }
}
