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

/// The relay under a publisher that does what the test says.
@Suite struct RelayTests {
  static let piece = Int(WireLimits.pieceBytes)

  let node: TestNode
  let other = [Province.beta]

  init() throws { node = try TestNode(Province.alpha) }

  private func take(_ count: Int, bytes: Int = 16 << 20) throws -> [OutboundMessage] {
    try node.relay.next(count: count, bytes: bytes)
  }

  private func answer(_ messages: [OutboundMessage], _ outcome: PublishOutcome = .confirmed) throws
  {
    try node.relay.settle(messages.map { ($0.token, outcome) })
  }

  private func state() throws -> OutgoingState? { try node.deliveries().first?.state }

  /// Found by the fault campaign (seed 102): a right to write was withdrawn for some seconds, and
  /// receipts stayed suspended where nobody sees them.
  @Test func aRefusedReceiptGoesAgainAfterAnHour() throws {
    let beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try node.intake.store(beta.pieces())
    try node.intake.store([beta.message(body: try beta.document())])
    try node.settle()
    let receipt = try take(10)
    #expect(receipt.map(\.envelope.kind) == [.status])
    try answer(receipt, .refused(code: 403, text: "ACCESS_REFUSED"))
    let upkeep = Upkeep(
      context: node.context, policy: Upkeep.Policy(), log: Logger(label: "test"))
    #expect(try !upkeep.step())
    #expect(try take(10).isEmpty)
    node.clock.advance(by: .seconds(3601))
    #expect(try upkeep.step())
    #expect(try take(10).map(\.body) == receipt.map(\.body))
  }

  // MARK: What goes out

  @Test func piecesComeBeforeTheManifestAndEveryMessageOnce() throws {
    let id = try node.send(size: 3 * Self.piece + 1, to: other)
    let messages = try take(100)
    #expect(messages.map(\.envelope.kind) == [.piece, .piece, .piece, .piece, .document])
    #expect(messages.map(\.body.count).dropLast() == [Self.piece, Self.piece, Self.piece, 1])
    #expect(messages.last?.envelope.messageID == id.rawValue)
    #expect(Set(messages.map(\.token)).count == 5)
    #expect(try take(100).isEmpty)
    try answer(messages)
    #expect(try state() == .published)
    #expect(try node.relay.isIdle())
  }

  @Test(arguments: [1, 2, 3, 7, 64])
  func windowsOfAnySizeSendEverything(_ count: Int) throws {
    for number in 0..<5 { try node.send("\(number)", size: number * 400_000 + 100, to: other) }
    var sent: [String] = []
    while case let messages = try take(count, bytes: 1_200_000), !messages.isEmpty {
      #expect(messages.count <= count)
      #expect(messages.count == 1 || messages.reduce(0) { $0 + $1.body.count } <= 1_200_000)
      sent += messages.map(\.envelope.messageID)
      try answer(messages)
    }
    #expect(sent.count == 12)
    #expect(Set(sent).count == 12)
    #expect(try node.deliveries().allSatisfy { $0.state == .published })
  }

  @Test func noRoomMeansNothing() throws {
    try node.send(to: other)
    #expect(try take(0).isEmpty)
    #expect(try take(5, bytes: 0).isEmpty)
  }

  @Test func urgentDocumentsGoFirstAndInTheExpressLane() throws {
    try node.send("thường", to: other)
    let urgent = try node.send("hỏa tốc", to: other, urgency: .flash)
    let messages = try take(100)
    #expect(messages.first?.envelope.correlationID == urgent.rawValue)
    #expect(messages.filter { $0.lane == .express }.count == 2)
  }

  /// One message at a time, as confirms trickle in: small documents still pass a large file.
  @Test func aLargeFileDoesNotHoldUpSmallOnes() throws {
    let large = try node.send("lớn", size: 40 * Self.piece, to: other)
    try answer(try take(3))
    for number in 0..<5 { try node.send("nhỏ \(number)", to: other) }
    var rest: [String] = []
    for _ in 0..<24 {
      let messages = try take(1, bytes: Self.piece)
      rest += messages.compactMap(\.envelope.correlationID)
      try answer(messages)
    }
    let small = try node.deliveries().filter { $0.document != large }
    #expect(small.allSatisfy { $0.state == .published })
    #expect(rest.contains(large.rawValue), "and the large one goes on")
  }

