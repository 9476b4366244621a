import DocumentSigning
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

/// Content that got lost or other bytes after it had been stored: found, set aside, and here again.
@Suite struct DamagedContentTests {
  static let piece = Int(WireLimits.pieceBytes)
  /// Inline, one piece in a file, several pieces.
  static let sizes = [200, 300_000, 2 * piece + 5]

  let alpha: TestNode
  let beta: TestNode
  let broker = FakeBroker()

  init() throws {
    let clock = ManualClock()
    alpha = try TestNode(Province.alpha, clock: clock)
    beta = try TestNode(Province.beta, clock: clock)
  }

  private func care(_ node: TestNode) -> ContentScrubber {
    ContentScrubber(context: node.context, log: .silent)
  }

  private func tally(_ node: TestNode, to other: TestNode) throws {
    try Upkeep(context: node.context, policy: Upkeep.Policy(), log: .silent).tally(other.id)
  }

  // MARK: Incoming

  @Test(arguments: Damage.allCases, [300_000, 2 * piece + 5])
  func damagedIncomingContentComesAgainByItself(_ damage: Damage, _ size: Int) throws {
    let id = try alpha.send(size: size, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let digest = try beta.onlyContent()
    try beta.damage(digest, damage)
    // Seen at the start, or when the file was not read for a week.
    if damage == .otherBytes { beta.clock.advance(by: .seconds(7 * 86_401)) }
    try care(beta).step()
    #expect(try beta.count("blob") == 0)
    #expect(try beta.store.contents.lostContent().map(\.sha256) == [digest])
    #expect(try beta.verdicts() == ["accepted"], "the document itself stays")

    try tally(alpha, to: beta)
    try exchange([alpha, beta], through: broker)
    #expect(try beta.store.contents.lostContent().isEmpty)
    #expect(try beta.store.contents.contentFindings(full: true).damaged.isEmpty)
    #expect(
      try beta.store.contents.content(digest, offset: 0, count: size) == pdf("một", size: size))
    // Exactly once: one row, one receipt, and the sender believes it as before.
    #expect(try beta.count("document") == 1)
    #expect(try beta.count("received", "document IS NOT NULL AND state = 'accepted'") == 1)
    #expect(try beta.answers() == ["01"])
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
    #expect(try alpha.deliveries().map(\.document) == [id])
    // Named by a document: never taken for pieces that nobody needs.
    #expect(try beta.numbers("SELECT isUnnamed FROM blob") == [0])
    #expect(
      try beta.texts("SELECT cause FROM history WHERE fromState = toState ORDER BY key") == [
        damage == .missing ? "STORE-CONTENT-MISSING" : "STORE-CONTENT-DAMAGED",
        "content whole again",
      ])
  }

  @Test func anAlteredRowComesAgainToo() throws {
    try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let digest = try beta.onlyContent()
    try beta.damage(digest, .otherBytes)
    let found = try beta.store.contents.contentFindings(full: true)
    #expect(found.damaged.map(\.code) == ["STORE-CONTENT-DAMAGED"])
    #expect(found.damaged.first?.places.map(\.direction) == ["incoming"])
    #expect(
      try beta.store.contents.contentFindings(full: false).damaged.isEmpty,
      "it is not read for that")
    #expect(
      try beta.store.contents.setAside(digest, at: beta.clock.now, by: Actor("văn thư")) != nil)
    try tally(alpha, to: beta)
    try exchange([alpha, beta], through: broker)
    #expect(try beta.store.contents.contentFindings(full: true).damaged.isEmpty)
    #expect(try beta.store.contents.content(digest, offset: 0, count: 200) == pdf("một"))
    #expect(try beta.answers() == ["01"])
  }

  /// Its tally names the documents of a month only, or of one that is not finished.
  @Test func anOldDocumentIsNamedInTheAnswerToAnyTally() throws {
    try alpha.send("cũ", size: 300_000, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let digest = try beta.onlyContent()
    alpha.clock.advance(by: .seconds(40 * 86_400))
    try beta.damage(digest, .missing)
    try care(beta).step()
    // Nothing of this month: a tally that a person asks for names older ones.
    try tally(alpha, to: beta)
    try exchange([alpha, beta], through: broker)
    #expect(try beta.store.contents.lostContent().isEmpty)

    try beta.damage(digest, .missing)
    try care(beta).step()
    try alpha.send("mới", to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    try tally(alpha, to: beta)
    try exchange([alpha, beta], through: broker)
    #expect(try beta.store.contents.lostContent().isEmpty)
    #expect(try alpha.deliveries().map(\.state) == [.delivered, .delivered])
  }

  /// Lost between its arrival and the review: the manifest is believed and waits.
  @Test func contentLostBeforeItWasJudgedComesAgain() throws {
    try alpha.send(size: 300_000, to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    while try broker.deliver(.init(beta.id, .ordinary), into: beta.intake) > 0 {}
    try beta.damage(try beta.onlyContent(), .missing)
    try beta.settle()
    #expect(try beta.verdicts() == ["verified"])
    try care(beta).step()
    try beta.settle()
    try tally(alpha, to: beta)
    try exchange([alpha, beta], through: broker)
    #expect(try beta.verdicts().first == "accepted")
    #expect(try beta.answers() == ["01"])
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
  }

  /// An unmounted disk is not the loss of every file.
  @Test func aMissingFolderIsNotConcludedToBeLost() throws {
    for number in 0..<30 { try alpha.send("\(number)", size: 270_000, to: [Province.beta]) }
    try exchange([alpha, beta], through: broker)
    let blobs = beta.folder.url.appending(path: "blobs")
    let away = beta.folder.url.appending(path: "đã gỡ")
    try FileManager.default.moveItem(at: blobs, to: away)
    let care = care(beta)
    beta.clock.advance(by: .seconds(8 * 86_400))
    try care.step()
    try care.step()
    #expect(try beta.count("blob") == 30)
    #expect(try beta.store.contents.contentFindings(full: false).damaged.count == 30)
    try FileManager.default.moveItem(at: away, to: blobs)
    try care.step()
    #expect(try beta.store.contents.contentFindings(full: true).damaged.isEmpty)
    #expect(try beta.count("blob", "checkedAt = \(beta.clock.now.microseconds)") == 30)
  }

  @Test func filesAreReadAboutOnceAWeekInSmallSteps() throws {
    for number in 0..<3 { try alpha.send("\(number)", size: 3 * Self.piece, to: [Province.beta]) }
    try exchange([alpha, beta], through: broker)
    var policy = ContentScrubber.Policy()
    policy.stepBytes = Int64(2 * Self.piece)
    let care = ContentScrubber(context: beta.context, policy: policy, log: .silent)
    try care.step()
    #expect(try beta.count("blob", "checkedAt > createdAt") == 0)
    beta.clock.advance(by: .seconds(7 * 86_401))
    var counts: [Int] = []
    for _ in 0..<6 {
      try care.step()
      counts.append(try beta.count("blob", "checkedAt > createdAt"))
    }
    #expect(counts == [0, 1, 2, 2, 3, 3])
  }

  // MARK: Outgoing

  /// Never bytes without their digest: it is suspended with a reason, and goes when the file is back.
  @Test(arguments: Damage.allCases, sizes)
  func damagedOutgoingContentIsSuspendedNotSent(_ damage: Damage, _ size: Int) throws {
    let path = try alpha.folder.write(pdf("gốc", size: size), as: "goc.pdf")
    let id = try alpha.office.send(draft([path], to: [Province.beta])).id
    let other = try alpha.send("khác", to: [Province.beta])
    let digest = try #require(
      try alpha.store.reader.documents(idPrefix: id.rawValue).first?.summary.attachments.first?
        .sha256)
    try alpha.damage(digest, damage)
    alpha.clock.advance(by: .seconds(86_401))
    try exchange([alpha, beta], through: broker)
    let states = try Dictionary(
      uniqueKeysWithValues: alpha.deliveries().map { ($0.document, $0) })
    #expect(states[other]?.state == .delivered)
    #expect(states[id]?.state == .suspended)
    let isMissing = damage == .missing
    #expect(
      states[id]?.lastError == (isMissing ? "STORE-CONTENT-MISSING" : "STORE-CONTENT-DAMAGED"))
    #expect(!broker.published.contains { $0.message.envelope.correlationID == id.rawValue })

    // A resend without the file ends in the same place, and does not go round.
    func resend() throws {
      _ = try alpha.office.resend(
        ids: [id.rawValue], filter: DeliveryFilter(), reason: "thử", dryRun: false)
      try exchange([alpha, beta], through: broker)
    }
    try resend()
    #expect(try alpha.deliveries().map(\.state) == [.suspended, .delivered])

    let wrong = try alpha.folder.write(pdf("sai", size: size), as: "sai.pdf")
    let person = Actor("quản trị")
    #expect(
      try alpha.store.contents.repairContent(from: wrong, at: alpha.clock.now, by: person) == nil)
    if isMissing { try care(alpha).step() }
    let repaired = try alpha.store.contents.repairContent(
      from: path, at: alpha.clock.now, by: person)
    #expect(repaired?.places.map(\.document) == [id])
    try resend()
    #expect(try alpha.deliveries().map(\.state) == [.delivered, .delivered])
    #expect(try beta.store.contents.contentFindings(full: true).damaged.isEmpty)
  }

  /// The receiver says that a file came altered: it is read before it goes out again.
  @Test func contentThatCameAlteredIsComparedBeforeItGoesAgain() throws {
    let size = 2 * Self.piece + 5
    let id = try alpha.send(size: size, to: [Province.beta])
    // Freshly taken in, so that the first attempt relies on the digest of that moment.
    try alpha.damage(try alpha.onlyContent(), .otherBytes)
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.refused])
    #expect(try alpha.deliveries().map(\.lastError) == ["ATTACHMENT-ALTERED"])
    let before = broker.published.count
    for _ in 0..<3 {
      _ = try alpha.office.resend(
        ids: [id.rawValue], filter: DeliveryFilter(), reason: "thử", dryRun: false)
      try exchange([alpha, beta], through: broker)
      #expect(try alpha.deliveries().map(\.state) == [.suspended])
    }
    #expect(broker.published.count == before, "not one piece more")
    let original = try alpha.folder.write(pdf("một", size: size), as: "goc.pdf")
    _ = try alpha.store.contents.repairContent(
      from: original, at: alpha.clock.now, by: Actor("quản trị"))
    _ = try alpha.office.resend(
      ids: [id.rawValue], filter: DeliveryFilter(), reason: "thử", dryRun: false)
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
    #expect(try beta.count("document") == 1)
  }

  /// Restored into `blobs/` itself: a start of the daemon does not take it for a leftover.
  @Test func aFileThatIsPutBackIsTakenInAgain() throws {
    try alpha.send(size: 300_000, to: [Province.beta])
    let digest = try alpha.onlyContent()
    let path = alpha.path(of: digest)
    let bytes = try #require(FileManager.default.contents(atPath: path))
    try FileManager.default.removeItem(atPath: path)
    try care(alpha).step()
    #expect(try alpha.count("blob") == 0)
    try bytes.write(to: URL(filePath: path))
    try alpha.store.contents.sweepContent(at: alpha.clock.now)
    try care(alpha).step()
    #expect(try alpha.store.contents.lostContent().isEmpty)
    #expect(try alpha.store.contents.content(digest, offset: 0, count: 300_000) == bytes)
  }

  @Test func whatWasSetAsideStaysUntilItIsWholeAgain() throws {
    try alpha.send(size: 300_000, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let digest = try beta.onlyContent()
    try beta.damage(digest, .otherBytes)
    _ = try beta.store.contents.setAside(digest, at: beta.clock.now, by: .daemon)
    let kept = beta.folder.path("damaged/\(digest.hex)")
    try beta.store.contents.sweepContent(at: beta.clock.now)
    #expect(FileManager.default.fileExists(atPath: kept))
    try tally(alpha, to: beta)
    try exchange([alpha, beta], through: broker)
    try beta.store.contents.sweepContent(at: beta.clock.now)
    #expect(!FileManager.default.fileExists(atPath: kept))
  }

  /// Điều 5: nor does it stay among what was set aside.
  @Test func whatWasSetAsideGoesWithASecrecyMark() throws {
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: alpha.clock)
    let secret = pdf("BÍ MẬT NHÀ NƯỚC 7781", size: 300_000)
    try alpha.intake.store(hostile.pieces(secret))
    let digest = try alpha.onlyContent()
    try alpha.damage(digest, .otherBytes)
    #expect(try alpha.store.contents.setAside(digest, at: alpha.clock.now, by: .daemon) != nil)
    #expect(try alpha.holds(Data("BÍ MẬT NHÀ NƯỚC 7781".utf8)))
    try alpha.intake.store([
      hostile.message(
        body: try hostile.document { json in
          json["secrecyMark"] = "Mật"
          json["attachments"] = [hostile.attachment("a.pdf", size: secret.count, sha256: digest)]
        })
    ])
    try alpha.settle()
    #expect(try alpha.verdicts() == ["quarantined DIEU5"])
    #expect(try !alpha.holds(Data("BÍ MẬT NHÀ NƯỚC 7781".utf8)))
  }

  /// Another unit's secrecy mark removes nothing of a document that is here.
  @Test func aForeignSecrecyMarkRemovesNothingThatWasSetAside() throws {
    try alpha.send(size: 300_000, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    let digest = try beta.onlyContent()
    try beta.damage(digest, .truncated)
    _ = try beta.store.contents.setAside(digest, at: beta.clock.now, by: .daemon)
    let gamma = Hostile(from: Province.gamma, to: Province.beta, clock: beta.clock)
    try beta.intake.store([
      gamma.message(
        body: try gamma.document { json in
          json["secrecyMark"] = "Mật"
          json["attachments"] = [gamma.attachment("a.pdf", size: 300_000, sha256: digest)]
        })
    ])
    try beta.settle()
    #expect(FileManager.default.fileExists(atPath: beta.folder.path("damaged/\(digest.hex)")))
  }

  @Test(arguments: [200, 300_000])
  func damagedContentIsNotExported(_ size: Int) throws {
    let id = try alpha.send(size: size, to: [Province.beta])
    let document = try #require(
      try alpha.store.reader.documents(idPrefix: id.rawValue).first?.summary)
    try alpha.damage(try alpha.onlyContent(), .otherBytes)
    #expect(throws: StoreError(.contentDamaged, "")) {
      try ExportFolder.write(document, context: alpha.office.context, to: alpha.folder.path("ra"))
    }
  }

  @Test func intactContentIsNotSetAside() throws {
    try alpha.send(size: 300_000, to: [Province.beta])
    let digest = try alpha.onlyContent()
    #expect(try alpha.store.contents.setAside(digest, at: alpha.clock.now, by: .daemon) == nil)
    #expect(try alpha.count("blob") == 1)
  }
}
