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

/// What no retry sees: confirmed messages that are gone, receipts that are gone.
@Suite struct ReconcileTests {
  let alpha: TestNode
  let beta: TestNode
  let broker = FakeBroker()

  init() throws {
    let clock = ManualClock()
    alpha = try TestNode(Province.alpha, clock: clock)
    beta = try TestNode(Province.beta, clock: clock)
  }

  private func upkeep(_ node: TestNode) -> Upkeep {
    Upkeep(context: node.context, policy: Upkeep.Policy(), log: .silent)
  }

  private func states(_ node: TestNode) throws -> [OutgoingState] {
    try node.deliveries().map(\.state)
  }

  /// What alpha has for beta, which is `receiver`, and what that says in the ordinary lane: a tally and
  /// its answer. What alpha does then is still to come.
  private func thereAndBack(_ receiver: TestNode) throws {
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    while try broker.deliver(.init(beta.id, .ordinary), into: receiver.intake) > 0 {}
    try receiver.settle()
    while try broker.publish(from: receiver.relay, as: beta.id) > 0 {}
    while try broker.deliver(.init(alpha.id, .ordinary), into: alpha.intake) > 0 {}
    try alpha.settle()
  }

  @Test func whatTheBrokerLostIsFoundAndSentAgainWithoutAPerson() throws {
    for mark in ["một", "hai", "ba"] { try alpha.send(mark, size: 3_000_000, to: [Province.beta]) }
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    #expect(try states(alpha) == [.published, .published, .published])
    broker.loseEverything()
    try exchange([alpha, beta], through: broker)
    #expect(try beta.count("document") == 0)

    // A day later the upkeep does it by itself.
    #expect(try !upkeep(alpha).step())
    alpha.clock.advance(by: .seconds(86_400 + 60))
    #expect(try upkeep(alpha).step())
    #expect(try !upkeep(alpha).step(), "one tally a day")
    try exchange([alpha, beta], through: broker)
    #expect(try states(alpha) == [.delivered, .delivered, .delivered])
    #expect(try beta.verdicts() == ["accepted", "accepted", "accepted"])
    let pair = try #require(try alpha.store.reader.reconciliations(with: beta.id).first)
    #expect(pair.sent == 3)
    #expect(pair.receipts == 3)
    #expect(pair.missing == 3)
  }

