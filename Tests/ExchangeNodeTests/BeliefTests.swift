import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import Synchronization
import NodeTestKit
import Testing
import UnitOffice

/// Receipts and other statuses that were not believed when they came: what is shown of them, and what
/// ends it after the repair.
@Suite struct BeliefTests {
  /// What is wrong with a signer until it is repaired.
  enum Wrong: CaseIterable {
    case noIntermediate, usage
  }

  /// A root, an authority below it, and two units whose certificates come in a right and a wrong form.
  final class World: Sendable {
    static let shared = Result { try World() }
    let root: TestCA
    let below: TestCA
    let directory: Directory
    private let identities: [UnitID: (below: TestCA.Identity, usage: TestCA.Identity)]

    private init() throws {
      let root = try TestCA(key: .p256)
      let below = try root.intermediate(key: .p256)
      (self.root, self.below) = (root, below)
      let organs = [Province.alpha, Province.beta]
      let identities: [UnitID: (below: TestCA.Identity, usage: TestCA.Identity)] = try Dictionary(
        uniqueKeysWithValues: organs.map { organ in
          let id = organ.organId.rawValue
          return (
            organ.organId,
            (
              try below.issue(id, key: .p256),
              try root.issue(id, key: .p256, extensions: "server")
            )
          )
        })
      directory = try Self.directory(
        organs.map { ($0, identities[$0.organId].map { [$0.below, $0.usage] } ?? []) })
      self.identities = identities
    }

    static func directory(_ units: [(organ: Organ, identities: [TestCA.Identity])]) throws
      -> Directory
    {
      let listed: [[String: Any]] = units.map { organ, identities in
        [
          "organId": organ.organId.rawValue, "organName": organ.organName ?? "",
          "certificates": identities.map(\.certificatePEM),
        ]
      }
      return try Directory.decode(
        JSONSerialization.data(withJSONObject: ["version": 1, "units": listed]),
        hashing: OpenSSLHashing())
    }

    /// The directory in which beta has no certificate yet.
    func without(_ organ: Organ) throws -> Directory {
      try Self.directory(
        [Province.alpha, Province.beta].map { one in
          (one, one == organ ? [] : identities[one.organId].map { [$0.below] } ?? [])
        })
    }

    func signer(_ organ: Organ, wrong: Wrong? = nil) throws -> CMSSigner {
      let identity = try #require(identities[organ.organId])
      let (key, certificate) =
        switch wrong {
        case nil: (identity.below.keyPath, identity.below.chainPath)
        case .noIntermediate: (identity.below.keyPath, identity.below.certificatePath)
        case .usage: (identity.usage.keyPath, identity.usage.chainPath)
        }
      return CMSSigner(
        key: try SigningKey.load(key: key, certificate: certificate, passphrase: nil))
    }

    /// Trusts the root, or `anchor`, which is read from a file.
    func verifier(anchor: String? = nil, _ source: any DirectorySource) throws -> CMSVerifier {
      let trust = try TrustStore.load(anchors: anchor ?? root.rootPath)
      return CMSVerifier(trust: { trust }, directory: { source.current })
    }
  }

  let world: World
  let clock = ManualClock()
  let broker = FakeBroker()
  let alpha: TestNode

  init() throws {
    world = try World.shared.get()
    alpha = try Self.node(Province.alpha, clock: clock)
  }

  private static func node(
    _ organ: Organ, clock: ManualClock, wrong: Wrong? = nil, folder: TemporaryFolder? = nil,
    source: (any DirectorySource)? = nil, anchor: String? = nil,
    limits: IntakeLimits = IntakeLimits()
  ) throws -> TestNode {
    let world = try World.shared.get()
    let source = source ?? FixedDirectory(world.directory)
    return try TestNode(
      organ, clock: clock, limits: limits, directory: world.directory, folder: folder,
      signing: TestNode.Signing(
        signer: try world.signer(organ, wrong: wrong),
        verifier: try world.verifier(anchor: anchor, source), directory: source))
  }

  private func beta(
    _ wrong: Wrong?, folder: TemporaryFolder? = nil, limits: IntakeLimits = IntakeLimits()
  ) throws -> TestNode {
    try Self.node(Province.beta, clock: clock, wrong: wrong, folder: folder, limits: limits)
  }

  private func tally(_ node: TestNode, to unit: UnitID) throws {
    clock.advance(by: .seconds(60))
    try Upkeep(context: node.context, policy: Upkeep.Policy(), log: .silent).tally(unit)
  }

  private func resend(_ id: RecordID) throws -> [ResendResult] {
    try alpha.office.resend(
      ids: [id.rawValue], filter: DeliveryFilter(), reason: "đã sửa chứng thư", dryRun: false)
  }

  private var state: OutgoingState {
    get throws { try #require(try alpha.deliveries().first).state }
  }

  @Test(arguments: Wrong.allCases, [false, true])
  func aRepairedReceiverIsBelievedAfterAll(_ wrong: Wrong, _ byTally: Bool) throws {
    let broken = try beta(wrong)
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, broken], through: broker)
    #expect(try broken.answers() == ["01"])
    #expect(try state == .published)

