import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import Testing

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
      try node.store.delivery(of: document, issuedBy: node.id, to: Province.beta.organId)
    ).manifestDigest
    try publish()
  }

  private func publish() throws {
    let messages = try node.relay.next(count: 10, bytes: 1 << 20)
    try node.relay.settle(messages.map { ($0.token, .confirmed) })
  }

  /// A status of beta about the document, signed now; the clock moves on after it.
  private func status(_ code: String, reason: String? = nil, digest: SHA256Digest? = nil) throws
    -> InboundMessage
  {
    node.clock.advance(by: .seconds(1))
    let status = try beta.status(
      code, about: document, digest: digest ?? self.digest, reason: reason)
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

  @Test(arguments: ["00", "07", "13", "15", "16", "99"])
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
        body: try gamma.resign(receipt.body, signedBy: Province.beta)))
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
      try node.store.incomingDocument(from: Province.beta.organId, id: beta.documentID))
    let request = try beta.status("13", about: beta.documentID, digest: known.manifestDigest)
    try node.intake.store([beta.message(.status, id: request.id.rawValue, body: request.body)])
    try node.settle()
    #expect(try node.answers() == ["01"])
    #expect(
      try node.store.statuses(document: known.key).map(\.code) == ["01", "13"])
  }
}

extension Hostile {
  /// The content of `signed`, which another unit signed, under this unit's signature.
  func resign(_ signed: Data, signedBy other: Organ) throws -> Data {
    let verdict = try Province.shared.get().verifier.verify(
      signed, from: other.organId, arrivedAt: clock.now)
    guard case .valid(let content, _) = verdict else { return Data() }
    return try sign(content)
  }
}