  @Test func aLostReceiptIsAskedForAndIsTheStoredOne() throws {
    try alpha.send(to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    _ = try broker.deliver(.init(beta.id, .ordinary), into: beta.intake)
    try beta.settle()
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    broker.loseEverything()
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(try states(alpha) == [.delivered])
    #expect(try beta.answers() == ["01"])
    let receipts = broker.published.filter { $0.message.envelope.kind == .status }
    #expect(receipts.count == 2)
    #expect(Set(receipts.map(\.message.body)).count == 1)
    #expect(try beta.numbers("SELECT duplicates FROM received ORDER BY key") == [0])
  }

  @Test func aReceiverThatLostItsDatabaseGetsEverythingAgain() throws {
    try alpha.send("một", to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    #expect(try states(alpha) == [.delivered])
    let restored = try TestNode(Province.beta, clock: alpha.clock)
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, restored], through: broker)
    #expect(try states(alpha) == [.delivered])
    #expect(try restored.count("document") == 1)
    #expect(
      try alpha.texts(
        "SELECT cause FROM history WHERE subject = 'delivery' AND toState = 'queued'")
        == ["issued", "reconciled"])
  }

  /// The sender's database is a backup: it is told which documents it no longer knows, and its new
  /// ones collide with none of them. It takes them in again from the receiver's export: nothing is
  /// there twice, and receipts are known again. What it had taken back is not sent again.
  @Test(arguments: [false, true]) func aRestoredSenderTakesInWhatItNoLongerKnows(_ isRecalled: Bool)
    throws
  {
    try alpha.send("trước", to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let backup = try TemporaryFolder()
    try DatabaseQueue(path: alpha.folder.path(DatabaseFile.name)).inDatabase {
      try $0.execute(sql: "VACUUM INTO '\(backup.path(DatabaseFile.name))'")
    }
    let restored = try TestNode(Province.alpha, clock: alpha.clock, folder: backup)
    let lost = try alpha.send("sau", size: 400_000, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    if isRecalled {
      _ = try alpha.office.recall(lost.rawValue, reason: "nhầm")
      try exchange([alpha, beta], through: broker)
      _ = try beta.office.answerRecall(lost.rawValue, agree: true, reason: nil)
      try exchange([alpha, beta], through: broker)
    }
    alpha.clock.advance(by: .seconds(7200))

    let new = try restored.send("mới", to: [Province.beta])
    try exchange([restored, beta], through: broker)
    try upkeep(restored).tally(beta.id)
    try exchange([restored, beta], through: broker)
    #expect(try states(restored) == [.delivered, .delivered])
    #expect(try beta.count("document", "direction = 'incoming'") == 3)
    let told = try restored.store.reader.quarantined(limit: 10)
    // A document that was taken back is not spoken of.
    #expect(told.map(\.outcome) == (isRecalled ? [] : ["STATUS-UNMATCHED"]))
    #expect(told.allSatisfy { $0.detail?.contains(lost.rawValue) == true })
    #expect(told.allSatisfy { $0.detail?.contains("restored from a backup") == true })
    #expect(told.allSatisfy { $0.detail?.contains(new.rawValue) == false })

    let folder = try TemporaryFolder().path("export")
    _ = try ExportFolder.write(
      beta.store.reader.find(lost.rawValue).summary, context: beta.office.context, to: folder)
    guard !isRecalled else {
      #expect(throws: OfficeError(.frozen, "")) { try restored.office.takeIn(export: folder) }
      return
    }
    let taken = try restored.office.takeIn(export: folder)
    #expect(taken.id == lost && taken.deliveries.map(\.state) == [.queued])
    #expect(throws: OfficeError(.known, "")) { try restored.office.takeIn(export: folder) }
    try exchange([restored, beta], through: broker)
    alpha.clock.advance(by: .seconds(1))
    try upkeep(restored).tally(beta.id)
    try exchange([restored, beta], through: broker)
    #expect(try states(restored) == [.delivered, .delivered, .delivered])
    #expect(try beta.count("document", "direction = 'incoming'") == 3)
    #expect(try restored.store.reader.quarantined(limit: 10).isEmpty)
    let document = try restored.store.reader.find(lost.rawValue).summary
    #expect(try restored.store.reader.statuses(document: document.key).map(\.code) == ["01"])
    let original = try alpha.store.reader.find(lost.rawValue).summary.key
    #expect(
      try restored.store.relay.signedManifest(document: document.key)
        == alpha.store.relay.signedManifest(document: original))
  }

  /// Only a document of one's own, and only a whole one.
  @Test func whatIsNotOursOrNotWholeIsNotTakenIn() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let folder = try TemporaryFolder().path("export")
    _ = try ExportFolder.write(
      beta.store.reader.find(id.rawValue).summary, context: beta.office.context, to: folder)
    let gamma = try TestNode(Province.gamma, clock: alpha.clock)
    #expect(throws: OfficeError(.verifyFailed, "")) { try gamma.office.takeIn(export: folder) }
    let empty = try TestNode(Province.alpha, clock: alpha.clock)
    let files = "\(folder)/files"
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: files).first)
    try Data("khác".utf8).write(to: URL(filePath: "\(files)/\(name)"))
    #expect(throws: OfficeError(.verifyFailed, "")) { try empty.office.takeIn(export: folder) }
    #expect(try empty.count("document") == 0 && empty.count("blob") == 0)
  }

  @Test func whenNothingIsMissingNothingIsSentAgain() throws {
    try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    try upkeep(alpha).tally(beta.id)
    let before = broker.published.count
    try exchange([alpha, beta], through: broker)
    #expect(
      broker.published.dropFirst(before).map(\.message.envelope.kind) == [.tally, .tallyAnswer])
    #expect(try alpha.store.reader.reconciliations(with: nil).first?.missing == 0)
  }

  /// The tally of a unit says nothing about documents of others, and an answer counts once.
  @Test func foreignAndRepeatedAnswersChangeNothing() throws {
    let gamma = try TestNode(Province.gamma, clock: alpha.clock)
    try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let id = try #require(try alpha.deliveries().first).document
    func answer(from node: TestNode, to tally: RecordID) throws {
      let now = node.clock.now
      let answer = TallyAnswer(
        id: RecordID(at: now), tallyID: tally, from: node.organ, to: alpha.id, timestamp: now,
        missing: [id])
      let body = try node.context.signer.sign(TallyCodec.encode(answer), at: now)
      try alpha.intake.store([
        InboundMessage(
          assertedSender: node.id, lane: .ordinary, redelivered: false,
          envelope: Envelope(
            type: MessageKind.tallyAnswer.rawValue, messageID: answer.id.rawValue),
          body: body, bodySize: UInt64(body.count))
      ])
      try alpha.settle()
    }
    try upkeep(alpha).tally(beta.id)
    let tally = try #require(RecordID(try alpha.texts("SELECT id FROM tally")[0]))
    try answer(from: gamma, to: tally)
    #expect(try states(alpha) == [.delivered])
    try answer(from: beta, to: tally)
    #expect(try states(alpha) == [.queued])
    try exchange([alpha, beta], through: broker)
    try answer(from: beta, to: tally)
    #expect(try states(alpha) == [.delivered])
  }

  @Test func aDeliveryExpiresAndCanBeResent() throws {
    let path = try alpha.folder.write(pdf("một"), as: "một.pdf")
    var draft = draft([path], to: [Province.beta])
    draft.expiresAt = alpha.clock.now.advanced(by: .seconds(3600))
    let id = try alpha.office.send(draft).id
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    _ = try upkeep(alpha).step()
    #expect(try states(alpha) == [.published])
    alpha.clock.advance(by: .seconds(3600))
    _ = try upkeep(alpha).step()
    #expect(try states(alpha) == [.expired])
    #expect(try alpha.deliveries()[0].lastError == "EXPIRED")
    // The receipt comes after all.
    try exchange([alpha, beta], through: broker)
    #expect(try states(alpha) == [.delivered])
    #expect(
      try alpha.office.resend(
        ids: [id.rawValue], filter: DeliveryFilter(), reason: "thử", dryRun: false
      ).first?.refusal != nil)
  }

  @Test func aLostRefusalByAPersonIsAskedForToo() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    _ = try beta.office.refuse(id.rawValue, reason: "gửi nhầm")
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    broker.loseEverything()
    #expect(try states(alpha) == [.delivered])
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(try states(alpha) == [.refused])
    #expect(try beta.answers() == ["01", "02 REFUSED-BY-PERSON"])
  }

  /// The receiver did not know the sender yet, answered nothing and kept nothing of the pieces.
  @Test func whatWasQuarantinedWithoutAnAnswerIsSentAgain() throws {
    let narrow = try TestNode(
      Province.beta, clock: alpha.clock, directory: try Directory(units: []))
    try alpha.send(size: 3_000_000, to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    for lane in Lane.allCases {
      while try broker.deliver(.init(beta.id, lane), into: narrow.intake) > 0 {}
    }
    try narrow.settle()
    #expect(try narrow.answers() == [])
    #expect(try narrow.verdicts().allSatisfy { $0 == "quarantined SENDER-UNKNOWN" })
    // What it would answer once it knows the sender: not here, so send it again.
    let now = alpha.clock.now
    let tally = Tally(
      id: RecordID(at: now), from: alpha.organ, to: beta.id, timestamp: now,
      entries: try alpha.store.relay.tallyEntries(for: beta.id, since: now))
    let found = try narrow.store.review.compare(tally, of: 1_600, from: alpha.id)
    #expect(found.missing == tally.entries.map(\.documentId))
    #expect(found.missing.count == 1)
    #expect(found.owed == [])
  }

  /// The receiver was restored from a backup, and refused what came again because its clock was
  /// wrong. The sender keeps to the receipt that it has; the next tally must not take the refusal for
  /// an answer.
  @Test func whatWasForgottenAndThenRefusedIsSentAgain() throws {
    try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    #expect(try states(alpha) == [.delivered])
    let clock = ManualClock()
    let restored = try TestNode(Province.beta, clock: clock)
    try upkeep(alpha).tally(beta.id)
    try thereAndBack(restored)
    #expect(try states(alpha) == [.queued])
    clock.advance(by: .seconds(-2 * 86_400))
    try exchange([alpha, restored], through: broker)
    #expect(try restored.verdicts().contains("quarantined SIGNATURE-TIME-IN-FUTURE"))
    #expect(try states(alpha) == [.published])
    clock.advance(by: .seconds(2 * 86_400))
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, restored], through: broker)
    #expect(try states(alpha) == [.delivered])
    #expect(try restored.count("document") == 1)
  }

  /// Found by the fault campaign (seed 501): a restored receiver got a document again, and its new
  /// receipt was lost with the broker's queues. The sender has one receipt, the old one, and the
  /// receiver gave one, the new one: the numbers agree, and the delivery waited for ever.
  @Test func theReceiptAfterARestoreIsAskedForAlthoughTheNumbersAgree() throws {
    try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let restored = try TestNode(Province.beta, clock: alpha.clock)
    try upkeep(alpha).tally(beta.id)
    // The answer, the document again; the receipt is taken by the broker and lost there.
    try thereAndBack(restored)
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    while try broker.deliver(.init(beta.id, .ordinary), into: restored.intake) > 0 {}
    try restored.settle()
    try broker.publish(from: restored.relay, as: beta.id)
    broker.loseEverything()
    #expect(try restored.verdicts().contains("accepted"))
    #expect(try states(alpha) == [.published])
    #expect(try alpha.store.reader.statuses(document: 1).count == 1)

    alpha.clock.advance(by: .seconds(1))
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, restored], through: broker)
    #expect(try states(alpha) == [.delivered])
  }

  /// The sender has the receipt of before the restore and that of after it; the receiver gave the
  /// second and a person's refusal, which is lost: two here, two there.
  @Test func aRefusalAfterARestoreIsAskedForAlthoughTheNumbersAgree() throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    alpha.clock.advance(by: .seconds(1))
    let restored = try TestNode(Province.beta, clock: alpha.clock)
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, restored], through: broker)
    #expect(try alpha.store.reader.statuses(document: 1).count == 2)
    // What was forgotten is not a reason to say all again every day.
    let before = broker.published.count
    alpha.clock.advance(by: .seconds(1))
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, restored], through: broker)
    #expect(
      broker.published.dropFirst(before).map(\.message.envelope.kind) == [.tally, .tallyAnswer])

    _ = try restored.office.refuse(id.rawValue, reason: "gửi nhầm")
    try broker.publish(from: restored.relay, as: beta.id)
    broker.loseEverything()
    #expect(try states(alpha) == [.delivered])
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, restored], through: broker)
    #expect(try states(alpha) == [.refused])
  }

  /// It expired, or its sending was cancelled at the last moment; but it had arrived, and the
  /// receipt is lost.
  @Test(arguments: [OutgoingState.expired, .cancelled])
  func whatEndedWithoutAReceiptAndHadArrivedIsFound(_ end: OutgoingState) throws {
    let path = try alpha.folder.write(pdf("một"), as: "một.pdf")
    var draft = draft([path], to: [Province.beta])
    draft.expiresAt = alpha.clock.now.advanced(by: .seconds(3600))
    let id = try alpha.office.send(draft).id
    if end == .cancelled { broker.faults.loseAnswer = 100 }
    try broker.publish(from: alpha.relay, as: alpha.id)
    broker.faults.loseAnswer = 0
    while try broker.deliver(.init(beta.id, .ordinary), into: beta.intake) > 0 {}
    try beta.settle()
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    broker.loseEverything()
    if end == .cancelled { _ = try alpha.office.recall(id.rawValue, reason: "nhầm") }
    alpha.clock.advance(by: .seconds(3600))
    _ = try upkeep(alpha).step()
    #expect(try states(alpha) == [end])
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(try states(alpha) == [.delivered])
  }

  /// The receipt had ended its time to live, which is over by now; then the receiver loses it.
  @Test func whatIsSentAgainAfterItsReceiptDoesNotExpire() throws {
    let path = try alpha.folder.write(pdf("một"), as: "một.pdf")
    var draft = draft([path], to: [Province.beta])
    draft.expiresAt = alpha.clock.now.advanced(by: .seconds(3600))
    _ = try alpha.office.send(draft)
    try exchange([alpha, beta], through: broker)
    alpha.clock.advance(by: .seconds(7200))
    let restored = try TestNode(Province.beta, clock: alpha.clock)
    try upkeep(alpha).tally(beta.id)
    try thereAndBack(restored)
    #expect(try states(alpha) == [.queued])
    _ = try upkeep(alpha).step()
    #expect(try states(alpha) == [.queued])
    try exchange([alpha, restored], through: broker)
    #expect(try states(alpha) == [.delivered])
    #expect(try restored.count("document") == 1)
  }

  /// The receiver was restored, and by now refuses what it had accepted. The sender keeps to the
  /// receipt, so the delivery waits; it must become overdue although it goes out every day.
  @Test func whatGoesOutAgainEveryDayBecomesOverdue() throws {
    try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let narrow = try TestNode(
      Province.beta, clock: alpha.clock, limits: IntakeLimits(documentBytes: 1))
    var filter = DeliveryFilter()
    for day in 1...5 {
      alpha.clock.advance(by: .seconds(86_400))
      try upkeep(alpha).tally(beta.id)
      try exchange([alpha, narrow], through: broker)
      #expect(try narrow.verdicts().contains("quarantined TOO-LARGE"))
      #expect(try states(alpha) == [.published])
      filter.overdueBefore = alpha.clock.now.advanced(by: .seconds(-3 * 86_400))
      #expect(try alpha.store.reader.deliveries(filter).count == (day < 4 ? 0 : 1), "day \(day)")
    }
  }

  /// Nothing went to the unit for a month, and it lost the content of an old document: it is asked once
  /// a month all the same.
  @Test func aUnitThatGetsNothingNewIsAskedOnceAMonth() throws {
    try alpha.send(size: 300_000, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    alpha.clock.advance(by: .seconds(2 * 86_400))
    #expect(try upkeep(alpha).step())
    try exchange([alpha, beta], through: broker)
    alpha.clock.advance(by: .seconds(29 * 86_400))
    #expect(try !upkeep(alpha).step())
    alpha.clock.advance(by: .seconds(4 * 86_400))
    let blobs = beta.folder.path("blobs")
    for folder in try FileManager.default.contentsOfDirectory(atPath: blobs) {
      try FileManager.default.removeItem(atPath: "\(blobs)/\(folder)")
    }
    try ContentScrubber(context: beta.context, log: .silent).step()
    #expect(try beta.count("blob") == 0)
    #expect(try upkeep(alpha).step())
    #expect(try !upkeep(alpha).step())
    try exchange([alpha, beta], through: broker)
    #expect(try beta.count("blob") == 1)
    #expect(try states(alpha) == [.delivered])
  }

  /// The stored receipt of a damaged document must not end the delivery that brings its content, in
  /// whatever order receipt and answer come; also when a copy of the receipt is replayed meanwhile.
  @Test(arguments: [true, false]) func anOldReceiptDoesNotStopTheRepair(_ isReplayed: Bool) throws {
    try alpha.send(size: 3_000_000, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let receipt = try #require(
      broker.published.map(\.message).last { $0.envelope.kind == .status })
    let blobs = beta.folder.path("blobs")
    for folder in try FileManager.default.contentsOfDirectory(atPath: blobs) {
      try FileManager.default.removeItem(atPath: "\(blobs)/\(folder)")
    }
    try ContentScrubber(context: beta.context, log: .silent).step()
    #expect(try beta.count("blob") == 0)
    alpha.clock.advance(by: .seconds(60))
    try upkeep(alpha).tally(beta.id)
    try thereAndBack(beta)
    #expect(try states(alpha) == [.queued])
    try broker.publish(from: alpha.relay, as: alpha.id, count: 1)
    if isReplayed {
      try alpha.intake.store([
        InboundMessage(
          assertedSender: beta.id, lane: .express, redelivered: true, envelope: receipt.envelope,
          body: receipt.body, bodySize: UInt64(receipt.body.count))
      ])
      try alpha.settle()
      #expect(try states(alpha) == [.delivered])
    }
    try exchange([alpha, beta], through: broker)
    #expect(try beta.count("blob") == 1)
    #expect(try states(alpha) == [.delivered])
  }

  /// So much goes to the unit that every tally has parts, and none names the old document.
  @Test func anOldDocumentOfABusySenderIsRepairedToo() throws {
    try alpha.send("cũ", size: 100, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    alpha.clock.advance(by: .seconds(40 * 86_400))
    for number in 0..<3 { try alpha.send("\(number)", size: 100, to: [Province.beta]) }
    try exchange([alpha, beta], through: broker)
    try DatabaseQueue(path: beta.folder.path(DatabaseFile.name)).write {
      try $0.execute(
        sql: "DELETE FROM blob WHERE sha256 = (SELECT sha256 FROM attachment WHERE document = 1)")
    }
    #expect(try beta.count("blob") == 3)
    alpha.clock.advance(by: .seconds(60))
    try Upkeep(context: alpha.context, policy: .init(part: 1), log: .silent).tally(beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(try beta.count("blob") == 4)
    #expect(try states(alpha).allSatisfy { $0 == .delivered })
  }

  /// The newer one, which replaces the other, is taken in first.
  @Test func whatIsTakenInAfterItsReplacementIsNotInForce() throws {
    let old = try alpha.send("cũ", to: [Province.beta])
    let path = try alpha.folder.write(pdf("mới"), as: "mới.pdf")
    var draft = draft([path], to: [Province.beta], number: "160/QĐ-LĐLĐ")
    draft.replaces = old.rawValue
    let new = try alpha.office.send(draft).id
    try alpha.office.resend(
      ids: [], filter: DeliveryFilter(), reason: "thử", dryRun: true
    ).forEach { #expect($0.refusal != nil) }
    try exchange([alpha, beta], through: broker)
    let empty = try TestNode(Province.alpha, clock: alpha.clock)
    let folders = try TemporaryFolder()
    for (node, id) in [(beta, new), (alpha, old)] {
      let folder = folders.path(id.rawValue)
      _ = try ExportFolder.write(
        node.store.reader.find(id.rawValue).summary, context: node.office.context, to: folder)
      _ = try empty.office.takeIn(export: folder)
    }
    #expect(try empty.store.reader.find(old.rawValue).summary.frozen == "replaced")
    #expect(try states(empty) == [.queued, .cancelled])
  }

  /// Each part of a tally is answered with all that is damaged: what is under way again by then is not
  /// sent a second time.
  @Test func partsOfATallySendNothingTwice() throws {
    for number in 0..<6 { try alpha.send("\(number)", size: 100, to: [Province.beta]) }
    try exchange([alpha, beta], through: broker)
    try DatabaseQueue(path: beta.folder.path(DatabaseFile.name)).write {
      try $0.execute(sql: "DELETE FROM blob")
    }
    let upkeep = Upkeep(context: alpha.context, policy: .init(part: 3), log: .silent)
    alpha.clock.advance(by: .seconds(60))
    try upkeep.tally(beta.id)
    let before = broker.published.count
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    _ = try broker.deliver(.init(beta.id, .ordinary), into: beta.intake)
    try beta.settle()
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    // The first answer counts before the second comes.
    alpha.clock.advance(by: .seconds(1))
    try broker.deliver(.init(alpha.id, .ordinary), into: alpha.intake, count: 1)
    try alpha.settle()
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    try exchange([alpha, beta], through: broker)
    #expect(try beta.count("blob") == 6)
    #expect(try states(alpha).allSatisfy { $0 == .delivered })
    let documents = broker.published.dropFirst(before).filter {
      $0.message.envelope.kind == .document
    }
    #expect(documents.count == 6)
  }

  @Test func aUnitThatGotVeryMuchIsToldAllOfIt() throws {
    // What a restored receiver lacks is the newest: a tally of only the oldest would not name it.
    let count = 8
    for number in 0..<count { try alpha.send("\(number)", size: 100, to: [Province.beta]) }
    try exchange([alpha, beta], through: broker)
    let upkeep = Upkeep(context: alpha.context, policy: .init(part: 3), log: .silent)
    // What a part does not name, another one does: the receiver does not take it for lost here.
    alpha.clock.advance(by: .seconds(2 * 3600))
    let before = broker.published.count
    try upkeep.tally(beta.id)
    try exchange([alpha, beta], through: broker)
    let kinds = broker.published.dropFirst(before).map(\.message.envelope.kind)
    #expect(kinds == [.tally, .tally, .tally, .tallyAnswer, .tallyAnswer, .tallyAnswer])

    let restored = try TestNode(Province.beta, clock: alpha.clock)
    try upkeep.tally(beta.id)
    #expect(try alpha.count("tally") == 6)
    try exchange([alpha, restored], through: broker)
    #expect(try restored.count("document") == count)
    let pair = try #require(try alpha.store.reader.reconciliations(with: beta.id).first)
    #expect(pair.missing == count)
    #expect(pair.receipts == count)
  }

  @Test func aSuspendedStatusIsTriedAgainTheNextDay() throws {
    try alpha.send(to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    while try broker.deliver(.init(beta.id, .ordinary), into: beta.intake) > 0 {}
    try beta.settle()
    let work = try #require(
      try beta.store.relay.dueNotices(limit: 1, after: "", excluding: [], now: beta.clock.now).first
    )
    try beta.store.relay.settle(
      deliveries: [],
      notices: [(work.key, .suspend(code: "BROKER-REFUSED-403", reason: "thử"))],
      at: beta.clock.now)
    #expect(try !upkeep(beta).step())
    let refused = try #require(try beta.store.reader.openNotices(refused: true, limit: 10).first)
    #expect(refused.type == "congvan.status" && refused.code == "01")
    #expect(refused.to == alpha.id)
    #expect(try alpha.deliveries().map(\.document.rawValue) == [refused.about])
    #expect(refused.state == "suspended" && refused.attempts == 1)
    #expect(refused.lastError == "BROKER-REFUSED-403" && refused.lastErrorText == "thử")
    alpha.clock.advance(by: .seconds(86_401))
    #expect(try upkeep(beta).step())
    // Queued again, and still known as one that was refused.
    #expect(try beta.store.reader.openNotices(refused: true, limit: 10).map(\.state) == ["queued"])
    try exchange([alpha, beta], through: broker)
    #expect(try states(alpha) == [.delivered])
    #expect(try beta.store.reader.openNotices(refused: false, limit: 10).isEmpty)
  }

  @Test func noticesThatOnlyWaitAreListedButWereNotRefused() throws {
    try alpha.send(to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    try upkeep(alpha).tally(beta.id)
    let waiting = try alpha.store.reader.openNotices(refused: false, limit: 10)
    #expect(waiting.map(\.type) == ["congvan.tally"])
    #expect(waiting[0].code == nil && waiting[0].about == nil && waiting[0].nextAt == nil)
    #expect(try alpha.store.reader.openNotices(refused: true, limit: 10).isEmpty)
  }
}
