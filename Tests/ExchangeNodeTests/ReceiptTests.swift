import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import GRDB
import Logging
import NodeDatabase
import Synchronization
import NodeTestKit
import Testing
import UnitOffice

/// Receipts that do not come: shown and said, never called a failure.
@Suite struct ReceiptTests {
  let alpha: TestNode
  let beta: TestNode
  let broker = FakeBroker()
  private let lines = LogLines()

  init() throws {
    let clock = ManualClock()
    alpha = try TestNode(Province.alpha, clock: clock)
    beta = try TestNode(Province.beta, clock: clock)
  }

  private func publish() throws {
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
  }

  /// What the upkeep of a round says about receipts.
  private func round(after hours: Int64 = 0) throws -> [String] {
    alpha.clock.advance(by: .seconds(3600 * hours))
    var policy = Upkeep.Policy()
    policy.receipts = ReceiptPolicy(overdueAfter: .seconds(72 * 3600))
    let log = Logger(label: "test", factory: { [lines] _ in lines })
    _ = try Upkeep(context: alpha.context, policy: policy, log: log).step()
    return lines.take().filter { $0.hasPrefix("no receipt yet") }
  }

  private var watch: ReceiptWatch { ReceiptWatch(ReceiptPolicy(), now: alpha.clock.now) }

  private func overdue() throws -> [RecordID] {
    var filter = DeliveryFilter()
    filter.overdueBefore = watch.overdueBefore
    let found = try alpha.store.reader.deliveries(filter)
    #expect(found.allSatisfy { watch.isOverdue($0.state, publishedAt: $0.publishedAt) })
    return found.map(\.document)
  }

  private func expiring() throws -> [RecordID] {
    var filter = DeliveryFilter()
    filter.expiringBefore = watch.expiringBefore
    let found = try alpha.store.reader.deliveries(filter)
    #expect(found.allSatisfy { watch.isExpiring($0.state, expiresAt: $0.expiresAt) })
    return found.map(\.document)
  }

