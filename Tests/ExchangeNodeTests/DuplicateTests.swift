import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeTestKit
import Testing

/// The table of schemas/README.md section 7, row by row, and its neighbours.
@Suite struct DuplicateTests {
  let node: TestNode
  let beta: Hostile

  init() throws {
    node = try TestNode(Province.alpha)
    beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
  }

  private func take(_ messages: InboundMessage...) throws {
    try node.intake.store(messages)
    try node.settle()
  }

  private var duplicates: [Int] {
    get throws { try node.numbers("SELECT duplicates FROM received ORDER BY key") }
  }

  @Test func acceptedBeforeTheStoredReceiptGoesAgain() throws {
    let broker = FakeBroker()
    let message = beta.message(body: try beta.document())
    try node.intake.store(beta.pieces())
    try take(message)
    try broker.publish(from: node.relay, as: node.id)
    for _ in 0..<3 {
      try take(message)
      try broker.publish(from: node.relay, as: node.id)
    }
    #expect(try node.verdicts() == ["accepted"])
    #expect(try duplicates == [3])
    #expect(try node.answers() == ["01"])
    let receipts = broker.published.map(\.message.body)
    #expect(receipts.count == 4)
    #expect(Set(receipts).count == 1)
  }

  @Test func incompleteBeforeItGoesOnCollecting() throws {
    let message = beta.message(body: try beta.document())
    try take(message)
    try take(message)
    #expect(try node.verdicts() == ["incomplete"])
    #expect(try duplicates == [1])
    #expect(try node.answers() == [])
    try node.intake.store(beta.pieces())
    try node.settle()
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["01"])
  }

  @Test func quarantinedBeforeItIsJudgedAnew() throws {
    let message = beta.message(body: try beta.document())
    // The sender's clock is wrong by two days, or ours is.
    node.clock.advance(by: .seconds(-2 * 86_400))
    try node.intake.store(beta.pieces())
    try take(message)
    #expect(try node.verdicts() == ["quarantined SIGNATURE-TIME-IN-FUTURE"])
    node.clock.advance(by: .seconds(2 * 86_400))
    try take(message)
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["02 SIGNATURE-TIME-IN-FUTURE", "01"])
  }

  @Test func anotherManifestUnderTheSameIdIsAConflict() throws {
    try node.intake.store(beta.pieces())
    try take(beta.message(body: try beta.document()))
    let other = try beta.document { $0["subject"] = "Nội dung khác" }
    try take(beta.message(body: other))
    try take(beta.message(body: other))
    #expect(try node.verdicts() == ["accepted", "quarantined ID-CONFLICT"])
    #expect(try node.answers() == ["01", "02 ID-CONFLICT"])
    #expect(try node.texts("SELECT subject FROM document") == ["Tình hình đoàn viên"])
  }

  @Test func conflictWithAnIncompleteDocument() throws {
    try take(beta.message(body: try beta.document()))
    try take(beta.message(body: try beta.document { $0["subject"] = "Nội dung khác" }))
    #expect(try node.verdicts() == ["incomplete", "quarantined ID-CONFLICT"])
  }

  /// Two signatures over the same manifest are two messages and one document.
  @Test func signedTwiceIsOneDocument() throws {
    try node.intake.store(beta.pieces())
    let body = try beta.document()
    try take(beta.message(body: body))
    node.clock.advance(by: .seconds(60))
    let again = beta.message(body: try beta.resign(body))
    try take(again)
    #expect(try node.verdicts() == ["accepted"], "a second copy is counted, not kept")
    #expect(try node.numbers("SELECT duplicates FROM received") == [1])
    #expect(try node.count("document") == 1)
    #expect(try node.answers() == ["01"])
    let broker = FakeBroker()
    try broker.publish(from: node.relay, as: node.id)
    try take(again)
    #expect(try broker.publish(from: node.relay, as: node.id) == 1, "the receipt goes again")
  }

  /// In one batch neither is known when the other is judged.
  @Test func twoSignaturesInOneBatch() throws {
    try node.intake.store(beta.pieces())
    try take(
      beta.message(body: try beta.document()),
      beta.message(body: try beta.sign(beta.manifestJSON())))
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.count("document") == 1)
    #expect(try node.answers() == ["01"])
  }

  @Test func twoManifestsInOneBatch() throws {
    try node.intake.store(beta.pieces())
    try take(
      beta.message(body: try beta.document()),
      beta.message(body: try beta.document { $0["subject"] = "Nội dung khác" }))
    #expect(try node.verdicts() == ["accepted", "quarantined ID-CONFLICT"])
    #expect(try node.count("document") == 1)
  }

  /// A unit that writes its former name in `from` is still one sender.
  @Test func theAliasInFromIsTheSameSender() throws {
    try node.intake.store(beta.pieces())
    let body = try beta.document { $0["from"] = ["organId": Province.betaOld.rawValue] }
    try take(beta.message(body: body))
    #expect(try node.verdicts() == ["accepted"])
    try take(beta.message(body: try beta.resign(body)), beta.message(body: try beta.document()))
    #expect(try node.verdicts() == ["accepted", "quarantined ID-CONFLICT"])
    #expect(try node.count("document") == 1)
  }

  /// A copy that was damaged on the way says nothing about the document that is here already.
  @Test func aDamagedCopyOfAnAcceptedDocumentIsNotRefused() throws {
    let body = try beta.document()
    try node.intake.store(beta.pieces())
    try take(beta.message(body: body))
    var damaged = body
    damaged[damaged.count - 5] ^= 1
    try take(beta.message(body: damaged))
    #expect(try node.verdicts() == ["accepted", "quarantined SIGNATURE-ALTERED"])
    #expect(try node.answers() == ["01"])
  }

  @Test func aHundredCopiesAreOneDocument() throws {
    let message = beta.message(body: try beta.document())
    let piece = beta.pieces()
    try node.intake.store(piece + Array(repeating: message, count: 40) + piece)
    for _ in 0..<20 { try take(message) }
    try node.intake.store(Array(repeating: message, count: 40))
    try node.settle()
    #expect(try node.verdicts() == ["accepted"])
    #expect(try duplicates == [99])
    #expect(try node.answers() == ["01"])
    #expect(try node.count("notice", "state = 'queued'") == 1)
  }
}
