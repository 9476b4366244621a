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

/// What statuses of other units do to our deliveries, and what they cannot do.
@Suite struct StatusTests {
  let node: TestNode
  let beta: Hostile
  let gamma: Hostile
  let document: RecordID
  let digest: SHA256Digest

  /// A document that went to beta and is published.
  init() throws {
    node = try TestNode(Province.alpha)
    beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    document = try node.send(to: [Province.beta])
    digest = try #require(
      try node.store.review.delivery(of: document, issuedBy: node.id, to: Province.beta.organId)
    ).manifestDigest
    try publish()
  }

  private func publish() throws {
    let messages = try node.relay.next(count: 10, bytes: 1 << 20)
    try node.relay.settle(messages.map { ($0.token, .confirmed) })
  }

  /// A status of beta about the document, signed now; the clock moves on after it.
  private func status(
    _ code: String, reason: String? = nil, digest: SHA256Digest? = nil, at time: Timestamp? = nil
  ) throws -> InboundMessage {
    node.clock.advance(by: .seconds(1))
    let status = try beta.status(
      code, about: document, digest: digest ?? self.digest, reason: reason, at: time)
    return beta.message(.status, id: status.id.rawValue, body: status.body)
  }

  private func take(_ messages: InboundMessage...) throws {
    for message in messages {
      try node.intake.store([message])
      try node.settle()
    }
    #expect(try node.answers() == [], "nobody answers a status")
  }

  private var state: OutgoingState {
    get throws { try #require(try node.deliveries().first).state }
  }

  private func resend() throws {
    let results = try node.office.resend(
      ids: [document.rawValue], filter: DeliveryFilter(), reason: "gửi lại", dryRun: false)
    #expect(results.map(\.refusal) == [nil])
    try publish()
  }

  @Test(arguments: ["01", "03", "04", "05", "06"])
  func aProofOfArrivalDelivers(_ code: String) throws {
    try take(try status(code))
    #expect(try state == .delivered)
    #expect(try node.deliveries().first?.finishedAt != nil)
    #expect(try node.deliveries().first?.status == code)
  }

  /// Found by the fault campaign (seed 201): our clock jumped back an hour, and a repeated receipt that
  /// had been believed ended in quarantine.
  @Test func aBelievedReceiptIsNotDisbelievedByALaterClock() throws {
    let receipt = try status("01")
    try take(receipt)
    node.clock.advance(by: .seconds(-3600))
    try take(receipt)
    #expect(try node.verdicts() == ["accepted"])
    #expect(try state == .delivered)
  }

  @Test(arguments: ["00", "07", "99"])
  func otherCodesAreKeptAndChangeNothing(_ code: String) throws {
    try take(try status(code))
    #expect(try state == .published)
    #expect(try node.deliveries().first?.status == code)
    #expect(try node.texts("SELECT code FROM status") == [code])
  }

  @Test func aRefusalRefuses() throws {
    try take(try status("02", reason: "TOO-LARGE"))
    #expect(try state == .refused)
    #expect(try node.deliveries().first?.lastError == "TOO-LARGE")
  }

  @Test func aRefusalOfOtherBytesSuspends() throws {
    try take(try status("02", reason: "SIGNATURE-ALTERED", digest: beta.digest))
    #expect(try state == .suspended)
    #expect(try node.deliveries().first?.lastError == "SIGNATURE-ALTERED")
  }

  @Test func aReceiptForOtherBytesIsNotBelieved() throws {
    try take(try status("01", digest: beta.digest))
    #expect(try state == .published)
    #expect(try node.verdicts() == ["quarantined STATUS-UNMATCHED"])
    #expect(try node.count("status") == 0)
  }

  /// A status that names another receiver was not meant for us, whoever put it into our queue.
  @Test func aStatusForSomebodyElseIsNotOurs() throws {
    let other = Hostile(from: Province.beta, to: Province.gamma, clock: node.clock)
    let status = try other.status("01", about: document, digest: digest)
    try take(other.message(.status, id: status.id.rawValue, body: status.body))
    #expect(try node.verdicts() == ["quarantined NOT-ADDRESSED"])
    #expect(try state == .published)
    #expect(try node.count("status") == 0)
  }

  @Test func aThirdUnitSaysNothingAboutOurDelivery() throws {
    let other = try gamma.status("01", about: document, digest: digest)
    try take(gamma.message(.status, id: other.id.rawValue, body: other.body))
    // Beta's own receipt, repeated by gamma.
    let receipt = try beta.status("01", about: document, digest: digest)
    try take(gamma.message(.status, id: receipt.id.rawValue, body: receipt.body))
    // Gamma signs in beta's name.
    try take(
      beta.message(
        .status, id: receipt.id.rawValue,
        body: try gamma.resign(receipt.body, of: Province.beta)))
    #expect(try state == .published)
    #expect(
      try node.verdicts() == [
        "quarantined STATUS-UNMATCHED", "quarantined SIGNATURE-NOT-THIS-UNIT",
        "quarantined SIGNATURE-NOT-THIS-UNIT",
      ])
    #expect(try node.count("status") == 0)
  }

  @Test func aReplayedStatusIsKeptOnce() throws {
    let receipt = try status("01")
    for _ in 0..<5 { try take(receipt) }
    #expect(try state == .delivered)
    #expect(try node.count("status") == 1)
    #expect(try node.numbers("SELECT duplicates FROM received") == [4])
  }

  /// The receiver answers a resend with the stored refusal, byte for byte.
  @Test func theSameRefusalAfterAResendRefusesAgain() throws {
    let refusal = try status("02", reason: "TOO-LARGE")
    try take(refusal)
    try resend()
    #expect(try state == .published)
    try take(refusal)
    #expect(try state == .refused)
    #expect(try node.count("status") == 1)
  }

  /// A person refused what had arrived; after a resend both stored statuses come again.
  @Test(arguments: [false, true])
  func aPersonsRefusalStays(_ isReordered: Bool) throws {
    let receipt = try status("01")
    let refusal = try status("02", reason: "REFUSED-BY-PERSON")
    try take(receipt, refusal)
    #expect(try state == .refused)
    try resend()
    try isReordered ? take(refusal, receipt) : take(receipt, refusal)
    #expect(try state == .refused)
  }

  /// A damaged copy was refused before the good one was accepted; the network swaps the answers.
  @Test func anOlderRefusalDoesNotUndoAReceipt() throws {
    let refusal = try status("02", reason: "SIGNATURE-ALTERED")
    let receipt = try status("01")
    try take(receipt, refusal)
    #expect(try state == .delivered)
    #expect(try node.count("status") == 2)
  }

  /// The receiver's clock was set back between refusal and receipt.
  @Test func aReceiptCountsAfterAnAutomaticRefusalWhateverTheClock() throws {
    node.clock.advance(by: .seconds(500))
    try take(try status("02", reason: "SIGNATURE-ALTERED"))
    node.clock.advance(by: .seconds(-500))
    try take(try status("01"))
    #expect(try state == .delivered)
  }

  /// Statements of one unit about one document, with what they come to: seconds after the issue.
  private static let sets:
    [(said: [(code: String, reason: String?, second: Int)], OutgoingState, String)] = [
      ([("01", nil, 1), ("06", nil, 9), ("03", nil, 3)], .delivered, "06"),
      ([("01", nil, 1), ("02", "REFUSED-BY-PERSON", 5), ("03", nil, 3)], .refused, "02"),
      (
        [("01", nil, 1), ("02", "REFUSED-BY-PERSON", 5), ("06", nil, -860_000_000)], .refused, "02"
      ),
      ([("01", nil, 1), ("02", "REFUSED-BY-PERSON", 5), ("06", nil, 6)], .delivered, "06"),
      ([("01", nil, 1), ("02", "TOO-LARGE", 5)], .delivered, "01"),
      ([("01", nil, 1), ("02", "MỚI", 5), ("07", nil, 7)], .delivered, "07"),
      // Without a reason it is nobody's: no proof of arrival is outweighed.
      ([("01", nil, 1), ("02", nil, 5), ("04", nil, 4)], .delivered, "04"),
      ([("02", nil, 5), ("02", "REFUSED-BY-PERSON", 3)], .refused, "02"),
      ([("05", nil, 2), ("06", nil, 2), ("04", nil, 2)], .delivered, "06"),
      ([("01", nil, 2), ("02", "REFUSED-BY-PERSON", 2)], .refused, "02"),
    ]

  /// Whatever comes when: state and status go by what was said last, and never contradict each other.
  @Test(arguments: sets.indices) func theOrderOfArrivalNeverMatters(_ index: Int) throws {
    let (said, expected, code) = Self.sets[index]
    let start = node.clock.now
    var messages = try said.map { statement in
      try status(
        statement.code, reason: statement.reason,
        at: start.advanced(by: .seconds(statement.second)))
    }
    for turn in 0..<(said.count == 2 ? 2 : 6) {
      let other = try TestNode(Province.alpha, clock: node.clock, folder: copy())
      for message in messages {
        try other.intake.store([message])
        try other.settle()
      }
      let delivery = try #require(try other.deliveries().first)
      #expect(delivery.state == expected, "turn \(turn)")
      #expect(delivery.status == code, "turn \(turn)")
      let shown = try other.store.reader.statuses(
        document: try other.store.reader.find(document.rawValue).summary.key)
      #expect(shown.map(\.at) == shown.map(\.at).sorted())
      // The next permutation of three, by turns of rotating and swapping.
      messages.swapAt(turn % 2, turn % 2 + (said.count == 2 ? (turn % 2 == 0 ? 1 : -1) : 1))
    }
  }

  /// The node's folder as it is now, for another node.
  private func copy() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try DatabaseQueue(path: node.folder.path(DatabaseFile.name)).inDatabase {
      try $0.execute(sql: "VACUUM INTO '\(folder.path(DatabaseFile.name))'")
    }
    return folder
  }

  /// A refusal without a reason refuses what has not arrived, and says that nobody gave a reason.
  @Test func aRefusalWithoutAReasonIsNobodys() throws {
    try take(try status("02"))
    #expect(try state == .refused)
    #expect(try node.deliveries().first?.lastError == "REFUSED-WITHOUT-REASON")
  }

  /// Dated ahead of the arrival, it would outweigh whatever the unit says later.
  @Test(arguments: ["06", "02", "07"], [86_401, 251_000_000_000])
  func aStatusOfTheFutureIsNotBelieved(_ code: String, _ seconds: Int) throws {
    let time = node.clock.now.advanced(by: .seconds(seconds + 1))
    try take(
      try status(code, reason: code == "02" ? "REFUSED-BY-PERSON" : nil, at: time))
    #expect(try node.verdicts() == ["quarantined STATUS-TIME-IN-FUTURE"])
    #expect(try state == .published)
    try take(try status("01"))
    #expect(try state == .delivered)
    #expect(try node.deliveries().first?.status == "01")
  }

  @Test func aStatusOfTomorrowWaitsUntilThen() throws {
    try take(try status("06", at: node.clock.now.advanced(by: .seconds(3600))))
    #expect(try node.verdicts() == ["received"])
    node.clock.advance(by: .seconds(2999))
    try node.settle()
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.deliveries().first?.status == "06")
    // Ten minutes are a clock's right.
    node.clock.advance(by: .seconds(100))
    try take(try status("05", at: node.clock.now.advanced(by: .seconds(590))))
    #expect(try node.deliveries().first?.status == "05")
  }

  /// Of a document's own sender only 13 is believed about it, of its recipients anything but 13.
  @Test func onlyWhoGotItReportsAboutADocument() throws {
    try node.intake.store(beta.pieces() + [beta.message(body: beta.document())])
    try node.settle()
    let known = try #require(
      try node.store.review.incomingDocument(from: Province.beta.organId, id: beta.documentID))
    for code in ["01", "02", "03", "04", "05", "06", "07", "15", "16", "99"] {
      node.clock.advance(by: .seconds(1))
      let status = try beta.status(code, about: beta.documentID, digest: known.manifestDigest)
      try node.intake.store([beta.message(.status, id: status.id.rawValue, body: status.body)])
      try node.settle()
    }
    try node.intake.store([try status("13")])
    try node.settle()
    #expect(
      try node.verdicts() == ["accepted"]
        + Array(repeating: "quarantined STATUS-UNMATCHED", count: 11))
    #expect(try node.store.reader.statuses(document: known.key).map(\.code) == ["01"])
    #expect(try node.texts("SELECT coalesce(frozen, '-') FROM document") == ["-", "-"])
    // What came is shown at the document it is about, as not believed.
    #expect(try node.store.reader.unbelieved(document: known.key).count == 10)
    let own = try node.store.reader.find(document.rawValue, preferring: "outgoing").summary
    #expect(try node.store.reader.unbelieved(document: own.key).map(\.code) == ["13"])
  }

  /// 15 and 16 answer a take-back, or a replacement; without either there is nothing to answer.
  @Test(arguments: ["15", "16"]) func anAnswerNeedsAQuestion(_ code: String) throws {
    try take(try status(code))
    #expect(try node.verdicts() == ["quarantined STATUS-UNMATCHED"])
    #expect(try node.deliveries().first?.unbelieved?.code == code)
    _ = try node.office.recall(document.rawValue, reason: "sai số liệu")
    let answer = try status(code)
    try node.intake.store([answer])
    try node.settle()
    #expect(try node.verdicts().last == "accepted")
    #expect(try node.deliveries().first?.status == code)
  }

  /// Without a stored statement nothing moves.
  @Test func anotherStatementUnderAKnownIdChangesNothing() throws {
    let first = try beta.status("03", about: document, digest: digest)
    try take(beta.message(.status, id: first.id.rawValue, body: first.body))
    let second = try beta.status("02", about: document, digest: digest, id: first.id)
    try take(beta.message(.status, id: first.id.rawValue, body: second.body))
    #expect(try state == .delivered)
    #expect(try node.texts("SELECT code FROM status") == ["03"])
  }

  @Test func theSenderMayAskToTakeBack() throws {
    try node.intake.store(beta.pieces() + [beta.message(body: beta.document())])
    try node.settle()
    let known = try #require(
      try node.store.review.incomingDocument(from: Province.beta.organId, id: beta.documentID))
    let request = try beta.status("13", about: beta.documentID, digest: known.manifestDigest)
    try node.intake.store([beta.message(.status, id: request.id.rawValue, body: request.body)])
    try node.settle()
    #expect(try node.answers() == ["01"])
    #expect(
      try node.store.reader.statuses(document: known.key).map(\.code) == ["01", "13"])
  }
}
