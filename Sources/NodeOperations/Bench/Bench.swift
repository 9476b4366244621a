package import ExchangeCore
package import ExchangeNode
import ExchangeStore
import Foundation

/// Issues documents and waits for their verified receipts, on the path that every document takes.
package struct Bench: Sendable {
  package struct Result: Sendable {
    /// From issue to stored receipt, in milliseconds, ascending.
    let latencies: [Double]
    /// From the first issue to the last receipt.
    package let seconds: Double
    /// Deliveries of other documents that had no receipt when the last of these had.
    package let waiting: Int

    package var documentsPerSecond: Double { Double(latencies.count) / seconds }

    /// The latency that the share `quantile` (0…1) of the documents did not exceed.
    package func latency(_ quantile: Double) -> Double {
      let index = Int((Double(latencies.count) * quantile).rounded(.up)) - 1
      return latencies[min(max(index, 0), latencies.count - 1)]
    }
  }

  package struct Plan: Sendable {
    /// Bytes of the one attachment of each document.
    package var size = 100_000
    package var count = 1000
    package var urgency = Urgency.normal
    /// Documents between issue and receipt: enough to keep the pipeline full, few enough that the
    /// latency is that of the path and not of a queue. 1: each waits for the receipt of the one
    /// before.
    package var inFlight = 128
    /// How long no receipt may come.
    package var patience = Duration.seconds(30)

    package init() {}
  }

  private static let group = 16

  private let context: NodeContext
  private let actor: Actor
  private let recipient: Directory.Unit

  package init(context: NodeContext, recipient: Directory.Unit, actor: Actor) {
    self.context = context
    self.actor = actor
    self.recipient = recipient
  }

  /// The unit that `text` names; without one the directory's first “test” unit, or its only other unit.
  /// Throws `DirectoryError.unknown` when there is none.
  package static func recipient(named text: String?, in context: NodeContext) throws
    -> Directory.Unit
  {
    let directory = context.directory.current
    if let text {
      guard let unit = try directory.resolve(recipient: text).first else {
        throw DirectoryError(.unknown, "to: “\(text)”")
      }
      return unit
    }
    let others = directory.units.filter { $0.id != context.unit.organId }
    guard
      let unit = others.first(where: { $0.groups.contains("test") })
        ?? (others.count == 1 ? others.first : nil)
    else {
      throw DirectoryError(.unknown, "to: name the receiving unit with --to")
    }
    return unit
  }

  /// Issues the documents of `plan` and waits for nothing: a backlog.
  package func issue(_ plan: Plan) throws {
    var payload = makePayload(plan.size)
    for start in stride(from: 0, to: plan.count, by: Self.group) {
      try issue(start..<min(start + Self.group, plan.count), plan, payload: &payload)
    }
  }

  private func issue(_ numbers: Range<Int>, _ plan: Plan, payload: inout Data) throws {
    try context.store.files.keeping {
      try context.store.joining.issue(
        try numbers.map { try document($0 + 1, plan.urgency, payload: &payload) },
        at: context.clock.now, by: actor)
    }
  }

  private func makePayload(_ size: Int) -> Data {
    var random = SystemRandomNumberGenerator()
    var payload = Data("%PDF-1.7\n".utf8)
    payload.append(
      contentsOf: (0..<(size - 9)).map { _ in UInt8.random(in: 0...255, using: &random) })
    return payload
  }

  /// Throws `NodeError.unreachable` when no receipt came for the plan's patience.
  package func run(_ plan: Plan) async throws -> Result {
    let start = context.clock.now
    var issued = 0
    var watermark = try context.store.reader.lastDelivery()
    let first = watermark
    let count = plan.count
    var payload = makePayload(plan.size)
    var lastProgress = context.clock.now
    var open = 0
    while issued < count || open > 0 {
      if issued < count, open < plan.inFlight {
        let batch = min(Self.group, plan.inFlight, count - issued)
        try issue(issued..<issued + batch, plan, payload: &payload)
        issued += batch
      } else {
        try await Task.sleep(for: .milliseconds(2))
      }
      let before = open
      open = try context.store.reader.openDeliveries(after: first)
      if open != before { lastProgress = context.clock.now }
      guard lastProgress.duration(to: context.clock.now) < plan.patience else {
        throw NodeError(
          .unreachable,
          "\(open) documents have no receipt after \(plan.patience.seconds) s",
          next:
            "See whether the daemon of “\(recipient.id)” and the broker run: congvan config check")
      }
    }
    watermark = try context.store.reader.lastDelivery()
    let spans = try context.store.reader.deliverySpans(after: first, through: watermark)
    guard spans.count == count, let end = spans.map(\.finished).max() else {
      throw NodeError(.unreachable, "\(count - spans.count) documents were not delivered")
    }
    return Result(
      latencies: spans.map { $0.created.duration(to: $0.finished).seconds * 1000 }.sorted(),
      seconds: start.duration(to: end).seconds,
      waiting: try context.store.reader.openDeliveries(after: 0))
  }

  private func document(_ number: Int, _ urgency: Urgency, payload: inout Data) throws
    -> IssuedDocument
  {
    // Different content each time: equal digests would travel only once.
    let mark = withUnsafeBytes(of: UInt64.random(in: 0...UInt64.max)) { Data($0) }
    payload.replaceSubrange(payload.count - mark.count..<payload.count, with: mark)
    let content = try context.store.files.ingest(payload)
    let now = context.clock.now
    let sealed = try SignedManifest(
      Manifest(
        documentID: RecordID(at: now), createdAt: now, from: context.unit,
        to: [Organ(organId: recipient.id, organName: recipient.name)],
        number: try ReferenceNumber(codeNumber: "\(number)", separator: .slash, codeNotation: "BM"),
        issuedDate: CalendarDate(now), typeName: "Báo cáo", subject: "Đo tốc độ \(number)",
        urgency: urgency,
        attachments: [
          Attachment(
            name: "do-toc-do-\(number).pdf", mediaType: "application/pdf", size: content.size,
            sha256: content.sha256)
        ]), by: context.signer, hashing: context.hashing)
    return IssuedDocument(
      manifest: sealed.manifest, digest: sealed.digest, signed: sealed.signed,
      contents: [content])
  }
}
