import ExchangeCore
import ExchangeTestKit
import Foundation
import GRDB
import NodeDatabase
import Testing

@testable import ExchangeStore

/// Issue, claim, settle, resend: what each leaves in the database.
@Suite struct TransactionTests {
  let test: TestStore
  let actor = Actor("quản trị")

  init() throws { test = try TestStore() }

  private var now: Timestamp { test.clock.now }

  private func settle(_ key: Int64, _ result: RelayResult) throws {
    try test.store.relay.settle(deliveries: [(key, result)], notices: [], at: now)
  }

  private func due(_ limit: Int = 10, excluding: Set<Int64> = []) throws -> [DeliveryWork] {
    try test.store.relay.dueDeliveries(limit: limit, excluding: excluding, now: now)
  }

  private func retry(after: Duration = .seconds(60), progress: Int64 = 0) -> RelayResult {
    .retry(
      at: now.advanced(by: after),
      trouble: Trouble(failures: 1, failingFor: .seconds(1), failedAt: now),
      code: "BROKER-REJECTED", reason: "đầy", progress: progress)
  }

  // MARK: Issue

  @Test func issueMakesOneDeliveryForEachRecipient() throws {
    let keys = try test.issue(to: [TestStore.beta, TestStore.gamma], urgency: .flash)
    #expect(keys.count == 2)
    #expect(try test.count("document") == 1)
    #expect(try test.count("attachment") == 1)
    #expect(try test.count("blob") == 1)
    #expect(
      try test.texts("SELECT actor || cause FROM history") == ["văn thưissued", "văn thưissued"])
    #expect(try due().map(\.urgency) == [.flash, .flash])
  }

  /// Every delivery to a unit has the next number, whatever document it belongs to.
  @Test func deliveriesAreNumberedByRecipient() throws {
    for _ in 0..<3 { try test.issue(to: [TestStore.beta, TestStore.gamma]) }
    try test.issue(to: [TestStore.gamma])
    let numbers = try test.texts(
      "SELECT recipient || ' ' || sequence FROM delivery ORDER BY recipient, sequence")
    #expect(
      numbers == [
        "CDCS.BETA 1", "CDCS.BETA 2", "CDCS.BETA 3", "CDCS.GAMMA 1", "CDCS.GAMMA 2",
        "CDCS.GAMMA 3", "CDCS.GAMMA 4",
      ])
  }

  @Test func issueIsAllOrNothing() throws {
    let good = try test.document(content: Data("một".utf8))
    let twice = try test.document(content: Data("hai".utf8))
    try test.store.joining.issue([twice], at: now, by: actor)
    #expect(throws: StoreError.self) {
      try test.store.joining.issue([good, twice], at: now, by: actor)
    }
    #expect(try test.count("document") == 1)
    #expect(try test.count("delivery") == 1)
    #expect(try test.count("blob") == 1)
  }

  // MARK: Claim

  @Test func dueOnesComeInOrder() throws {
    let first = try test.issue()
    let urgent = try test.issue(urgency: .urgent)
    let flash = try test.issue(urgency: .flash)
    let last = try test.issue()
    #expect(try due().map(\.key) == flash + urgent + first + last)
    #expect(try due(2).map(\.key) == flash + urgent)
    #expect(try due(2, excluding: Set(flash)).map(\.key) == urgent + first)
    let express = try test.store.relay.dueDeliveries(
      limit: 10, of: .urgent ... .flash, excluding: [], now: now)
    #expect(express.map(\.key) == flash + urgent)
  }

  /// What one unit asks for again goes out beside what is for the others, not before it.
  @Test func unitsTakeTurns() throws {
    let many = try (0..<5).flatMap { _ in try test.issue() }
    let others = try test.issue(to: [TestStore.gamma]) + test.issue(to: [TestStore.gamma])
    let urgent = try test.issue(urgency: .urgent)
    #expect(
      try due(6).map(\.key) == urgent + [many[0], others[0], many[1], others[1], many[2]])
    #expect(try due(2, excluding: Set(urgent + many[..<4])).map(\.key) == [many[4], others[0]])
    // The unit that was served last comes last.
    let next = try test.store.relay.dueDeliveries(
      limit: 4, after: TestStore.beta.rawValue, excluding: [], now: now)
    #expect(next.map(\.key) == urgent + [others[0], many[0], others[1]])
    #expect(
      try test.store.relay.dueDeliveries(
        limit: 1, of: .normal ... .normal, after: TestStore.gamma.rawValue, excluding: [], now: now
      ).map(\.key) == [many[0]])
  }

  @Test func aRetryIsDueAtItsTime() throws {
    let key = try #require(try test.issue().first)
    try settle(key, retry(after: .seconds(60), progress: 3))
    #expect(try due().isEmpty)
    #expect(try test.store.relay.nextRetry() == now.advanced(by: .seconds(60)))
    #expect(try !test.store.relay.hasDueWork(now: now))
    test.clock.advance(by: .seconds(60))
    #expect(try due().map(\.progress) == [3])
    #expect(try test.store.relay.hasDueWork(now: now))
  }

  // MARK: Settle

  @Test func interruptedKeepsTheProgressAndNothingElse() throws {
    let key = try #require(try test.issue().first)
    let changedAt = try #require(
      try test.store.relay.dueDeliveries(limit: 1, excluding: [], now: now).first?.changedAt)
    try settle(key, .interrupted(progress: 7, changedAt: changedAt))
    let work = try #require(try due().first)
    #expect(work.progress == 7)
    #expect(try test.delivery(key)?.attempts == 0)
    #expect(try test.count("history") == 1)
  }

  @Test func publishedClearsTheTrouble() throws {
    let key = try #require(try test.issue().first)
    try settle(key, retry())
    try settle(key, .published)
    let delivery = try #require(try test.delivery(key))
    #expect(delivery.state == .published)
    #expect(delivery.attempts == 2)
    #expect(delivery.lastError == nil)
    #expect(delivery.publishedAt == now)
    #expect(
      try test.texts("SELECT toState FROM history ORDER BY key") == [
        "queued", "retrying", "published",
      ])
  }

  /// The receipt came first, or a person acted: the relay's news are old.
  @Test(arguments: ["delivered", "suspended", "cancelled", "refused"])
  func whatWasDecidedMeanwhileStays(_ state: String) throws {
    let key = try #require(try test.issue().first)
    try test.sql("UPDATE delivery SET state = ?, finishedAt = 1, lastError = 'X'", [state])
    for result in [
      .published, retry(), .suspend(code: "Y", reason: ""),
      .interrupted(progress: 9, changedAt: now),
    ] {
      try settle(key, result)
    }
    let delivery = try #require(try test.delivery(key))
    #expect(delivery.state.rawValue == state)
    #expect(delivery.lastError == "X")
    #expect(delivery.attempts == 0)
  }

  // MARK: Resend

  @Test(arguments: OutgoingState.allCases, [false, true])
  func resendOfEachState(_ state: OutgoingState, _ isDryRun: Bool) throws {
    let key = try #require(try test.issue().first)
    if state != .queued {
      try test.sql(
        """
        UPDATE delivery SET state = ?1, progress = 5, failures = 3, lastError = 'X', finishedAt = 1,
          nextAt = CASE WHEN ?1 = 'retrying' THEN 99 END
        """, [state.rawValue])
    }
    let before = try test.sql("SELECT * FROM delivery, history")
    let results = try test.store.joining.resend(
      [key], reason: "gửi lại", dryRun: isDryRun, at: now, by: actor)
    let isSent = [.retrying, .suspended, .refused, .expired, .cancelled].contains(state)
    #expect(results.count == 1)
    #expect(results.first?.before == state)
    #expect((results.first?.refusal == nil) == isSent)
    if isSent, !isDryRun {
      #expect(try test.delivery(key)?.state == .queued)
      let work = try #require(try due().first)
      #expect(work.progress == 0)
      #expect(work.trouble.failures == 0)
      #expect(try test.texts("SELECT detail FROM history WHERE cause = 'resent'") == ["gửi lại"])
    } else {
      #expect(try test.sql("SELECT * FROM delivery, history") == before)
    }
  }

  /// A large resend is a job: one that ended half way is finished by the daemon, with its reason and who
  /// asked for it; while another process works on it, the daemon leaves it alone.
  @Test func aResendThatEndedHalfWayGoesOn() throws {
    let document = try test.document(
      to: (0..<(2 * Joining.resendStep + 10)).map { TestStore.unit("CDCS.\($0)") })
    try test.store.joining.issue([document], at: now, by: actor)
    let keys = try test.store.reader.deliveries(DeliveryFilter()).map(\.key)
    try test.store.relay.settle(
      deliveries: keys.map { ($0, .suspend(code: "BROKER-NO-ROUTE", reason: "")) }, notices: [],
      at: now)
    // The disk fails in the second step: what the first one did stays.
    try test.sql(
      """
      CREATE TRIGGER trouble BEFORE UPDATE OF state ON delivery WHEN NEW.state = 'queued'
        AND OLD.key > \(keys[Joining.resendStep + 5])
      BEGIN SELECT RAISE(ABORT, 'disk full'); END
      """)
    #expect(throws: StoreError.self) {
      try test.store.joining.resend(
        keys, reason: "đã sửa hàng đợi", dryRun: false, at: now, by: actor)
    }
    #expect(try test.count("delivery", "state = 'queued'") == Joining.resendStep)
    try test.sql("DROP TRIGGER trouble")
    let again = try test.reopened()
    let isTaken: Int? = try test.store.files.exclusively("resend.lock") {
      try again.joining.continueResends(at: now)
    }
    #expect(isTaken == 0)
    #expect(try again.joining.continueResends(at: now) == Joining.resendStep + 10)
    #expect(try again.joining.continueResends(at: now) == 0)
    #expect(try test.count("delivery", "state = 'queued'") == keys.count)
    #expect(
      try test.count("history", "cause = 'resent' AND detail = 'đã sửa hàng đợi'") == keys.count)
    #expect(
      try test.texts("SELECT total || ' ' || queued || ' ' || leftAlone FROM resendJob") == [
        "\(keys.count) \(keys.count) 0"
      ])
  }

  @Test func resendIsAllOrNothing() throws {
    let key = try #require(try test.issue().first)
    try settle(key, .suspend(code: "X", reason: ""))
    #expect(throws: StoreError(.notFound, "")) {
      try test.store.joining.resend([key, 999], reason: "x", dryRun: false, at: now, by: actor)
    }
    #expect(try test.delivery(key)?.state == .suspended)
  }
}