    // It is said at the document, and marked as a claim.
    let document = try alpha.store.reader.find(id.rawValue).summary
    let told = try #require(try alpha.store.reader.unbelieved(document: document.key).first)
    #expect(told.code == "01" && told.from == Province.beta.organId)
    #expect(told.outcome == "SIGNATURE-UNTRUSTED")
    #expect(try alpha.deliveries().first?.unbelieved?.outcome == "SIGNATURE-UNTRUSTED")

    // As long as nothing is repaired nothing new is said, however often it is asked for.
    for _ in 0..<2 {
      let results = try resend(id)
      #expect(results.map(\.refusal) == [nil])
      #expect(results[0].remark?.contains("SIGNATURE-UNTRUSTED") == true)
      try exchange([alpha, broken], through: broker)
      try tally(alpha, to: Province.beta.organId)
      try exchange([alpha, broken], through: broker)
    }
    #expect(try broken.answers() == ["01"])
    #expect(try state == .published)

    // The same database under a right certificate.
    let repaired = try beta(nil, folder: broken.folder)
    if byTally { try tally(alpha, to: Province.beta.organId) } else { _ = try resend(id) }
    try exchange([alpha, repaired], through: broker)
    #expect(try state == .delivered)
    #expect(try alpha.deliveries().first?.status == "01")
    #expect(try repaired.answers() == ["01", "01"], "the log keeps both")
    #expect(try Set(repaired.texts("SELECT id FROM status")).count == 2)
    #expect(try Set(repaired.numbers("SELECT at FROM status")).count == 1, "it was said then")