  /// As many large files as the relay claims at once, and then something urgent.
  @Test func urgentOnesDoNotWaitBehindManyLargeFiles() throws {
    for _ in 0..<70 { try node.send("lớn", size: 3 * Self.piece, to: other) }
    try answer(try take(10))
    let urgent = try node.send("hỏa tốc", to: other, urgency: .flash)
    let messages = try take(4)
    #expect(messages.contains { $0.envelope.correlationID == urgent.rawValue })
  }

  /// However many urgent documents and receipts there always are, the others move on: one message of
  /// eight is theirs, whatever room there is for messages.
  @Test(arguments: [1, 3, 20]) func whatIsNotUrgentIsNotStarved(_ room: Int) throws {
    let normal = try node.send("thường", to: other)
    let urgent = try node.send("khẩn", to: other, urgency: .urgent)
    let large = try node.send("lớn", size: 3 * Self.piece, to: other)
    let beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try node.intake.store(beta.pieces())
    let arrived = beta.message(body: try beta.document())
    for number in 0..<60 { try node.send("hỏa tốc \(number)", to: other, urgency: .flash) }
    var (sent, express, ordinary) = (0, 0, 0)
    var open = 3
    while sent < 200, open > 0 {
      // A receipt is always due too: what arrived comes again and again.
      try node.intake.store([arrived])
      try node.settle()
      let messages = try take(room)
      sent += messages.count
      express += messages.count { $0.lane == .express && $0.envelope.kind != .status }
      ordinary += messages.count { $0.lane == .ordinary }
      try answer(messages)
      open = try node.store.reader.deliveries(named([normal, urgent, large])).count {
        $0.state != .published
      }
    }
    #expect(open == 0, "after \(sent) messages")
    #expect(express > 3 * ordinary, "and the urgent ones go first")
    let flash = try node.deliveries().filter { ![normal, urgent, large].contains($0.document) }
    #expect(flash.contains { $0.state == .queued }, "the flood was not over")
  }

  private func named(_ ids: [RecordID]) -> DeliveryFilter {
    var filter = DeliveryFilter()
    filter.documents = ids
    return filter
  }

  /// Expired, and sent again by a person while the relay was just letting go of it.
  @Test func aResendDuringTheDropIsNotSuspended() throws {
    let id = try node.send(size: 2 * Self.piece, to: other)
    let pieces = try take(2)
    #expect(pieces.map(\.envelope.kind) == [.piece, .piece])
    try node.change(
      "UPDATE delivery SET state = 'expired', lastError = 'EXPIRED', progress = 0")
    #expect(try take(1).isEmpty, "its manifest stays here")
    let results = try node.office.resend(
      ids: [id.rawValue], filter: DeliveryFilter(), reason: "gửi lại", dryRun: false)
    #expect(results.map(\.refusal) == [nil])
    try answer(pieces)
    #expect(try state() == .queued)
    let again = try take(10)
    #expect(again.map(\.envelope.kind) == [.piece, .piece, .document])
    try answer(again)
    #expect(try state() == .published)
    #expect(try node.relay.isIdle())
  }

  // MARK: Answers

  @Test func aFailureInTheMiddleResumesThere() throws {
    try node.send(size: 5 * Self.piece, to: other)
    let messages = try take(4)
    try node.relay.settle([
      (messages[0].token, .confirmed), (messages[1].token, .confirmed),
      (messages[2].token, .rejected), (messages[3].token, .confirmed),
    ])
    var delivery = try #require(try node.deliveries().first)
    #expect(delivery.state == .retrying)
    #expect(delivery.lastError == "BROKER-REJECTED")
    #expect(delivery.attempts == 1)
    #expect(try take(10).isEmpty, "not before its time")
    node.clock.advance(by: .seconds(3600))
    let rest = try take(10)
    #expect(rest.compactMap(\.envelope.piece?.offset) == [2, 3, 4].map { $0 << 20 })
    #expect(rest.last?.envelope.kind == .document)
    try answer(rest)
    delivery = try #require(try node.deliveries().first)
    #expect(delivery.state == .published)
    #expect(delivery.lastError == nil)
  }