  @Test func anOverdueDeliveryIsSaidOnceAndStaysPublished() throws {
    let id = try alpha.send("một", to: [Province.beta])
    #expect(try round(after: 100) == [], "not published: the broker's outage is no late receipt")
    try publish()
    #expect(try round(after: 71) == [])
    #expect(try overdue() == [])
    let said = try round(after: 1)
    #expect(
      said.count == 1 && said[0].contains("document=\(id)") && said[0].contains("to=CDCS.BETA"))
    #expect(try overdue() == [id])
    #expect(try alpha.deliveries().map(\.state) == [.published])
    #expect(try alpha.deliveries()[0].lastError == nil)
    #expect(try round(after: 24) == [])
    // The receipt, late.
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
    #expect(try overdue() == [])
    #expect(try round(after: 1000) == [])
  }

  /// What goes out again without a person stays overdue, and is not said again every time; a person's
  /// resend begins anew.
  @Test func onlyAPersonsResendBeginsAnew() throws {
    try alpha.send("một", to: [Province.beta])
    try publish()
    #expect(try round(after: 73).count == 1)
    // The broker lost it; beta answers the tally that it has nothing.
    broker.loseEverything()
    try Upkeep(context: alpha.context, policy: Upkeep.Policy(), log: .silent).tally(beta.id)
    try publish()
    _ = try broker.deliver(.init(beta.id, .ordinary), into: beta.intake)
    try beta.settle()
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    for lane in Lane.allCases {
      _ = try broker.deliver(.init(alpha.id, lane), into: alpha.intake)
    }
    try alpha.settle()
    #expect(try alpha.deliveries().map(\.state) == [.queued])
    try publish()
    broker.loseEverything()
    #expect(try overdue().count == 1)
    #expect(try round(after: 1) == [])

    let key = try alpha.deliveries()[0].key
    let database = try DatabaseQueue(path: alpha.folder.path(DatabaseFile.name))
    try database.write {
      try $0.execute(
        sql: "UPDATE delivery SET state = 'suspended', lastError = 'thử' WHERE key = ?",
        arguments: [key])
    }
    _ = try alpha.store.joining.resend(
      [key], reason: "thử", dryRun: false, at: alpha.clock.now, by: Actor("văn thư"))
    try publish()
    #expect(try overdue() == [])
    #expect(try round(after: 71) == [])
    #expect(try round(after: 1).count == 1)
    #expect(try round(after: 1) == [])
  }

  @Test func manyAreOneLine() throws {
    for number in 0..<12 { try alpha.send("số \(number)", to: [Province.beta]) }
    try publish()
    let said = try round(after: 72)
    #expect(said.count == 1)
    #expect(said[0].contains("count=12") && said[0].contains("congvan deliveries --overdue"))
    #expect(try round(after: 1) == [])
  }

  @Test func whatExpiresSoonIsSaidBeforeAndOnlyWithoutAReceipt() throws {
    func issue(_ mark: String, to organ: Organ, hours: Int64?) throws -> RecordID {
      let path = try alpha.folder.write(pdf(mark), as: "\(UUID()).pdf")
      var draft = draft([path], to: [organ])
      draft.expiresAt = hours.map { alpha.clock.now.advanced(by: .seconds(3600 * $0)) }
      return try alpha.office.send(draft).id
    }
    _ = try issue("đã nhận", to: Province.beta, hours: 80)
    try exchange([alpha, beta], through: broker)
    let published = try issue("đã gửi", to: Province.gamma, hours: 80)
    _ = try issue("không hạn", to: Province.gamma, hours: nil)
    try publish()
    let queued = try issue("chưa gửi", to: Province.gamma, hours: 80)

    #expect(try round(after: 55) == [])
    #expect(try expiring() == [])
    let said = try round(after: 2)
    #expect(said.count == 2 && said.allSatisfy { $0.contains("expires soon") })
    #expect(try expiring() == [published, queued])
    #expect(try round() == [])
    // One of them becomes overdue as well: that is another thing, and said too.
    let later = try round(after: 16)
    #expect(later.count == 2 && later.allSatisfy { $0.contains("overdue") })
    #expect(try round(after: 8) == [])
    #expect(try expiring() == [])
    let states = try alpha.deliveries().map(\.state)
    #expect(states == [.delivered, .expired, .published, .expired])
  }

  /// Every line is reported by exactly one round, also when there are more than one round takes.
  @Test func aLimitLosesNoWarning() throws {
    for number in 0..<7 {
      let path = try alpha.folder.write(pdf("số \(number)"), as: "\(UUID()).pdf")
      var draft = draft([path], to: [Province.beta])
      draft.expiresAt = alpha.clock.now.advanced(by: .seconds(3600 * (90 + Int64(number))))
      _ = try alpha.office.send(draft)
    }
    try publish()
    alpha.clock.advance(by: .seconds(3600 * 75))
    var overdue: [RecordID] = []
    var expiring: [RecordID] = []
    for _ in 0..<10 {
      let found = try alpha.store.relay.warnOutstanding(watch, limit: 2, at: alpha.clock.now)
      overdue += found.overdue.map(\.document)
      expiring += found.expiring.map(\.document)
    }
    let all = Set(try alpha.deliveries().map(\.document))
    #expect(overdue.count == 7 && Set(overdue) == all)
    #expect(expiring.count <= 7 && Set(expiring).count == expiring.count)
  }
}

/// Keeps what was logged: the text, then the metadata in the order of its keys.
private final class LogLines: LogHandler, Sendable {
  private let lines = Mutex<[String]>([])

  func take() -> [String] {
    lines.withLock { lines in
      defer { lines = [] }
      return lines
    }
  }

  func log(event: LogEvent) {
    let metadata = (event.metadata ?? [:]).sorted { $0.key < $1.key }
    let line = ([event.message.description] + metadata.map { "\($0.key)=\($0.value)" })
      .joined(separator: " ")
    lines.withLock { $0.append(line) }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }
  var metadata: Logger.Metadata {
    get { [:] }
    set {}
  }
  var logLevel: Logger.Level {
    get { .trace }
    set {}
  }
}
