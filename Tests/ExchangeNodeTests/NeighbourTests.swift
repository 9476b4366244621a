import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeTestKit
import Testing

/// One unit (beta) misbehaves: what it sends delays nobody else, makes this unit sign, send and keep no
/// more than stated, and costs no more than what it lists.
@Suite struct NeighbourTests {
  let node: TestNode
  let beta: Hostile

  init() throws {
    node = try TestNode(
      Province.alpha,
      limits: IntakeLimits(
        quota: PeerQuota(
          quarantineItems: 40, waitingItems: 10, backlogItems: 350)))
    beta = hostile(node.clock)
  }

  // MARK: Turns

  enum Flood: CaseIterable {
    case garbage, unknownType, documents, statuses, conflicts, copies
  }

  private func messages(of flood: Flood, count: Int, lane: Lane) throws -> [InboundMessage] {
    try (0..<count).map { number in
      let one = hostile(node.clock, mark: "\(number)")
      switch flood {
      case .garbage: return one.message(lane: lane, body: Data("\(number)".utf8))
      case .unknownType:
        return one.message(type: "congvan.la", lane: lane, body: Data("\(number)".utf8))
      case .documents: return one.message(lane: lane, body: try one.document())
      case .statuses:
        let status = try one.status("06", about: one.documentID, digest: one.digest)
        return one.message(.status, id: status.id.rawValue, lane: lane, body: status.body)
      case .conflicts:
        return beta.message(lane: lane, body: try beta.document { $0["subject"] = "\(number)" })
      case .copies:
        node.clock.advance(by: .seconds(1))
        return beta.message(lane: lane, body: try beta.document())
      }
    }
  }

  /// However much of beta waits, in whatever lane: gamma's messages are judged with the next batches,
  /// while the flood goes on.
  @Test(arguments: Flood.allCases, Lane.allCases)
  func aFloodOfOneUnitDelaysNobodyElse(_ flood: Flood, _ lane: Lane) throws {
    try node.intake.store(messages(of: flood, count: 300, lane: lane))
    _ = try node.review.step(ripe: false)
    var innocent: [RecordID] = []
    for lane in Lane.allCases {
      let gamma = Hostile(
        from: Province.gamma, to: Province.alpha, clock: node.clock, mark: "\(lane)")
      innocent.append(gamma.documentID)
      try node.intake.store(
        gamma.pieces() + [gamma.message(lane: lane, body: try gamma.document())])
    }
    for _ in 0..<3 { _ = try node.review.step(ripe: false) }
    #expect(try node.count("received", "state = 'received'") > 0, "the flood is not over yet")
    let accepted = try node.texts(
      "SELECT messageID FROM received WHERE sender = 'CDCS.GAMMA' AND state = 'accepted'")
    #expect(Set(accepted) == Set(innocent.map(\.rawValue)))
  }