    // Once for each change of certificates; and the two sides agree about the last word.
    let sent = broker.published.count
    for _ in 0..<3 {
      try tally(alpha, to: Province.beta.organId)
      try exchange([alpha, repaired], through: broker)
    }
    #expect(try repaired.answers() == ["01", "01"])
    #expect(broker.published.count == sent + 6, "three tallies and three answers, no statuses")
  }

  /// A receipt of before this program wrote down what it was signed with.
  @Test func aReceiptOfAnEarlierVersionIsGivenAnewToo() throws {
    let broken = try beta(.noIntermediate)
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, broken], through: broker)
    try broken.change("DROP TRIGGER status_kept; UPDATE status SET signer = NULL")
    let repaired = try beta(nil, folder: broken.folder)
    _ = try resend(id)
    try exchange([alpha, repaired], through: broker)
    #expect(try state == .delivered)
    // And one that was signed as now is not.
    try repaired.change("UPDATE status SET signer = NULL")
    try tally(alpha, to: Province.beta.organId)
    try exchange([alpha, repaired], through: broker)
    #expect(try repaired.answers() == ["01", "01"])
  }

  /// What people said with the wrong certificate: a refusal, and both answers to a take-back.
  @Test(arguments: ["02", "15", "16"]) func whatPeopleSaidIsSaidAnewToo(_ code: String) throws {
    let right = try beta(nil)
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, right], through: broker)
    if code != "02" {
      _ = try alpha.office.recall(id.rawValue, reason: "sai số liệu")
      try exchange([alpha, right], through: broker)
    }
    let broken = try beta(.noIntermediate, folder: right.folder)
    if code == "02" {
      _ = try broken.office.refuse(id.rawValue, reason: "nhầm nơi nhận")
    } else {
      _ = try broken.office.answerRecall(id.rawValue, agree: code == "15", reason: "đã thi hành")
    }
    clock.advance(by: .seconds(5))
    try exchange([alpha, broken], through: broker)
    #expect(try alpha.deliveries().first?.status == "01")
    let repaired = try beta(nil, folder: right.folder)
    try tally(alpha, to: Province.beta.organId)
    try exchange([alpha, repaired], through: broker)
    #expect(try alpha.deliveries().first?.status == code)
    #expect(try state == (code == "02" ? .refused : .delivered))
    #expect(try repaired.answers().filter { $0.hasPrefix(code) }.count == 2)
  }

  /// An automatic refusal.
  @Test func anAutomaticRefusalIsGivenAnew() throws {
    var limits = IntakeLimits()
    limits.documentBytes = 100
    let broken = try beta(.noIntermediate, limits: limits)
    let id = try alpha.send(size: 300, to: [Province.beta])
    try exchange([alpha, broken], through: broker)
    #expect(try state == .published)
    let repaired = try beta(nil, folder: broken.folder, limits: limits)
    _ = try resend(id)
    try exchange([alpha, repaired], through: broker)
    #expect(try state == .refused)
    #expect(try alpha.deliveries().first?.lastError == "TOO-LARGE")
    #expect(try repaired.answers() == ["02 TOO-LARGE", "02 TOO-LARGE"])
  }

  /// The sender's own certificate was wrong when it took a document back.
  @Test func aTakeBackThatWasNotBelievedIsSaidAnew() throws {
    let right = try beta(nil)
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, right], through: broker)
    let broken = try Self.node(
      Province.alpha, clock: clock, wrong: .noIntermediate, folder: alpha.folder)
    _ = try broken.office.recall(id.rawValue, reason: "sai số liệu")
    try exchange([broken, right], through: broker)
    #expect(try right.texts("SELECT coalesce(frozen, '-') FROM document") == ["-"])
    let repaired = try Self.node(Province.alpha, clock: clock, folder: alpha.folder)
    try tally(repaired, to: Province.beta.organId)
    try exchange([repaired, right], through: broker)
    #expect(try right.texts("SELECT coalesce(frozen, '-') FROM document") == ["recalled"])
    #expect(try right.store.reader.incomingDocuments(limit: 1).map(\.hasOpenTakeBack) == [true])
    _ = try right.office.answerRecall(id.rawValue, agree: false, reason: "đã thi hành")
    try exchange([repaired, right], through: broker)
    #expect(try repaired.texts("SELECT coalesce(frozen, '-') FROM document") == ["-"])
  }

  /// The receiver's clock was weeks ahead; then it was set right.
  @Test func aReceiptOfAFastClockIsGivenAnew() throws {
    let fast = ManualClock()
    let receiver = try Self.node(Province.beta, clock: fast)
    let id = try alpha.send(to: [Province.beta])
    fast.advance(by: .seconds(40 * 86_400))
    try exchange([alpha, receiver], through: broker)
    #expect(try state == .published)
    fast.advance(by: .seconds(-40 * 86_400))
    _ = try resend(id)
    try exchange([alpha, receiver], through: broker)
    #expect(try state == .delivered)
    // A person's word after it is the later one.
    _ = try receiver.office.refuse(id.rawValue, reason: "nhầm nơi nhận")
    try exchange([alpha, receiver], through: broker)
    #expect(try state == .refused)
  }

  // MARK: The sender's side

  /// The directory had no certificate of the receiver, or its unit was not in it at all.
  @Test func aCorrectedDirectoryHealsByItself() throws {
    let source = ChangingDirectory(try world.without(Province.beta))
    let sender = try Self.node(
      Province.alpha, clock: clock, folder: alpha.folder, source: source)
    let receiver = try beta(nil)
    try sender.send(to: [Province.beta])
    try exchange([sender, receiver], through: broker)
    #expect(try sender.verdicts() == ["quarantined SIGNATURE-UNKNOWN-SIGNER"])
    #expect(try state == .published)
    try sender.settle()
    #expect(try sender.count("history", "cause = 'directory or trust changed'") == 0)
    source.change(to: world.directory)
    try sender.settle()
    #expect(try state == .delivered)
    #expect(try sender.verdicts() == ["accepted"])
    #expect(try sender.deliveries().first?.unbelieved == nil)
  }

  /// The receiver's authority becomes an anchor. Another start without a change tries nothing.
  @Test func newAnchorsHealAtTheNextStart() throws {
    let broken = try beta(.noIntermediate)
    try alpha.send(to: [Province.beta])
    try exchange([alpha, broken], through: broker)
    for _ in 0..<2 {
      try Self.node(Province.alpha, clock: clock, folder: alpha.folder).settle()
      #expect(try alpha.count("history", "cause = 'directory or trust changed'") == 0)
    }
    let both = try alpha.folder.write(
      Data(contentsOf: URL(filePath: world.root.rootPath))
        + Data(contentsOf: URL(filePath: world.below.certificatePath)), as: "anchors.pem")
    try Self.node(Province.alpha, clock: clock, folder: alpha.folder, anchor: both).settle()
    #expect(try state == .delivered)
  }

  /// What cannot be read is about what its correlation-id says; of one unit and document sixteen are
  /// kept, the newest.
  @Test func claimsAreBoundedAndNeedNoReadableContent() throws {
    let id = try alpha.send(to: [Province.beta])
    func garbage(_ number: Int, from unit: UnitID, about: String?) -> InboundMessage {
      let body = Data("rác \(number)".utf8)
      return InboundMessage(
        assertedSender: unit, lane: .express, redelivered: false,
        envelope: Envelope(
          type: "congvan.status", messageID: "\(number)", correlationID: about),
        body: body, bodySize: UInt64(body.count))
    }
    for number in 0..<20 {
      try alpha.intake.store([garbage(number, from: Province.beta.organId, about: id.rawValue)])
    }
    // Not about what did not go there, and not about nothing.
    try alpha.intake.store([
      garbage(20, from: Province.gamma.organId, about: id.rawValue),
      garbage(21, from: Province.beta.organId, about: "không phải id"),
      garbage(22, from: Province.beta.organId, about: nil),
    ])
    try alpha.settle()
    let document = try alpha.store.reader.find(id.rawValue).summary
    let told = try alpha.store.reader.unbelieved(document: document.key)
    #expect(told.count == 16 && told.allSatisfy { $0.code == nil })
    #expect(try alpha.deliveries().first?.unbelieved?.count == 16)
    #expect(try alpha.count("claim") == 16)
  }
}
