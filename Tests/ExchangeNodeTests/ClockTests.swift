import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeTestKit
import Testing
import UnitOffice

/// A wall clock that is set while nodes run: nothing waits for the time in between to come again.
@Suite struct ClockTests {
  let alpha: TestNode
  let beta: TestNode
  let broker = FakeBroker()

  init() throws {
    alpha = try TestNode(Province.alpha)
    beta = try TestNode(Province.beta)
  }

  private func upkeep(_ node: TestNode) -> Upkeep {
    Upkeep(context: node.context, policy: Upkeep.Policy(), log: .silent)
  }

  /// One hour ahead, and a year: a battery that died.
  @Test(arguments: [3600, 366 * 86_400])
  func aRetryThatAFastClockSetDoesNotWaitForThatTime(_ seconds: Int) throws {
    alpha.clock.advance(by: .seconds(seconds))
    try alpha.send(to: [Province.beta])
    while case let messages = try alpha.relay.next(count: 10, bytes: 1 << 20), !messages.isEmpty {
      try alpha.relay.settle(messages.map { ($0.token, .rejected) })
    }
    #expect(try alpha.deliveries().map(\.state) == [.retrying])
    alpha.clock.advance(by: .seconds(-seconds))
    #expect(try alpha.relay.next(count: 10, bytes: 1 << 20).isEmpty)
    #expect(try upkeep(alpha).step())
    #expect(try !upkeep(alpha).step())
    #expect(try alpha.relay.next(count: 10, bytes: 1 << 20).count == 2)
  }

  @Test func aRetryInItsTimeIsNotHastened() throws {
    try alpha.send(to: [Province.beta])
    for _ in 0..<12 {
      let messages = try alpha.relay.next(count: 10, bytes: 1 << 20)
      try alpha.relay.settle(messages.map { ($0.token, .rejected) })
      #expect(try !upkeep(alpha).step())
      alpha.clock.advance(by: .seconds(3600))
    }
  }

  /// A clock that jumps ahead by a month is not a month of refusals.
  @Test func aJumpAheadDoesNotUseUpThePatience() throws {
    alpha.relay.connectionChanged(.up)
    try alpha.send(to: [Province.beta])
    for jump in [1, 30 * 86_400, 3600] {
      let messages = try alpha.relay.next(count: 10, bytes: 1 << 20)
      #expect(!messages.isEmpty)
      try alpha.relay.settle(messages.map { ($0.token, .rejected) })
      #expect(try alpha.deliveries().map(\.state) == [.retrying])
      alpha.clock.advance(by: .seconds(max(jump, 3600)))
    }
  }

  @Test func talliesOfAFastClockDoNotKeepOthersBack() throws {
    try alpha.send(to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    alpha.clock.advance(by: .seconds(366 * 86_400))
    #expect(try upkeep(alpha).step())
    alpha.clock.advance(by: .seconds(-364 * 86_400))
    #expect(try upkeep(alpha).step(), "the tally of next year says nothing about today")
    #expect(try !upkeep(alpha).step(), "and one a day is enough")
  }

  /// Issued while the clock was ahead: reconciled all the same.
  @Test func aDocumentOfAFastClockIsTallied() throws {
    alpha.clock.advance(by: .seconds(366 * 86_400))
    try alpha.send(to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    alpha.clock.advance(by: .seconds(-366 * 86_400))
    #expect(try upkeep(alpha).step())
  }

  @Test func aNoticeSuspendedByAFastClockIsRevived() throws {
    try alpha.send(to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    while try broker.deliver(.init(beta.id, .ordinary), into: beta.intake) > 0 {}
    try beta.settle()
    beta.clock.advance(by: .seconds(366 * 86_400))
    let receipt = try beta.relay.next(count: 1, bytes: 1 << 20)
    try beta.relay.settle(receipt.map { ($0.token, .refused(code: 403, text: "ACCESS_REFUSED")) })
    beta.clock.advance(by: .seconds(-366 * 86_400))
    #expect(try upkeep(beta).step())
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
  }

  /// The other side goes by the statuses' times: a refusal after the clock was set back must not
  /// seem older than the receipt.
  @Test(arguments: [-3600, 3600])
  func aRefusalCountsWhateverTheClockOfTheReceiverDid(_ step: Int) throws {
    let id = try alpha.send(to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
    beta.clock.advance(by: .seconds(step))
    // A signing time ahead of the other's clock is judged by other tests.
    alpha.clock.advance(by: .seconds(max(0, step)))
    _ = try beta.office.refuse(id.rawValue, reason: "gửi nhầm")
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().map(\.state) == [.refused])
  }

  /// Receipt and refusal of the same moment, of which the refusal arrives first: times cross the wire
  /// in milliseconds, and the refusal has to be the later one there too.
  @Test func aRefusalInTheMomentOfTheReceiptIsTheLastWord() throws {
    let id = try alpha.send(to: [Province.beta])
    while try broker.publish(from: alpha.relay, as: alpha.id) > 0 {}
    while try broker.deliver(.init(beta.id, .ordinary), into: beta.intake) > 0 {}
    try beta.settle()
    _ = try beta.office.refuse(id.rawValue, reason: "gửi nhầm")
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    let statuses = broker.published.map(\.message).filter { $0.envelope.kind == .status }
    #expect(statuses.count == 2)
    broker.loseEverything()
    for status in statuses.reversed() {
      try alpha.intake.store([
        InboundMessage(
          assertedSender: beta.id, lane: .express, redelivered: false, envelope: status.envelope,
          body: status.body, bodySize: UInt64(status.body.count))
      ])
      try alpha.settle()
    }
    #expect(try alpha.deliveries().map(\.state) == [.refused])
  }

  /// Ids, order and receipts of what is issued while the sender's clock goes back and forth.
  @Test func everyDocumentArrivesOnceWhileTheClockOfTheSenderIsSet() throws {
    var sent: [RecordID] = []
    for step in [0, -3600, 3600, -7200, 3600, 3600] {
      alpha.clock.advance(by: .seconds(step))
      sent.append(try alpha.send("\(sent.count)", to: [Province.beta]))
      try exchange([alpha, beta], through: broker)
    }
    #expect(Set(sent).count == 6)
    // Receipts that seemed to come from the future are asked for at the latest.
    for node in [alpha, beta] { node.clock.advance(by: .seconds(86_500)) }
    try upkeep(alpha).tally(beta.id)
    try exchange([alpha, beta], through: broker)
    #expect(try alpha.deliveries().allSatisfy { $0.state == .delivered })
    #expect(try beta.count("document") == 6)
    #expect(
      try beta.store.reader.incomingDocuments(limit: 10).map(\.document.id) == sent.reversed())
  }

  /// Content checked "next year" is checked today.
  @Test func contentCheckedByAFastClockIsCheckedAgain() throws {
    beta.clock.advance(by: .seconds(366 * 86_400))
    alpha.clock.advance(by: .seconds(366 * 86_400))
    try alpha.send(size: 300_000, to: [Province.beta])
    try exchange([alpha, beta], through: broker)
    beta.clock.advance(by: .seconds(-366 * 86_400))
    let care = ContentScrubber(context: beta.context, log: .silent)
    try care.step()
    #expect(try beta.count("blob", "checkedAt = \(beta.clock.now.microseconds)") == 1)
  }
}
