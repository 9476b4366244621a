import DocumentSigning
import ExchangeCore
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeDatabase
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// Storing what came in, before anything of it is judged; and what a crash leaves.
@Suite struct IntakeTests {
  static let piece = Int(WireLimits.pieceBytes)

  let test: TestStore

  init() throws { test = try TestStore() }

  private var now: Timestamp { test.clock.now }

  private func store(_ messages: [ReceivedMessage] = [], pieces: [ReceivedPiece] = []) throws {
    try test.store.intake.store(messages: messages, pieces: pieces, at: now)
  }

  private func parts(_ content: Data, from sender: UnitID = TestStore.beta) -> [ReceivedPiece] {
    stride(from: 0, to: content.count, by: Self.piece).compactMap { start in
      PieceAddress(
        sha256: TestStore.hash(content), offset: Int64(start), size: Int64(content.count)
      ).map { address in
        .part(
          sender: sender, address: address,
          body: Data(content[start..<start + Int(address.length)]))
      }
    }
  }

  private static func large(_ byte: UInt8, pieces: Int = 3) -> Data {
    Data(repeating: byte, count: pieces * piece - 17)
  }

  /// Assembles what is complete, as the node does. Returns what was intact.
  @discardableResult
  private func assemble() throws -> [Bool] {
    try test.store.contents.completeTransfers().map { transfer in
      let name = test.store.files.spoolName(
        sender: transfer.sender, sha256: transfer.sha256, size: transfer.size)
      let isIntact = try test.store.files.assemble(
        name, digest: transfer.sha256, size: transfer.size)
      try test.store.contents.finish(transfer, isIntact: isIntact, at: now)
      return isIntact
    }
  }

  // MARK: Messages

