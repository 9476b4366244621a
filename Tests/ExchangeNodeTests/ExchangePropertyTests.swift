import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeTestKit
import Testing
import UnitOffice

/// The promise of the whole: nothing lost, nothing twice, whatever the network does.
@Suite struct ExchangePropertyTests {
  @Test(arguments: 0..<4)
  func everythingArrivesExactlyOnce(_ part: Int) throws {
    let world = try FaultyWorld()
    for seed in part * 50..<(part + 1) * 50 {
      try world.run(seed: UInt64(seed))
      // One world carries on for all seeds; the first failure says which seed it was.
      guard try world.verify(seed: seed) else { return }
    }
  }
}

/// Three nodes on a broker with faults.
private final class FaultyWorld {
  let clock = ManualClock()
  let nodes: [TestNode]
  /// What was sent: the document, its sender and its recipients.
  var sent: [(id: RecordID, from: TestNode, to: [TestNode], digests: [SHA256Digest])] = []

  init() throws {
    let clock = clock
    nodes = try [Province.alpha, Province.beta, Province.gamma].map {
      try TestNode($0, clock: clock)
    }
  }

  func run(seed: UInt64) throws {
    var random = SeededRandom(seed: seed &* 7919 &+ 1)
    let broker = FakeBroker(seed: seed)
    broker.faults = .storm
    sent = []
    for number in 0..<Int.random(in: 1...3, using: &random) {
      try send("\(seed)-\(number)", &random)
      for _ in 0..<Int.random(in: 0...6, using: &random) { try step(broker, &random) }
    }
    for _ in 0..<30 { try step(broker, &random) }
    broker.faults = FakeBroker.Faults()
    try heal(broker)
  }

  private func send(_ mark: String, _ random: inout SeededRandom) throws {
    let from = nodes[Int.random(in: 0..<3, using: &random)]
    var to = nodes.filter { $0.id != from.id }
    if random.chance(40) { to.remove(at: Int.random(in: 0...1, using: &random)) }
    // Some content is sent again and again by everybody, some is larger than a piece.
    let sizes = [90, 300, 3000, 300_000, Int(WireLimits.pieceBytes) + 5]
    var files: [String] = []
    for index in 0..<Int.random(in: 1...2, using: &random) {
      let name = random.chance(30) && index == 0 ? "chung" : "\(mark)-\(index)"
      let size = name == "chung" ? 90 : sizes[Int.random(in: 0..<sizes.count, using: &random)]
      files.append(try from.folder.write(pdf(name, size: size), as: "\(name)-\(mark).pdf"))
    }
    var draft = draft(files, to: to.map(\.organ))
    draft.urgency = random.chance(30) ? .flash : .normal
    let id = try from.office.send(draft).id
    let digests = try files.map { OpenSSLHashing().sha256(try Data(contentsOf: URL(filePath: $0))) }
    sent.append((id, from, to, digests))
  }

  /// One random thing happens.
  private func step(_ broker: FakeBroker, _ random: inout SeededRandom) throws {
    let node = nodes[Int.random(in: 0..<3, using: &random)]
    clock.advance(by: .milliseconds(Int.random(in: 1...300_000, using: &random)))
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<4:
      try broker.publish(
        from: node.relay, as: node.id, count: Int.random(in: 1...20, using: &random))
    case 4..<8:
      let lane: Lane = random.chance(50) ? .ordinary : .express
      try broker.deliver(
        .init(node.id, lane), into: node.intake, count: Int.random(in: 1...10, using: &random),
        losesAcknowledgement: random.chance(15))
    case 8: _ = try node.review.step(ripe: random.chance(70))
    default: _ = try node.review.assemble()
    }
  }

  /// The network is well again, and a person sends again what failed.
  private func heal(_ broker: FakeBroker) throws {
    for _ in 0..<20 {
      clock.advance(by: .seconds(2 * 3600))
      // What was so damaged on the way that nobody could be told is found by the tally.
      for node in nodes {
        _ = try Upkeep(context: node.context, policy: Upkeep.Policy(), log: .silent).step()
      }
      try exchange(nodes, through: broker)
      var failed = DeliveryFilter()
      failed.states = [.suspended, .refused]
      var resent = 0
      for node in nodes {
        resent += try node.office.resend(ids: [], filter: failed, reason: "gửi lại", dryRun: false)
          .count
      }
      if try resent == 0
        && nodes.allSatisfy({
          try $0.relay.isIdle() && $0.store.relay.nextRetry() == nil
            && $0.store.reader.openWork(now: clock.now).awaitingReceipt == 0
        })
      {
        return
      }
    }
  }

  func verify(seed: Int) throws -> Bool {
    var isGood = true
    func expect(_ condition: Bool, _ what: String) {
      #expect(condition, "seed \(seed): \(what)")
      isGood = isGood && condition
    }
    for node in nodes {
      expect(try node.holdings() == node.countedHoldings(), "sums of what peers have at \(node.id)")
    }
    let verifier = try Province.shared.get().verifier
    for (id, from, to, digests) in sent {
      for node in to {
        var filter = DeliveryFilter()
        (filter.documents, filter.to) = ([id], [node.id])
        let delivery = try #require(try from.store.reader.deliveries(filter).first)
        expect(
          delivery.state == .delivered,
          "\(id) to \(node.id) is \(delivery.state) \(delivery.lastError ?? "")")
        let copies = try node.store.reader.documents(idPrefix: id.rawValue).compactMap {
          try node.store.reader.incomingDocument(key: $0.summary.key)
        }
        expect(copies.count == 1, "\(copies.count) copies of \(id) at \(node.id)")
        expect(copies.first?.state == .accepted, "\(id) at \(node.id) is not accepted")
        expect(copies.first?.document.attachments.map(\.sha256) == digests, "digests of \(id)")
        for attachment in copies.first?.document.attachments ?? [] {
          let bytes = try node.store.contents.content(
            attachment.sha256, offset: 0, count: Int(attachment.size))
          expect(OpenSSLHashing().sha256(bytes) == attachment.sha256, "content of \(id)")
        }
        let document = try from.store.reader.documents(idPrefix: id.rawValue)[0].summary.key
        let receipts = try from.store.reader.statuses(document: document).filter {
          $0.from == node.id && $0.code == "01"
        }
        expect(receipts.count == 1, "\(receipts.count) receipts for \(id) of \(node.id)")
        for receipt in receipts {
          let verdict = verifier.verify(receipt.signed, from: node.id, arrivedAt: clock.now)
          if case .invalid(let problem, _, _) = verdict { expect(false, "receipt: \(problem)") }
        }
      }
    }
    return isGood
  }
}
