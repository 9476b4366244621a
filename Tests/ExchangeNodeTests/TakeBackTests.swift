import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import GRDB
import NodeDatabase
import NodeTestKit
import Testing
import UnitOffice

/// Take-back (13, 15, 16) and replacement.
@Suite struct TakeBackTests {
  let alpha: TestNode
  let beta: TestNode
  let broker = FakeBroker()

  init() throws {
    let clock = ManualClock()
    alpha = try TestNode(Province.alpha, clock: clock)
    beta = try TestNode(Province.beta, clock: clock)
  }

  private func frozen(_ node: TestNode) throws -> [String] {
    try node.texts("SELECT coalesce(frozen, '-') FROM document ORDER BY key")
  }

  @Test(arguments: [(true, "15", "recalled"), (false, "16", "-")])
  func aTakeBackIsAnswered(_ agrees: Bool, _ code: String, _ mark: String) throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.office.recall(id.rawValue, reason: "sai số liệu").units == [beta.id])
    try exchange([alpha, beta], through: broker)
    #expect(try frozen(alpha) == ["recalled"])
    #expect(try frozen(beta) == ["recalled"])
    #expect(
      try beta.texts("SELECT note FROM status WHERE direction = 'received'") == ["sai số liệu"])
    _ = try beta.office.answerRecall(
      id.rawValue, agree: agrees, reason: agrees ? nil : "đã thi hành")
    try exchange([alpha, beta], through: broker)
    #expect(try frozen(beta) == [mark])
    #expect(try alpha.deliveries()[0].status == code)
    #expect(try alpha.deliveries()[0].state == .delivered)
    #expect(throws: OfficeError(.notRecalled, "")) {
      try beta.office.answerRecall(id.rawValue, agree: true, reason: nil)
    }
    // Agreed, it stays taken back; declined, it is in force on both sides and may be asked for again.
    #expect(try frozen(alpha) == [mark])
    guard !agrees else {
      #expect(throws: OfficeError(.frozen, "")) {
        try alpha.office.recall(id.rawValue, reason: "lần nữa")
      }
      return
    }
    _ = try alpha.office.recall(id.rawValue, reason: "lần nữa")
    try exchange([alpha, beta], through: broker)
    #expect(try frozen(beta) == ["recalled"])
    _ = try beta.office.answerRecall(id.rawValue, agree: true, reason: nil)
    try exchange([alpha, beta], through: broker)
    #expect(try frozen(alpha) == ["recalled"])
    #expect(try alpha.deliveries()[0].status == "15")
  }

  /// Of several recipients one declines and one agrees, or has not answered: it stays taken back here.
  @Test(arguments: [nil, true, false]) func oneAnswerOfTwoDoesNotEndATakeBack(_ second: Bool?)
    throws
  {
    let gamma = try TestNode(Province.gamma, clock: alpha.clock)
    let id = try alpha.send(to: [Province.beta, Province.gamma])
    let all = [alpha, beta, gamma]
    try exchange(all, through: broker)
    _ = try alpha.office.recall(id.rawValue, reason: "sai số liệu")
    try exchange(all, through: broker)
    _ = try beta.office.answerRecall(id.rawValue, agree: false, reason: "đã thi hành")
    if let second {
      _ = try gamma.office.answerRecall(id.rawValue, agree: second, reason: "đã biết")
    }
    try exchange(all, through: broker)
    #expect(try frozen(alpha) == [second == false ? "-" : "recalled"])
    #expect(try frozen(beta) == ["-"])
  }

  /// Declined by all, and taken back once more: the answers of the first time are none to the second.
  @Test func anAnswerToAnEarlierTakeBackDoesNotEndALaterOne() throws {
    let gamma = try TestNode(Province.gamma, clock: alpha.clock)
    let id = try alpha.send(to: [Province.beta, Province.gamma]).rawValue
    let all = [alpha, beta, gamma]
    try exchange(all, through: broker)
    for round in 1...2 {
      _ = try alpha.office.recall(id, reason: "lần \(round)")
      try exchange(all, through: broker)
      _ = try beta.office.answerRecall(id, agree: false, reason: "đã thi hành")
      try exchange(all, through: broker)
      #expect(try frozen(alpha) == ["recalled"])
      if round == 1 {
        _ = try gamma.office.answerRecall(id, agree: false, reason: "đã thi hành")
        try exchange(all, through: broker)
        #expect(try frozen(alpha) == ["-"])
      }
    }
    _ = try gamma.office.answerRecall(id, agree: true, reason: nil)
    try exchange(all, through: broker)
    #expect(try frozen(alpha) == ["recalled"])
  }

  private func open(_ node: TestNode) throws -> [RecordID] {
    try node.store.reader.incomingDocuments(limit: 10, recalled: true).map(\.document.id)
  }

  @Test(arguments: [true, false]) func anOpenTakeBackIsListedUntilItIsAnswered(_ agrees: Bool)
    throws
  {
    let id = try alpha.send("một", to: [Province.beta])
    let other = try alpha.send("hai", to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    #expect(try open(beta) == [])
    _ = try alpha.office.recall(id.rawValue, reason: "sai số liệu")
    #expect(try open(beta) == [])
    try exchange([alpha, beta], through: broker)
    #expect(try open(beta) == [id])
    #expect(
      try beta.store.reader.incomingDocuments(limit: 10).map(\.hasOpenTakeBack) == [false, true])
    // An answer of another kind is none.
    _ = try beta.office.refuse(other.rawValue, reason: "nhầm nơi nhận")
    _ = try beta.office.refuse(id.rawValue, reason: "nhầm nơi nhận")
    #expect(try open(beta) == [id])
    _ = try beta.office.answerRecall(id.rawValue, agree: agrees, reason: "đã thi hành")
    #expect(try open(beta) == [])
    try exchange([alpha, beta], through: broker)
    #expect(try open(beta) == [] && open(alpha) == [])

    // A program of another make may try again after a 16: that is open once more.
    let database = try DatabaseQueue(path: alpha.folder.path(DatabaseFile.name))
    try database.write { try $0.execute(sql: "UPDATE document SET frozen = NULL, frozenAt = NULL") }
    _ = try alpha.office.recall(id.rawValue, reason: "lần nữa")
    try exchange([alpha, beta], through: broker)
    #expect(try open(beta) == [id])
    _ = try beta.office.answerRecall(id.rawValue, agree: true, reason: nil)
    #expect(try open(beta) == [])
  }

  /// The 13 came first and is not linked with the document.
  @Test func aTakeBackThatOvertookItsDocumentIsOpenToo() throws {
    let id = try alpha.send("một", to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    let held = Watched<[InboundMessage]>([])
    let hold = HoldingSink(messages: held)
    while try broker.deliver(.init(beta.id, .ordinary), into: hold) > 0 {}
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    try exchange([alpha, beta], through: broker)
    #expect(try open(beta) == [])
    try beta.intake.store(held.value)
    try beta.settle()
    #expect(try frozen(beta) == ["recalled"])
    #expect(try open(beta) == [id])
    _ = try beta.office.answerRecall(id.rawValue, agree: true, reason: nil)
    #expect(try open(beta) == [])
  }

  /// The 13 follows the document in its own lane, so that it never comes first.
  @Test func whatWasNotSentIsCancelledAndWhatIsUnderWayIsFrozenOnArrival() throws {
    let id = try alpha.send("một", to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    let second = try alpha.send("hai", to: [Province.beta])
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    _ = try alpha.office.recall(second.rawValue, reason: "nhầm")
    #expect(try alpha.deliveries().map(\.state) == [.published, .cancelled])
    try exchange([alpha, beta], through: broker)
    #expect(try frozen(beta) == ["recalled"])
    #expect(try beta.verdicts().filter { $0.hasPrefix("quarantined") } == [])
    let results = try alpha.office.resend(
      ids: [id.rawValue], filter: DeliveryFilter(), reason: "thử", dryRun: false)
    #expect(results.allSatisfy { $0.refusal != nil })
  }

  @Test func onlyTheSenderTakesBackAndOnlyWhatItSent() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    #expect(throws: OfficeError(.notOutgoing, "")) {
      try beta.office.recall(id.rawValue, reason: "không được")
    }
    #expect(throws: DocumentError(.reason, "")) {
      try alpha.office.recall(id.rawValue, reason: " ")
    }
    #expect(throws: OfficeError(.notRecalled, "")) {
      try beta.office.answerRecall(id.rawValue, agree: true, reason: nil)
    }
  }

  @Test func aReplacementFreezesWhatItReplacesOnBothSides() throws {
    let old = try alpha.send("cũ", to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let path = try alpha.folder.write(pdf("mới"), as: "mới.pdf")
    var draft = draft([path], to: [Province.beta], number: "160/QĐ-LĐLĐ")
    draft.replaces = old.rawValue
    _ = try alpha.office.send(draft)
    try exchange([alpha, beta], through: broker)
    #expect(try frozen(alpha) == ["replaced", "-"])
    #expect(try frozen(beta) == ["replaced", "-"])
    #expect(
      try beta.store.reader.incomingDocuments(limit: 10).map(\.document.frozen) == [
        nil, "replaced",
      ])
  }

  /// The daemon had claimed it: the pieces are out, the manifest must not follow.
  @Test func aTakeBackStopsWhatTheRelayHasClaimed() throws {
    let id = try alpha.send("một", size: 3_000_000, to: [Province.beta])
    try broker.publish(from: alpha.relay, as: alpha.id, count: 2)
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.cancelled])
    #expect(!broker.published.contains { $0.message.envelope.kind == .document })
    #expect(try frozen(beta) == [])
    #expect(try alpha.relay.isIdle())
  }

  /// The last message had reached the broker when it was taken back: the truth wins.
  @Test func aReceiptForWhatWasCancelledCounts() throws {
    let id = try alpha.send(to: [Province.beta])
    broker.faults.loseAnswer = 100
    try broker.publish(from: alpha.relay, as: alpha.id)
    broker.faults.loseAnswer = 0
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    #expect(try alpha.deliveries().map(\.state) == [.cancelled])
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
    #expect(try frozen(beta) == ["recalled"])
  }

  private func tally(_ node: TestNode, to unit: UnitID) throws {
    node.clock.advance(by: .seconds(1))
    try Upkeep(context: node.context, policy: Upkeep.Policy(), log: .silent).tally(unit)
  }

  /// Taken back or replaced, and then it turns out that it never arrived: nothing waits for it any
  /// more, and it is not sent.
  @Test(arguments: [true, false]) func whatIsNotInForceIsNotSentAgain(_ isReplaced: Bool) throws {
    let id = try alpha.send(to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    broker.loseEverything()
    try tally(alpha, to: beta.id)
    if isReplaced {
      let path = try alpha.folder.write(pdf("mới"), as: "mới.pdf")
      var draft = draft([path], to: [Province.beta], number: "160/QĐ-LĐLĐ")
      draft.replaces = id.rawValue
      _ = try alpha.office.send(draft)
    } else {
      _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    }
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().first?.state == .cancelled)
    #expect(try beta.count("document") == (isReplaced ? 1 : 0))
    let pairs = try alpha.store.reader.reconciliations(with: nil)
    #expect(pairs.count == (isReplaced ? 1 : 0))
    #expect(pairs.allSatisfy { $0.missing == 0 && $0.sent == $0.receipts })
  }

  /// Replaced while its receipt was on the way, and the receipt is lost.
  @Test func theReceiptOfWhatWasReplacedIsAskedForToo() throws {
    let old = try alpha.send("cũ", to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    while try broker.deliver(.init(beta.id, .ordinary), into: beta.intake) > 0 {}
    try beta.settle()
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    broker.loseEverything()
    let path = try alpha.folder.write(pdf("mới"), as: "mới.pdf")
    var draft = draft([path], to: [Province.beta], number: "160/QĐ-LĐLĐ")
    draft.replaces = old.rawValue
    _ = try alpha.office.send(draft)
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.published, .delivered])
    try tally(alpha, to: beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered, .delivered])
  }

  /// The broker lost the 13, and then the answer to it.
  @Test func aLostTakeBackAndALostAnswerComeAgain() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    broker.loseEverything()
    #expect(try frozen(beta) == ["-"])
    try tally(alpha, to: beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(try frozen(beta) == ["recalled"])

    _ = try beta.office.answerRecall(id.rawValue, agree: true, reason: nil)
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    broker.loseEverything()
    #expect(try alpha.deliveries()[0].status == "01")
    try tally(alpha, to: beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries()[0].status == "15")

    // What is known on both sides is not said again.
    let before = broker.published.count
    try tally(alpha, to: beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(
      broker.published.dropFirst(before).map(\.message.envelope.kind) == [.tally, .tallyAnswer])
  }

  /// The receiver was restored from a backup of before the take-back, to which it had agreed.
  @Test func aRestoredReceiverIsToldOfATakeBackAgain() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let backup = try TemporaryFolder()
    try DatabaseQueue(path: beta.folder.path(DatabaseFile.name)).inDatabase {
      try $0.execute(sql: "VACUUM INTO '\(backup.path(DatabaseFile.name))'")
    }
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    try exchange([alpha, beta], through: broker)
    _ = try beta.office.answerRecall(id.rawValue, agree: true, reason: nil)
    try exchange([alpha, beta], through: broker)
    let restored = try TestNode(Province.beta, clock: alpha.clock, folder: backup)
    #expect(try frozen(restored) == ["-"])
    try tally(alpha, to: beta.id)
    try exchange([alpha, restored], through: broker)
    #expect(try frozen(restored) == ["recalled"])
    #expect(try open(restored) == [id])
  }

  /// The delivery is older than a tally looks back, and the 13 is lost.
  @Test func aLostTakeBackOfAnOldDocumentComesAgain() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    alpha.clock.advance(by: .seconds(60 * 86_400))
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    broker.loseEverything()
    alpha.clock.advance(by: .seconds(2 * 86_400))
    #expect(
      try Upkeep(context: alpha.context, policy: Upkeep.Policy(), log: .silent).step())
    try exchange([alpha, beta], through: broker)
    #expect(try frozen(beta) == ["recalled"])
  }

  /// Beta has it and declines; gamma never got it, and its delivery is cancelled. Then the document is
  /// in force, and can be sent to gamma after all.
  @Test(arguments: [true, false]) func whatWasCancelledCanBeSentWhenTheTakeBackIsOver(
    _ isDeclinedFirst: Bool
  ) throws {
    let gamma = try TestNode(Province.gamma, clock: alpha.clock)
    let all = [alpha, beta, gamma]
    let id = try alpha.send(to: [Province.beta, Province.gamma]).rawValue
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    _ = try broker.deliver(.init(beta.id, .ordinary), into: beta.intake)
    broker.loseEverything()
    try exchange(all, through: broker)
    _ = try alpha.office.recall(id, reason: "nhầm")
    try exchange(all, through: broker)
    if isDeclinedFirst {
      _ = try beta.office.answerRecall(id, agree: false, reason: "đã thi hành")
      try exchange(all, through: broker)
    }
    #expect(try frozen(alpha) == ["recalled"])
    try tally(alpha, to: gamma.id)
    try exchange(all, through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered, .cancelled])
    if !isDeclinedFirst {
      _ = try beta.office.answerRecall(id, agree: false, reason: "đã thi hành")
      try exchange(all, through: broker)
    }
    #expect(try frozen(alpha) == ["-"])
    _ = try alpha.office.resend(
      ids: ["\(id)/\(gamma.id)"], filter: DeliveryFilter(), reason: "vẫn gửi", dryRun: false)
    try exchange(all, through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered, .delivered])
  }

  /// Declined and in force again: an old 13 is not brought up a second time.
  @Test func aTakeBackThatIsOverIsNotNamedInTallies() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    try exchange([alpha, beta], through: broker)
    let since = Timestamp(microseconds: 0)
    #expect(try alpha.store.relay.tallyEntries(for: beta.id, since: since)[0].takeBack != nil)
    _ = try beta.office.answerRecall(id.rawValue, agree: false, reason: "đã thi hành")
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.store.relay.tallyEntries(for: beta.id, since: since)[0].takeBack == nil)
  }

  /// Nothing is left to do about a failed delivery of what is not in force any more.
  @Test func whatWasTakenBackIsNoLongerAFailure() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    _ = try beta.office.refuse(id.rawValue, reason: "gửi nhầm")
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.store.reader.openWork(now: alpha.clock.now).failed == 1)
    _ = try alpha.office.recall(id.rawValue, reason: "nhầm")
    #expect(try alpha.store.reader.openWork(now: alpha.clock.now).failed == 0)
    #expect(try alpha.deliveries().map(\.state) == [.refused])
    var filter = DeliveryFilter()
    filter.isInForce = true
    #expect(try alpha.store.reader.deliveries(filter).isEmpty)
  }

  /// Two people at two desks of one unit do the same at the same moment.
  @Test func ofTwoActsAtOnceOneCounts() async throws {
    let both = [alpha, try TestNode(Province.alpha, clock: alpha.clock, folder: alpha.folder)]
    let others = [beta, try TestNode(Province.beta, clock: alpha.clock, folder: beta.folder)]
    func together(_ nodes: [TestNode], _ act: @Sendable @escaping (Office) throws -> Void) async
      -> Int
    {
      await withTaskGroup(of: Bool.self) { group in
        for office in nodes.map(\.office) {
          group.addTask {
            do { try act(office) } catch { return false }; return true
          }
        }
        return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
    }
    for number in 0..<10 {
      let id = try alpha.send("\(number)", to: [Province.beta]).rawValue
      try exchange([alpha, beta], through: broker)
      #expect(await together(others) { _ = try $0.refuse(id, reason: "gửi nhầm") } == 1)
      #expect(await together(both) { _ = try $0.recall(id, reason: "nhầm") } == 1)
      try exchange([alpha, beta], through: broker)
      #expect(
        await together(others) { _ = try $0.answerRecall(id, agree: true, reason: nil) } == 1)
      try exchange([alpha, beta], through: broker)
      #expect(try alpha.deliveries().last?.status == "15")
    }
    #expect(
      try alpha.texts("SELECT code || count(*) FROM status GROUP BY code ORDER BY code")
        == ["0110", "0210", "1310", "1510"])
  }

  /// An urgent replacement overtakes what it replaces.
  @Test func aReplacementThatComesFirstFreezesWhatComesLater() throws {
    let old = try alpha.send("cũ", to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    let path = try alpha.folder.write(pdf("mới"), as: "mới.pdf")
    var draft = draft([path], to: [Province.beta], number: "160/QĐ-LĐLĐ")
    draft.replaces = old.rawValue
    draft.urgency = .flash
    _ = try alpha.office.send(draft)
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    while try broker.deliver(.init(beta.id, .express), into: beta.intake) > 0 {}
    try beta.settle()
    #expect(try frozen(beta) == ["-"])
    try exchange([alpha, beta], through: broker)
    #expect(
      try beta.texts("SELECT codeNumber || ' ' || coalesce(frozen, '-') FROM document ORDER BY key")
        == ["160 -", "159 replaced"])
  }
}

/// Keeps messages back that the broker has handed over.
private struct HoldingSink: DeliverySink {
  let messages: Watched<[InboundMessage]>

  func store(_ batch: [InboundMessage]) throws { messages.update { $0 += batch } }
  func connectionChanged(_ state: LinkState) {}
  func wentIdle() {}
}
