import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import Logging
import NodeTestKit
import Testing

/// Whole nodes with their threads, on a broker in memory. `untilIdle` ends them: nothing waits for
/// time to pass.
@Suite(.timeLimit(.minutes(1))) struct NodeTests {
  private func run(_ nodes: [TestNode], on broker: FakeBroker) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for node in nodes {
        var options = Node.Options()
        options.untilIdle = true
        let daemon = Node(
          context: node.context, transport: FakeTransport(broker: broker, unit: node.id),
          options: options, log: .silent)
        group.addTask { try await daemon.run(handlesSignals: false) }
      }
      try await group.waitForAll()
    }
  }

  @Test func documentsGoThereAndReceiptsComeBack() async throws {
    let broker = FakeBroker()
    let alpha = try TestNode(Province.alpha)
    let beta = try TestNode(Province.beta)
    for number in 0..<10 {
      try alpha.send("\(number)", size: number * 300_000 + 100, to: [Province.beta])
      try beta.send("\(number)", to: [Province.alpha], urgency: .urgent)
    }
    // One after the other, as units that are on at different hours.
    for node in [alpha, beta, alpha, beta] { try await run([node], on: broker) }
    for node in [alpha, beta] {
      #expect(try node.deliveries().map(\.state) == Array(repeating: .delivered, count: 10))
      #expect(try node.count("document", "direction = 'incoming'") == 10)
      #expect(try node.answers() == Array(repeating: "01", count: 10))
    }
  }

  /// More documents than the review takes at once become whole with the same piece.
  @Test func idleMeansThatEveryWholeDocumentIsJudged() async throws {
    let broker = FakeBroker()
    let node = try TestNode(Province.alpha)
    let messages = (0..<100).map { _ in
      Hostile(from: Province.beta, to: Province.alpha, clock: node.clock, mark: "chung")
    }
    try node.intake.store(messages.map { $0.message(body: try $0.document()) })
    try node.settle()
    #expect(try node.count("received", "state = 'incomplete'") == 100)
    broker.put(messages[0].pieces()[0], to: node.id)
    try await run([node], on: broker)
    #expect(try node.count("received", "state = 'accepted'") == 100)
  }

  /// A stored message whose content is lost from the disk waits, and keeps nobody busy.
  @Test func lostContentDoesNotKeepTheNodeBusy() async throws {
    let node = try TestNode(Province.alpha)
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    let content = pdf("mất", size: 400_000)
    try node.intake.store(hostile.pieces(content))
    try FileManager.default.removeItem(at: node.folder.url.appending(path: "blobs"))
    try node.intake.store([
      hostile.message(
        body: try hostile.document { json in
          json["attachments"] = [
            hostile.attachment(
              "mat.pdf", size: content.count, sha256: node.context.hashing.sha256(content))
          ]
        })
    ])
    try node.settle()
    #expect(try node.verdicts() == ["verified"])
    #expect(try node.review.step(ripe: true) == 0)
  }
}
