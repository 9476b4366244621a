import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import GRDB
import Logging
import NodeDatabase
import NodeTestKit
import Testing
import UnitOffice

/// Every act of a person leaves exactly one row that says who did it, in the same transaction.
@Suite struct ActTests {
  let alpha: TestNode
  let beta: TestNode
  let broker = FakeBroker()

  init() throws {
    let clock = ManualClock()
    alpha = try TestNode(Province.alpha, clock: clock)
    beta = try TestNode(Province.beta, clock: clock)
  }

  /// `verb kind reason` of every act, in order.
  private func acts(_ node: TestNode) throws -> [String] {
    try node.texts(
      """
      SELECT verb || ' ' || kind || coalesce(' ' || reason, '') FROM act
      LEFT JOIN actText ON actText.act = act.key ORDER BY act.key
      """)
  }

  private func tally(_ node: TestNode, by actor: Actor) throws {
    try Upkeep(context: node.context, policy: Upkeep.Policy(part: 1), log: .silent)
      .tally(beta.id, by: actor)
  }

  @Test func everyCommandOfThePeopleIsAnAct() throws {
    let id = try alpha.send("một", to: [Province.beta]).rawValue
    let other = try alpha.send("hai", to: [Province.beta]).rawValue
    try exchange([alpha, beta], through: broker)
    _ = try beta.office.refuse(other, reason: "nhầm nơi nhận")
    try exchange([alpha, beta], through: broker)
    _ = try alpha.office.resend(
      ids: [other], filter: DeliveryFilter(), reason: "gọi điện rồi", dryRun: false)
    try exchange([alpha, beta], through: broker)
    _ = try alpha.office.recall(id, reason: "sai số liệu")
    try exchange([alpha, beta], through: broker)
    _ = try beta.office.answerRecall(id, agree: false, reason: "đã thi hành")
    try exchange([alpha, beta], through: broker)
    _ = try alpha.office.recall(id, reason: "lần hai")
    try exchange([alpha, beta], through: broker)
    _ = try beta.office.answerRecall(id, agree: true, reason: nil)
    try tally(alpha, by: alpha.office.actor)
    try exchange([alpha, beta], through: broker)
    // Nothing was left to cancel, and it is an act all the same; a tally has parts and is one act.
    #expect(
      try acts(alpha) == [
        "issue document", "issue document", "resend document gọi điện rồi",
        "takeBack document sai số liệu", "takeBack document lần hai", "reconcile unit",
      ])
    #expect(
      try acts(beta) == [
        "refuse document nhầm nơi nhận", "decline document đã thi hành", "agree document",
      ])
    // Shown at the document, with who it was.
    let shown = try alpha.store.reader.acts(document: try alpha.store.reader.find(id).summary.key)
    #expect(shown.map(\.verb) == ["issue", "takeBack", "takeBack"])
    #expect(
      shown.allSatisfy { $0.who == "văn thư" && $0.capacity == "operator" && $0.place == "cli" })
    #expect(shown.map(\.subject) == [id, id, id])
    // What the daemon did is no act.
    try tally(alpha, by: .daemon)
    #expect(try acts(alpha).count == 6)
  }

  @Test func theQuarantineAndTheImportAreActs() throws {
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: alpha.clock)
    try alpha.intake.store([hostile.message(body: Data("rác".utf8))])
    try alpha.settle()
    let key = try #require(try alpha.store.reader.quarantined(limit: 1).first).key
    let actor = alpha.office.actor
    try alpha.store.joining.release(quarantined: key, reason: "thử", at: alpha.clock.now, by: actor)
    try alpha.settle()
    try alpha.store.joining.discard(quarantined: key, reason: "rác", at: alpha.clock.now, by: actor)
    #expect(throws: StoreError(.notFound, "")) {
      try alpha.store.joining.discard(
        quarantined: key, reason: "nữa", at: alpha.clock.now, by: actor)
    }
    #expect(try acts(alpha) == ["release message thử", "discard message rác"])
    #expect(try alpha.numbers("SELECT subjectKey FROM act") == [Int(key), Int(key)])
    #expect(
      try alpha.texts(
        "SELECT verb FROM history JOIN act ON act.key = history.act ORDER BY history.key")
        == ["release", "discard"])

    let id = try alpha.send(to: [Province.beta])
    let document = try alpha.store.reader.find(id.rawValue).summary
    let folder = try TemporaryFolder().path("xuất")
    _ = try ExportFolder.write(document, context: alpha.office.context, to: folder)
    let restored = try TestNode(Province.alpha, clock: alpha.clock)
    _ = try restored.office.takeIn(export: folder)
    #expect(try acts(restored) == ["import document"])
  }

  /// One act for the command, however many deliveries and steps; none for a dry run, and none when all
  /// of it was left alone.
  @Test func aLargeResendIsOneAct() throws {
    let ids = try (0..<3).map { try alpha.send("\($0)", to: [Province.beta, Province.gamma]) }
    func resend(_ dryRun: Bool) throws -> [ResendResult] {
      try alpha.office.resend(ids: [], filter: DeliveryFilter(), reason: "tất cả", dryRun: dryRun)
    }
    #expect(try resend(false).allSatisfy { $0.refusal != nil })
    try alpha.change("UPDATE delivery SET state = 'suspended', lastError = 'X'")
    #expect(try resend(true).allSatisfy { $0.refusal == nil })
    #expect(try alpha.count("act", "verb = 'resend'") == 0)
    #expect(try resend(false).count == 6)
    #expect(try alpha.count("act", "verb = 'resend'") == 1)
    #expect(try alpha.count("history", "act = (SELECT key FROM act WHERE verb = 'resend')") == 6)
    for id in ids {
      let acts = try alpha.store.reader.acts(
        document: try alpha.store.reader.find(id.rawValue).summary.key)
      #expect(acts.map(\.verb) == ["issue", "resend"])
      #expect(acts.last?.kind == "deliveries")
    }
  }

  /// What does not happen was not done by anybody.
  @Test func aRolledBackActLeavesNoRow() throws {
    let id = try alpha.send(to: [Province.beta]).rawValue
    try exchange([alpha, beta], through: broker)
    let before = (try acts(alpha), try acts(beta))
    for node in [alpha, beta] {
      try node.change(
        """
        CREATE TRIGGER fail BEFORE INSERT ON notice BEGIN SELECT RAISE(ABORT, 'hỏng'); END;
        CREATE TRIGGER fails BEFORE INSERT ON delivery BEGIN SELECT RAISE(ABORT, 'hỏng'); END
        """)
    }
    #expect(throws: StoreError.self) { try alpha.send("nữa", to: [Province.beta]) }
    #expect(throws: StoreError.self) { try alpha.office.recall(id, reason: "sai") }
    #expect(throws: StoreError.self) { try beta.office.refuse(id, reason: "nhầm") }
    #expect(throws: StoreError.self) { try tally(alpha, by: alpha.office.actor) }
    #expect(try acts(alpha) == before.0)
    #expect(try acts(beta) == before.1)
  }

  /// Rows are for good; what a person wrote may be removed.
  @Test func actsAreNeverChanged() throws {
    let id = try alpha.send(to: [Province.beta]).rawValue
    _ = try alpha.office.recall(id, reason: "lộ số điện thoại")
    #expect(throws: DatabaseError.self) { try alpha.change("UPDATE act SET osUser = 'ai'") }
    #expect(throws: DatabaseError.self) { try alpha.change("DELETE FROM act") }
    try alpha.change("DELETE FROM actText")
    let shown = try alpha.store.reader.acts(document: try alpha.store.reader.find(id).summary.key)
    #expect(shown.map(\.verb) == ["issue", "takeBack"])
    #expect(shown.allSatisfy { $0.reason == nil })
  }

  /// Account, capacity, delegation and the operating system's user stand apart.
  @Test func whoActedIsKeptInItsParts() throws {
    let account = Actor.account(
      Actor.Account(
        id: "an.nv", capacity: .own, onBehalfOf: "binh.tt", delegation: "uq-7",
        place: "2001:db8::7", osUser: Actor.OSUser(name: "congvan")))
    let people: [Actor] = [
      .operator(Actor.OSUser(name: "root", sudoUser: "an")), .operator(Actor.OSUser(name: "an")),
      account,
    ]
    for actor in people {
      let office = Office(context: alpha.office.context, actor: actor)
      let path = try alpha.folder.write(pdf(actor.name), as: "\(UUID().uuidString).pdf")
      _ = try office.send(draft([path], to: [Province.beta]))
    }
    var issued: [DocumentSummary] = []
    _ = try alpha.store.reader.eachOutgoing(limit: 3) { issued.append($0) }
    let shown = try issued.reversed().flatMap {
      try alpha.store.reader.acts(document: $0.key)
    }
    #expect(shown.map(\.who) == ["root (sudo: an)", "an", "an.nv"])
    #expect(shown.map(\.capacity) == ["operator", "operator", "own"])
    #expect(shown.map(\.sudoUser) == ["an", nil, nil])
    #expect(shown.map(\.osUser) == ["root", "an", "congvan"])
    #expect(shown.last?.onBehalfOf == "binh.tt" && shown.last?.delegation == "uq-7")
    #expect(shown.map(\.place) == ["cli", "cli", "2001:db8::7"])
  }

  // MARK: What is judged, and what is said about it

  /// A decision that the database refuses is undone alone; the others of the batch go on, and it is
  /// tried again later.
  @Test func oneRowThatCannotBeAppliedStopsNobody() throws {
    let node = try TestNode(Province.alpha)
    let peers = ["một", "hai", "ba"].map {
      Hostile(from: Province.beta, to: Province.alpha, clock: node.clock, mark: $0)
    }
    try node.change(
      """
      CREATE TRIGGER fail BEFORE INSERT ON document WHEN NEW.id = '\(peers[1].documentID)'
      BEGIN SELECT RAISE(ABORT, 'hỏng'); END
      """)
    for peer in peers {
      try node.intake.store(peer.pieces() + [peer.message(body: try peer.document())])
    }
    try node.settle()
    #expect(try node.verdicts() == ["accepted", "received", "accepted"])
    #expect(try node.answers() == ["01", "01"])
    #expect(try node.count("attachment") == 2, "nothing of it is half there")
    #expect(try node.review.step(ripe: true) == 0, "and it is not tried without end")
    try node.change("DROP TRIGGER fail")
    node.clock.advance(by: .seconds(61))
    try node.settle()
    #expect(try node.verdicts() == ["accepted", "accepted", "accepted"])
  }

  /// Of messages without a readable header nothing is known; each is one of its own all the same.
  @Test func everyUnreadableMessageIsSeen() throws {
    for lane in [Lane.express, .express, .ordinary] {
      var message = InboundMessage(
        assertedSender: nil, lane: lane, redelivered: false,
        envelope: Envelope(type: "", messageID: "", version: nil), body: nil, bodySize: 0)
      message.isReadable = false
      try alpha.intake.store([message])
    }
    #expect(try alpha.verdicts() == Array(repeating: "quarantined MESSAGE-UNKNOWN", count: 3))
    #expect(try alpha.numbers("SELECT duplicates FROM received") == [0, 0, 0])
    #expect(try Set(alpha.texts("SELECT messageID FROM received")).count == 3)
  }

  /// Intake and judge say what they quarantine, and a flood is a line a minute.
  @Test func theQuarantineIsLoggedWithoutAFlood() throws {
    let lines = Watched<[String]>([])
    let node = try TestNode(
      Province.alpha, log: Logger(label: "thử") { _ in LineHandler(lines: lines) })
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    func flood(_ count: Int) throws {
      for number in 0..<count {
        // One that the intake sees through, one that the review does.
        let large = InboundMessage(
          assertedSender: hostile.from.organId, lane: .express, redelivered: false,
          envelope: Envelope(type: "congvan.status", messageID: "l\(number)"), body: nil,
          bodySize: UInt64(2_000_000 + number))
        try node.intake.store([
          large, hostile.message(id: "m\(number)", type: "congvan.lạ", body: Data("x".utf8)),
        ])
        try node.settle()
      }
    }
    try flood(30)
    #expect(
      lines.value.map { String($0.prefix(43)) }.sorted() == [
        "message is quarantined MESSAGE-UNKNOWN CDCS",
        "message is quarantined TOO-LARGE CDCS.BETA ",
      ])
    node.clock.advance(by: .seconds(61))
    try node.settle()
    #expect(
      lines.value.dropFirst(2).sorted() == [
        "more messages are quarantined MESSAGE-UNKNOWN CDCS.BETA 29",
        "more messages are quarantined TOO-LARGE CDCS.BETA 29",
      ])
    // Quiet for a minute, then again at once.
    node.clock.advance(by: .seconds(61))
    try node.settle()
    node.clock.advance(by: .seconds(61))
    try node.settle()
    #expect(lines.value.count == 4)
    try node.intake.store([hostile.message(id: "mới", type: "congvan.lạ", body: Data("y".utf8))])
    try node.settle()
    #expect(lines.value.count == 5)
  }

  private struct LineHandler: LogHandler {
    let lines: Watched<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    init(lines: Watched<[String]>) { self.lines = lines }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let metadata = event.metadata ?? [:]
      let count = metadata["count"] ?? ""
      lines.update {
        $0.append(
          "\(event.message) \(metadata["code"] ?? "") \(metadata["sender"] ?? "") \(count)")
      }
    }
  }
}
