package import ExchangeCore
package import ExchangeStore
import Foundation

/// Issues documents and waits for their verified receipts, on the path that every document takes.
package struct Bench: Sendable {
  package struct Result: Sendable {
    /// From issue to stored receipt, in milliseconds, ascending.
    let latencies: [Double]
    /// From the first issue to the last receipt.
    package let seconds: Double

    package var documentsPerSecond: Double { Double(latencies.count) / seconds }

    /// The latency that the share `quantile` (0…1) of the documents did not exceed.
    package func latency(_ quantile: Double) -> Double {
      let index = Int((Double(latencies.count) * quantile).rounded(.up)) - 1
      return latencies[min(max(index, 0), latencies.count - 1)]
    }
  }

  /// Documents between issue and receipt: enough to keep the pipeline full, few enough that the
  /// latency is that of the path and not of a queue.
  private static let inFlight = 128
  private static let group = 16

  private let office: Office
  private let recipient: Directory.Unit

  package init(context: NodeContext, recipient: Directory.Unit, actor: Actor) {
    office = Office(context: context, actor: actor)
    self.recipient = recipient
  }

  /// Throws `NodeError.unreachable` when no receipt came for `patience`.
  package func run(size: Int, count: Int, patience: Duration) async throws -> Result {
    let context = office.context
    let start = context.clock.now
    var issued = 0
    var watermark = try context.store.lastDelivery()
    let first = watermark
    var random = SystemRandomNumberGenerator()
    var payload = Data("%PDF-1.7\n".utf8)
    payload.append(
      contentsOf: (0..<(size - 9)).map { _ in UInt8.random(in: 0...255, using: &random) })
    var lastProgress = context.clock.now
    var open = 0
    while issued < count || open > 0 {
      if issued < count, open < Self.inFlight {
        let batch = min(Self.group, count - issued)
        try context.store.files.keeping {
          try context.store.issue(
            try (0..<batch).map { try document(issued + $0 + 1, payload: &payload) },
            at: context.clock.now, by: office.actor)
        }
        issued += batch
      } else {
        try await Task.sleep(for: .milliseconds(2))
      }
      let before = open
      open = try context.store.openDeliveries(after: first)
      if open != before { lastProgress = context.clock.now }
      guard lastProgress.duration(to: context.clock.now) < patience else {
        throw NodeError(
          .unreachable,
          "\(open) documents have no receipt: does the daemon of “\(recipient.id)” run?")
      }
    }
    watermark = try context.store.lastDelivery()
    let spans = try context.store.deliverySpans(after: first, through: watermark)
    guard spans.count == count, let end = spans.map(\.finished).max() else {
      throw NodeError(.unreachable, "\(count - spans.count) documents were not delivered")
    }
    return Result(
      latencies: spans.map { $0.created.duration(to: $0.finished).seconds * 1000 }.sorted(),
      seconds: start.duration(to: end).seconds)
  }

  private func document(_ number: Int, payload: inout Data) throws -> IssuedDocument {
    let context = office.context
    // Different content each time: equal digests would travel only once.
    let mark = withUnsafeBytes(of: UInt64.random(in: 0...UInt64.max)) { Data($0) }
    payload.replaceSubrange(payload.count - mark.count..<payload.count, with: mark)
    let content = try context.store.files.ingest(payload)
    let now = context.clock.now
    return try office.seal(
      Manifest(
        documentID: RecordID(at: now), createdAt: now, from: context.unit,
        to: [Organ(organId: recipient.id, organName: recipient.name)],
        number: try ReferenceNumber(codeNumber: "\(number)", separator: .slash, codeNotation: "BM"),
        issuedDate: CalendarDate(now), typeName: "Báo cáo", subject: "Đo tốc độ \(number)",
        attachments: [
          Attachment(
            name: "do-toc-do-\(number).pdf", mediaType: "application/pdf", size: content.size,
            sha256: content.sha256)
        ]), contents: [content])
  }
}