  /// Documents that become whole at once take turns as well.
  @Test func whatBecomesWholeAtOnceTakesTurnsToo() throws {
    let patient = try TestNode(Province.alpha)
    let content = pdf("chung", size: 3000)
    for number in 0..<150 {
      let one = hostile(patient.clock, mark: "\(number)")
      try patient.intake.store([
        one.message(
          body: try one.document {
            $0["attachments"] = [
              one.attachment(
                "a.pdf", size: content.count, sha256: OpenSSLHashing().sha256(content))
            ]
          })
      ])
    }
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: patient.clock)
    try patient.intake.store([gamma.message(body: try gamma.document())])
    try patient.settle()
    try patient.intake.store(beta.pieces(content) + gamma.pieces())
    _ = try patient.review.step(ripe: true)
    #expect(try patient.count("received", "state = 'incomplete'") > 0)
    #expect(
      try patient.texts("SELECT state FROM received WHERE sender = 'CDCS.GAMMA'") == ["accepted"])
  }

  /// What beta asks for again is in nobody's way: receipts for gamma go out with the next messages.
  @Test func noticesTakeTurnsByUnit() throws {
    let patient = try TestNode(Province.alpha)
    for number in 0..<100 {
      let one = hostile(patient.clock, mark: "\(number)")
      try patient.intake.store(one.pieces() + [one.message(body: try one.document())])
    }
    try patient.settle()
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: patient.clock)
    try patient.intake.store(gamma.pieces() + [gamma.message(body: try gamma.document())])
    try patient.settle()
    let first = try patient.relay.next(count: 8, bytes: 1 << 20)
    #expect(first.count == 8)
    #expect(first.contains { $0.to == Province.gamma.organId })
  }

  // MARK: Answers

  /// What names no document that can be read is counted and not answered; beyond the quota nothing is
  /// kept of it.
  @Test func garbageIsCountedNotAnswered() throws {
    try node.intake.store(messages(of: .garbage, count: 100, lane: .express))
    try node.settle()
    #expect(try node.answers() == [])
    #expect(try node.count("received") == 40)
    #expect(try node.count("history") == 80)
    let dropped = try node.store.reader.dropped()
    #expect(dropped.map(\.count) == [60])
    #expect(dropped.map(\.outcome) == ["SIGNATURE-NOT-SIGNED"])
    // Others are not concerned.
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    try node.intake.store([gamma.message(body: try gamma.document { $0["subject"] = nil })])
    try node.settle()
    #expect(try node.answers() == ["02 MANIFEST-MALFORMED"])
  }

  /// What waits for the review is bounded, too.
  @Test func theBacklogOfAUnitIsBounded() throws {
    try node.intake.store(messages(of: .unknownType, count: 400, lane: .ordinary))
    #expect(try node.count("received") == 350)
    #expect(try node.store.reader.dropped().map(\.outcome) == ["BACKLOG"])
    #expect(try node.store.reader.dropped().map(\.count) == [50])
  }

  @Test func documentsThatWaitForAttachmentsAreBounded() throws {
    try node.intake.store(messages(of: .documents, count: 12, lane: .ordinary))
    try node.settle()
    #expect(try node.count("received", "state = 'incomplete'") == 10)
    #expect(try node.verdicts().suffix(2) == ["quarantined TOO-LARGE", "quarantined TOO-LARGE"])
    #expect(try node.answers() == [], "the sender's tally brings them again")
  }

  /// Take-backs of documents that never come are bounded.
  @Test func takeBacksAheadAreBounded() throws {
    let narrow = try TestNode(
      Province.alpha, limits: IntakeLimits(quota: PeerQuota(aheadItems: 3)))
    for _ in 0..<5 {
      let status = try beta.status("13", about: RecordID(at: node.clock.now), digest: beta.digest)
      try narrow.intake.store([beta.message(.status, id: status.id.rawValue, body: status.body)])
      try narrow.settle()
    }
    #expect(try narrow.count("frozenAhead") == 3)
    #expect(
      try narrow.verdicts().suffix(2) == Array(repeating: "quarantined STATUS-UNMATCHED", count: 2))
  }

  /// Whatever comes under one id, in one batch or in many: one signature, one message and one answer an
  /// hour.
  @Test(arguments: [1, 7, 30]) func aDocumentIsRefusedOnceAnHour(_ batch: Int) throws {
    try node.intake.store(beta.pieces() + [beta.message(body: try beta.document())])
    try node.settle()
    let broker = FakeBroker()
    try broker.publish(from: node.relay, as: node.id)
    let conflicts = try messages(of: .conflicts, count: 30, lane: .ordinary)
    for start in stride(from: 0, to: 30, by: batch) {
      try node.intake.store(Array(conflicts[start..<min(30, start + batch)]))
      try node.settle()
    }
    #expect(try node.answers() == ["01", "02 ID-CONFLICT"])
    node.clock.advance(by: .seconds(3601))
    try node.intake.store([
      beta.message(body: try beta.document { $0["subject"] = "sau một giờ" })
    ])
    try node.settle()
    #expect(try node.answers() == ["01", "02 ID-CONFLICT", "02 ID-CONFLICT"])
  }

  // MARK: Tallies

  private func tally(_ entries: [Tally.Entry], isPartial: Bool = true) throws -> InboundMessage {
    let tally = Tally(
      id: RecordID(at: node.clock.now), from: beta.from, to: node.id, timestamp: node.clock.now,
      entries: entries, isPartial: isPartial)
    return beta.message(
      .tally, id: tally.id.rawValue, body: try beta.sign(TallyCodec.encode(tally)))
  }

  private func sentBack(_ broker: FakeBroker) throws -> Int {
    let before = broker.published.count
    while try broker.publish(from: node.relay, as: node.id) > 0 {}
    return broker.published.dropFirst(before).reduce(0) { $0 + $1.message.body.count }
  }

  /// Refusals of other copies are no statuses of the document: a tally about it brings its receipt.
  @Test func conflictsAreNotFetchedByATally() throws {
    try node.intake.store(beta.pieces() + [beta.message(body: try beta.document())])
    try node.settle()
    for conflict in try messages(of: .conflicts, count: 20, lane: .ordinary) {
      node.clock.advance(by: .seconds(3601))
      try node.intake.store([conflict])
      try node.settle()
    }
    let broker = FakeBroker()
    _ = try sentBack(broker)
    let message = try tally(
      Array(
        repeating: Tally.Entry(
          sequence: 1, documentId: beta.documentID, manifestSha256: beta.digest, statuses: 0,
          awaiting: true), count: 50))
    try node.intake.store([message])
    try node.settle()
    let body = try #require(message.body)
    #expect(try sentBack(broker) <= 4 * body.count)
    #expect(
      broker.published.suffix(2).map { $0.message.envelope.type }.sorted()
        == ["congvan.status", "congvan.tally-answer"])
  }

  /// A tally sets at most four times its bytes in motion; the answer says that there is more, and the
  /// following tallies bring the rest.
  @Test func aTallyBringsNoMoreThanFourTimesItsBytes() throws {
    let patient = node
    var entries: [Tally.Entry] = []
    for number in 0..<60 {
      let one = hostile(patient.clock, mark: "\(number)")
      try patient.intake.store(one.pieces() + [one.message(body: try one.document())])
      try patient.settle()
      entries.append(
        Tally.Entry(
          sequence: Int64(number + 1), documentId: one.documentID, manifestSha256: one.digest,
          statuses: 0, awaiting: true))
    }
    let broker = FakeBroker()
    _ = try sentBack(broker)
    var open = Set(entries.map(\.documentId))
    for round in 1...10 where !open.isEmpty {
      let before = broker.published.count
      let message = try tally(entries.filter { open.contains($0.documentId) })
      try patient.intake.store([message])
      try patient.settle()
      let body = try #require(message.body)
      #expect(try sentBack(broker) <= 4 * body.count, "round \(round)")
      let sent = broker.published.dropFirst(before).map(\.message.envelope)
      let about = sent.compactMap { $0.kind == .status ? $0.correlationID : nil }
      #expect(!about.isEmpty)
      open.subtract(about.compactMap(RecordID.init))
    }
    #expect(open.isEmpty)
  }

  /// The other side of it: `more` in an answer makes the sender ask again after two minutes, but not
  /// without end.
  @Test func moreInAnAnswerBringsAnotherTally() throws {
    let sender = try TestNode(Province.alpha)
    try sender.send(to: [Province.beta])
    let broker = FakeBroker()
    while try broker.publish(from: sender.relay, as: sender.id) > 0 {}
    let upkeep = Upkeep(context: sender.context, policy: Upkeep.Policy(), log: .silent)
    try upkeep.tally(beta.from.organId)
    for round in 1...60 {
      let before = try sender.count("tally")
      let id = try #require(
        RecordID(try sender.texts("SELECT id FROM tally ORDER BY key DESC LIMIT 1")[0]))
      let answer = TallyAnswer(
        id: RecordID(at: sender.clock.now), tallyID: id, from: beta.from, to: sender.id,
        timestamp: sender.clock.now, missing: [], hasMore: true)
      let other = Hostile(from: Province.beta, to: Province.alpha, clock: sender.clock)
      try sender.intake.store([
        other.message(
          .tallyAnswer, id: answer.id.rawValue, body: try other.sign(TallyCodec.encode(answer)))
      ])
      try sender.settle()
      _ = try upkeep.step()
      #expect(try sender.count("tally") == before, "not at once")
      sender.clock.advance(by: .seconds(121))
      _ = try upkeep.step()
      #expect(try sender.count("tally") == (round < 40 ? before + 1 : before), "round \(round)")
    }
    #expect(try sender.count("tally") == 40)
  }

  /// A message that comes again and again writes no history without end.
  @Test func replaysWriteNoEndlessHistory() throws {
    let junk = try messages(of: .garbage, count: 1, lane: .ordinary)
    for _ in 0..<80 {
      try node.intake.store(junk)
      try node.settle()
    }
    #expect(try node.numbers("SELECT duplicates FROM received") == [79])
    #expect(try node.count("history") <= 51)
  }

  /// Old tallies and their answers do not pile up.
  @Test func talliesDoNotPileUp() throws {
    for _ in 0..<130 {
      let entry = Tally.Entry(
        sequence: 1, documentId: RecordID(at: node.clock.now), manifestSha256: beta.digest,
        statuses: 0)
      try node.intake.store([try tally([entry])])
      try node.settle()
    }
    #expect(try node.count("tally") == 100)
    #expect(try node.count("notice") == 100)
    #expect(try node.count("received") == 0)
    #expect(try node.count("history") == 0)
  }
}

private func hostile(_ clock: ManualClock, mark: String = "văn bản") -> Hostile {
  Hostile(from: Province.beta, to: Province.alpha, clock: clock, mark: mark)
}