  @Test(arguments: [[100], Array(repeating: 1, count: 100), [10, 1, 40, 49], [99, 1]])
  func aHundredCopiesAreOneRow(_ batches: [Int]) throws {
    for count in batches { try store(Array(repeating: test.message("thân"), count: count)) }
    #expect(try test.texts("SELECT state || ' ' || duplicates FROM received") == ["received 99"])
    #expect(try test.count("history") == 0, "the arrival is written when it is judged")
    #expect(
      try test.unjudged().map(\.body) == [Data("thân".utf8)])
  }

  @Test func anotherBodyOrSenderIsAnotherMessage() throws {
    try store([
      test.message("thân"), test.message("khác"), test.message("thân", from: TestStore.gamma),
      test.message("thân", id: "m-2"),
    ])
    #expect(try test.count("received") == 4)
  }

  @Test func aFaultNeedsNoJudge() throws {
    let fault = (outcome: OutcomeCode.pieceMalformed, detail: "sai")
    for _ in 0..<3 { try store([test.message("thân", fault: fault)]) }
    #expect(
      try test.texts("SELECT state || ' ' || outcome || ' ' || duplicates FROM received") == [
        "quarantined PIECE-MALFORMED 2"
      ])
    #expect(try test.unjudged().isEmpty)
    #expect(try test.count("receivedBody") == 0)
  }

  @Test func aBatchIsAllOrNothing() throws {
    try test.sql(
      """
      CREATE TRIGGER trouble BEFORE INSERT ON received WHEN NEW.messageID = 'm-bad'
      BEGIN SELECT RAISE(ABORT, 'disk full'); END
      """)
    #expect(throws: StoreError.self) {
      try store([test.message("một"), test.message("hai", id: "m-bad")])
    }
    #expect(try test.count("received") == 0)
    #expect(try test.count("history") == 0)
  }

  // MARK: Pieces

  @Test func piecesAreIdempotent() throws {
    let content = Self.large(1)
    let parts = parts(content)
    try store(pieces: parts + parts)
    try store(pieces: [parts[1]])
    #expect(try test.texts("SELECT pieces FROM transfer") == ["3"])
    #expect(try assemble() == [true])
    try store(pieces: parts)
    #expect(try test.count("transfer") == 0)
    #expect(
      try test.store.contents.content(TestStore.hash(content), offset: 0, count: content.count)
        == content)
  }

  @Test func transfersOfTwoSendersDoNotMix() throws {
    let parts = parts(Self.large(1))
    let others = self.parts(Self.large(1), from: TestStore.gamma)
    try store(pieces: [parts[0], others[1], parts[1]])
    #expect(try test.store.contents.completeTransfers().isEmpty)
    try store(pieces: [others[0], others[2]])
    #expect(try test.store.contents.completeTransfers().map(\.sender) == [TestStore.gamma])
    #expect(try assemble() == [true])
    #expect(try test.count("blob") == 1)
    let content = TestStore.hash(Self.large(1))
    #expect(try test.store.intake.has(content, from: TestStore.gamma))
    #expect(
      try !test.store.intake.has(content, from: TestStore.beta), "has not shown that it has it")
    try store(pieces: [parts[2]])
    #expect(try test.store.contents.completeTransfers().map(\.sender) == [TestStore.beta])
    #expect(try assemble() == [true])
    #expect(try test.store.intake.has(content, from: TestStore.beta))
    #expect(try test.count("blob") == 1)
  }

  @Test func alteredContentIsMarkedForItsSender() throws {
    var parts = parts(Self.large(1))
    if case .part(let sender, let address, _) = parts[0] {
      parts[0] = .part(
        sender: sender, address: address, body: Data(repeating: 9, count: Self.piece))
    }
    try store(pieces: parts)
    #expect(try assemble() == [false])
    let digest = TestStore.hash(Self.large(1))
    let file = Attachment(
      name: "a.pdf", mediaType: "application/pdf", size: Int64(Self.large(1).count),
      sha256: digest)
    #expect(try test.store.review.look(for: [file], from: TestStore.beta).spoiled == [digest])
    #expect(try test.store.review.look(for: [file], from: TestStore.gamma).spoiled == [])
    #expect(try test.count("transfer") == 0)
    // It comes again: until it is hashed nobody knows, and then it is good.
    try store(pieces: self.parts(Self.large(1)))
    #expect(try test.store.review.look(for: [file], from: TestStore.beta).spoiled == [])
    #expect(try assemble() == [true])
    #expect(try test.count("spoiled") == 0)
  }

  @Test func theLimitLooksAtTheSenderOnly() throws {
    let part = try #require(
      PieceAddress(sha256: TestStore.hash(Data()), offset: 0, size: Int64(3 * Self.piece)))
    try store(pieces: [parts(Self.large(1))[0]])
    #expect(try test.store.intake.hasRoom(for: part, from: TestStore.beta, limit: 4 << 20))
    #expect(try !test.store.intake.hasRoom(for: part, from: TestStore.beta, limit: 1 << 20))
    #expect(try test.store.intake.hasRoom(for: part, from: TestStore.gamma, limit: 1 << 20))
  }

  // MARK: After a crash

  private func names(in folder: String) throws -> [String] {
    let all = FileManager.default.enumerator(atPath: test.folder.path(folder))
    return (all?.compactMap { $0 as? String } ?? []).filter { $0.count > 2 }.sorted()
  }

  /// Files are written before rows: a crash in between leaves files that no row knows.
  @Test func onlyOrphansAreSwept() throws {
    let kept = Data(repeating: 1, count: 400_000)
    try test.issue(content: kept)
    try store(pieces: [parts(Self.large(2))[0]])
    let spooled = try names(in: "spool").filter { $0.count > 20 }
    // Written, and then the process was killed.
    _ = try test.store.files.ingest(Data(repeating: 3, count: 400_000))
    try test.folder.write(Data("rest".utf8), as: "tmp/rest")
    try test.folder.write(Data("rest".utf8), as: "spool/rest.part")

    try test.reopened().contents.sweepContent(at: test.clock.now)
    let blobs = try names(in: "blobs")
    #expect(blobs.count == 1)
    #expect(blobs.contains { $0.contains(TestStore.hash(kept).hex) })
    #expect(try names(in: "spool") == spooled)
    #expect(try names(in: "tmp") == [])
    #expect(
      try test.store.contents.content(TestStore.hash(kept), offset: 0, count: 10) == kept.prefix(10)
    )
  }

  /// Whoever takes content in holds the sweep off until the row is there.
  @Test func aSweepWaitsForContentThatHasNoRowYet() async throws {
    let store = test.store
    let content = Data(repeating: 4, count: 400_000)
    let (started, start) = AsyncStream<Void>.makeStream()
    let sweeping = Task.detached {
      for await _ in started { break }
      try store.contents.sweepContent(at: test.clock.now)
    }
    try store.files.keeping {
      let stored = try store.files.ingest(content)
      start.finish()
      try store.intake.store(
        messages: [], pieces: [.whole(stored, from: TestStore.beta)], at: test.clock.now)
    }
    try await sweeping.value
    #expect(
      try store.contents.content(TestStore.hash(content), offset: 0, count: 10)
        == content.prefix(10))
  }

  /// The blob was renamed into place and the process killed before its row; the node comes up hours
  /// later. The content is whole and must not be swept, or the document would be refused as altered.
  @Test func aBlobWhoseTransferIsNotFinishedIsNoOrphan() throws {
    let content = Self.large(5)
    let digest = TestStore.hash(content)
    try store(pieces: parts(content))
    let transfer = try #require(try test.store.contents.completeTransfers().first)
    let name = test.store.files.spoolName(
      sender: transfer.sender, sha256: transfer.sha256, size: transfer.size)
    #expect(try test.store.files.assemble(name, digest: digest, size: transfer.size))

    try test.reopened().contents.sweepContent(at: test.clock.now)
    #expect(try assemble() == [true])
    #expect(try test.store.contents.content(digest, offset: 0, count: content.count) == content)
  }

  /// The pieces are in the spool and their rows are not: they come again and are stored again.
  @Test func aSpoolWithoutRowsIsFilledAgain() throws {
    let content = Self.large(6)
    let name = test.store.files.spoolName(
      sender: TestStore.beta, sha256: TestStore.hash(content), size: Int64(content.count))
    try test.store.files.spool([(offset: 0, body: Data(repeating: 9, count: 100))], transfer: name)
    try store(pieces: parts(content))
    #expect(try assemble() == [true])
  }
}