  @Test func aLostConnectionIsNoAttempt() throws {
    try node.send(size: 2 * Self.piece, to: other)
    for _ in 0..<20 { try answer(try take(10), .unknown) }
    #expect(try node.deliveries().first?.attempts == 0)
    #expect(try state() == .queued)
    try answer(try take(10))
    #expect(try state() == .published)
  }

  @Test func noQueueBacksOffAndThenAsksAPerson() throws {
    try node.send(to: other)
    node.relay.connectionChanged(.up)
    var rounds = 0
    while try state() != .suspended, rounds < 1000 {
      let messages = try take(10)
      try answer(messages, .returned(code: 312, text: "NO_ROUTE"))
      if try state() == .retrying {
        let due = try #require(try node.relay.nextDue())
        #expect(due > node.clock.now.advanced(by: .seconds(-1)))
      }
      node.clock.advance(by: .seconds(3600))
      rounds += 1
    }
    let delivery = try #require(try node.deliveries().first)
    #expect(delivery.state == .suspended)
    #expect(delivery.lastError == "BROKER-NO-ROUTE")
    #expect((72...74).contains(rounds), "the horizon is 72 hours")
  }

  /// A weekend without a connection is not a weekend of refusals.
  @Test func timeWithoutABrokerDoesNotCount() throws {
    try node.send(to: other)
    for _ in 0..<10 {
      node.relay.connectionChanged(.up)
      try answer(try take(10), .rejected)
      node.relay.connectionChanged(.stopped)
      node.clock.advance(by: .seconds(48 * 3600))
    }
    #expect(try node.deliveries().first?.attempts == 10)
    #expect(try state() == .retrying)
  }

  @Test func whatTheBrokerRefusesIsSuspendedAtOnce() throws {
    try node.send(to: other)
    try answer(try take(1), .refused(code: 403, text: "ACCESS_REFUSED"))
    #expect(try state() == .suspended)
    #expect(try node.deliveries().first?.lastError == "BROKER-REFUSED-403")
    #expect(try take(10).isEmpty)
    #expect(try node.relay.isIdle())
  }

  /// Progress is written down, so a new relay (a restart) does not begin at the first piece.
  @Test func aRestartResumesNearWhereItWas() throws {
    try node.send(size: 100 * Self.piece, to: other)
    for _ in 0..<40 { try answer(try take(2, bytes: 2 * Self.piece)) }
    let restarted = Relay(
      store: node.store, clock: node.clock, policy: RetryPolicy(), log: .silent)
    let first = try #require(try restarted.next(count: 1, bytes: Self.piece).first)
    let offset = try #require(first.envelope.piece?.offset) / Int64(Self.piece)
    #expect((48...80).contains(offset))
  }

  // MARK: Trouble here

  @Test(arguments: [true, false])
  func missingContentSuspendsThisDeliveryOnly(_ isAlone: Bool) throws {
    let broken = try node.send("hỏng", size: 2 * Self.piece, to: other)
    if !isAlone { try node.send("tốt", to: other) }
    try FileManager.default.removeItem(at: node.folder.url.appending(path: "blobs"))
    while case let messages = try take(10), !messages.isEmpty { try answer(messages) }
    for delivery in try node.deliveries() {
      if delivery.document == broken {
        #expect(delivery.state == .suspended)
        #expect(delivery.lastError == "STORE-CONTENT-MISSING")
      } else {
        #expect(delivery.state == .published)
      }
    }
    #expect(try node.relay.isIdle(), "or `node --until-idle` never ends")
  }

