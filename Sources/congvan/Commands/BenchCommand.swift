import ArgumentParser
import ExchangeCore
import ExchangeNode
import NodeOperations

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure documents with verified receipt per second on the real path.",
    discussion: """
      Issues real signed documents from this node and waits for their receipts, so use it only in a \
      test installation: the other unit receives them as incoming documents. The other unit's \
      daemon must run; this node's daemon may run, or the bench runs it itself.
      """)

  @Option(help: "Bytes of the one attachment of each document.") var size = 100_000
  @Option(help: "Number of documents.") var count = 1000
  @Option(
    help: "The receiving unit. Default: the directory's only other unit, or its first “test” unit.")
  var to: String?
  @Option(help: "Urgency of the documents: thường, khẩn, thượng-khẩn, hỏa-tốc.") var urgency =
    "thường"
  @Flag(help: "Issue each document only after the receipt of the one before.") var oneByOne = false
  @Flag(help: "Issue the documents and wait for nothing: a backlog.") var issueOnly = false
  @Option(help: "Give up when no receipt came for so many seconds.") var patience = 30
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() async throws {
    guard (16...Int(WireLimits.documentBytes)).contains(size), count > 0 else {
      throw DocumentError(
        .text, "size: 16 to \(WireLimits.documentBytes) bytes; count: 1 or more",
        next: "Correct --size or --count.")
    }
    let assembly = try folder.assembly()
    let context = try assembly.context()
    let bench = Bench(
      context: context, recipient: try Bench.recipient(named: to, in: context),
      actor: Assembly.actor)
    var plan = Bench.Plan()
    (plan.size, plan.count, plan.patience) = (size, count, .seconds(patience))
    if oneByOne { plan.inFlight = 1 }
    guard let urgency = Urgency(vietnamese: urgency) else {
      throw DocumentError(
        .text, "urgency: “\(urgency)” is not thường, khẩn, thượng-khẩn or hỏa-tốc",
        next: "Give one of the four in --urgency.")
    }
    plan.urgency = urgency
    if issueOnly {
      try bench.issue(plan)
      return Console.note("\(count) documents are issued")
    }
    let result: Bench.Result
    if let lock = try? NodeLock(folder: assembly.settings.folder) {
      let node = try assembly.node(untilIdle: false, log: assembly.logger())
      result = try await withThrowingTaskGroup(of: Bench.Result?.self) { group in
        group.addTask {
          try await node.run(handlesSignals: false)
          return nil
        }
        group.addTask { [plan] in try await bench.run(plan) }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let measured = first else {
          throw NodeError(.unreachable, "the node stopped before the bench was finished")
        }
        group.cancelAll()
        try? await group.waitForAll()
        return measured
      }
      _ = consume lock
    } else {
      result = try await bench.run(plan)
    }
    if json { return Console.print(result.json(size: size, count: count)) }
    let rate = (result.documentsPerSecond * 10).rounded() / 10
    Console.print(
      """
      \(count) documents of \(Console.bytes(Int64(size))) with verified receipt
        \(rate) documents/s, \(Console.bytes(Int64(result.documentsPerSecond * Double(size))))/s
        latency p50 \(Int(result.latency(0.5))) ms, p95 \(Int(result.latency(0.95))) ms, \
      p99 \(Int(result.latency(0.99))) ms, \
      at most \(Int(result.latency(1))) ms
        other deliveries without a receipt: \(result.waiting)
      """)
  }

}

extension Bench.Result {
  func json(size: Int, count: Int) -> JSON {
    .object([
      "documentsPerSecond": .number(documentsPerSecond),
      "bytesPerSecond": .number(documentsPerSecond * Double(size)),
      "latencyMilliseconds": .object([
        "p50": .number(latency(0.5)), "p95": .number(latency(0.95)),
        "p99": .number(latency(0.99)), "max": .number(latency(1)),
      ]),
      "size": .integer(Int64(size)), "count": .integer(Int64(count)),
      "seconds": .number(seconds), "waiting": .integer(Int64(waiting)),
    ])
  }
}