  /// A content that cannot be read (a directory stands in for a bad disk) stops nobody else.
  @Test func unreadableContentSuspendsThisDeliveryOnly() throws {
    let broken = try node.send("hỏng", size: 2 * Self.piece, to: other)
    let good = try node.send("tốt", to: other)
    let digest = try node.texts(
      "SELECT lower(hex(sha256)) FROM blob WHERE content IS NULL")[0]
    let path = node.folder.path("blobs/\(digest.prefix(2))/\(digest)")
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    while case let messages = try take(10), !messages.isEmpty { try answer(messages) }
    let states = try Dictionary(
      uniqueKeysWithValues: node.deliveries().map { ($0.document, $0.state) })
    #expect(states == [broken: .suspended, good: .published])
  }

  /// Neither outcomes nor claims are lost when the database cannot be written for a while.
  @Test func settlingIsTriedAgainAfterTrouble() throws {
    try node.send(to: other)
    let beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try node.intake.store(beta.pieces() + [beta.message(body: beta.document())])
    try node.settle()
    let messages = try take(10)
    #expect(messages.map(\.envelope.kind) == [.status, .piece, .document])

    try node.withTrouble("UPDATE", on: "delivery") {
      #expect(throws: StoreError(.unusable, "")) { try answer(messages) }
      #expect(throws: StoreError(.unusable, "")) { try answer(messages) }
    }
    #expect(try state() == .queued)
    #expect(try take(10).isEmpty, "they are still claimed")
    try answer(messages)
    #expect(try state() == .published)
    #expect(try node.texts("SELECT state FROM notice") == ["published"])
    #expect(try node.relay.isIdle())
  }

  /// What a failed call had claimed is not claimed: nobody has a token for it.
  @Test func aFailedCallClaimsNothing() throws {
    let beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try node.intake.store(beta.pieces() + [beta.message(body: beta.document())])
    try node.settle()
    try node.send(to: other)
    try node.change("UPDATE delivery SET recipient = '#'")
    #expect(throws: StoreError(.corrupt, "")) { try take(10) }
    try node.change("UPDATE delivery SET recipient = '\(Province.beta.organId)'")
    let messages = try take(10)
    #expect(messages.map(\.envelope.kind) == [.status, .piece, .document])
  }

  @Test func aReceiptMayOvertakeTheConfirm() throws {
    let id = try node.send(to: other)
    let messages = try take(10)
    let digest = try #require(
      try node.store.review.delivery(of: id, issuedBy: node.id, to: Province.beta.organId)
    ).manifestDigest
    let beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    let receipt = try beta.status("01", about: id, digest: digest)
    try node.intake.store([beta.message(.status, id: receipt.id.rawValue, body: receipt.body)])
    try node.settle()
    #expect(try state() == .delivered)
    try answer(messages)
    #expect(try state() == .delivered)
    #expect(try node.relay.isIdle())
  }

  /// The steward has not come round yet: all the same nothing goes out after its time.
  @Test func nothingGoesOutAfterItsTime() throws {
    let path = try node.folder.write(pdf("một"), as: "một.pdf")
    var draft = draft([path], to: [Province.beta])
    draft.expiresAt = node.clock.now.advanced(by: .seconds(60))
    _ = try node.office.send(draft)
    #expect(try node.relay.next(count: 1, bytes: 1 << 20).count == 1)
    node.clock.advance(by: .seconds(60))
    #expect(try node.relay.next(count: 10, bytes: 1 << 20).isEmpty)
  }

  /// Of a large document that is taken back half way, nothing more goes out.
  @Test func piecesOfWhatWasTakenBackStop() throws {
    let id = try node.send(size: 5_000_000, to: [Province.beta])
    let first = try node.relay.next(count: 2, bytes: 4 << 20)
    #expect(first.count == 2)
    _ = try node.office.recall(id.rawValue, reason: "nhầm")
    try node.relay.settle(first.map { ($0.token, .confirmed) })
    let rest = try node.relay.next(count: 10, bytes: 16 << 20)
    #expect(rest.map(\.envelope.kind) == [.status])
  }
}
