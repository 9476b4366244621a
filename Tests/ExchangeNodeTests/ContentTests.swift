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

/// Attachments on their way in: pieces, altered content, and what must not stay.
@Suite struct ContentTests {
  static let piece = Int(WireLimits.pieceBytes)

  let node: TestNode
  let beta: Hostile
  /// Longer than two pieces.
  let large = pdf("lớn", size: 2 * piece + 77)

  init() throws {
    node = try TestNode(
      Province.alpha,
      limits: IntakeLimits(documentBytes: 16 << 20, pendingBytes: Int64(5 * Self.piece)))
    beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
  }

  private var digest: SHA256Digest { OpenSSLHashing().sha256(large) }

  /// A document of beta with `large` as its only attachment.
  private func document(_ change: @escaping (inout [String: Any]) -> Void = { _ in }) throws
    -> InboundMessage
  {
    beta.message(
      body: try beta.document { json in
        json["attachments"] = [beta.attachment("lon.pdf", size: large.count, sha256: digest)]
        change(&json)
      })
  }

  private func take(_ messages: [InboundMessage]) throws {
    try node.intake.store(messages)
    try node.settle()
  }

  /// The pieces of `large` with other bytes in each.
  private func bad(_ from: Hostile) -> [InboundMessage] {
    from.pieces(Data(repeating: UInt8(ascii: "x"), count: large.count), digest: digest)
  }

  private var spoolFiles: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: node.folder.path("spool"))
    }
  }

  @Test(arguments: 0..<6)
  func anyOrderOfPiecesAndManifest(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let messages = (beta.pieces(large) + beta.pieces(large) + [try document()])
      .shuffled(using: &random)
    for message in messages { try take([message]) }
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["01"])
    let bytes = try node.store.contents.content(digest, offset: 0, count: large.count)
    #expect(bytes == large)
    #expect(try spoolFiles == [])
    #expect(try node.count("transfer") == 0)
  }

  /// The disk does not give a spool file back. Other units' files are put together all the same, and
  /// its own comes again: nobody is told that it was altered.
  @Test func aSpoolFileThatCannotBeReadKeepsNoOtherBack() throws {
    try node.intake.store(beta.pieces(large) + [try document()])
    let spool = node.folder.path("spool/\(try #require(try spoolFiles.first))")
    try FileManager.default.removeItem(atPath: spool)
    // Opens, and gives EIO when it is read.
    try FileManager.default.createSymbolicLink(
      atPath: spool, withDestinationPath: "/proc/self/mem")
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    let other = pdf("khác", size: 2 * Self.piece)
    try node.intake.store(gamma.pieces(other))
    #expect(try node.review.assemble() == 1)
    #expect(try node.store.intake.has(OpenSSLHashing().sha256(other)))
    #expect(try spoolFiles == [])
    try node.settle()
    #expect(try node.answers() == [])
    let tally = Tally(
      id: RecordID(at: node.clock.now), from: beta.from, to: node.id, timestamp: node.clock.now,
      entries: [
        Tally.Entry(
          sequence: 1, documentId: beta.documentID, manifestSha256: beta.digest, statuses: 0)
      ])
    #expect(
      try node.store.review.compare(tally, of: 1_600, from: beta.from.organId).missing == [
        beta.documentID
      ]
    )
    try take(beta.pieces(large))
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["01"])
  }

  /// A backup has the database and blobs/, not spool/: what was under way comes again, and its sender
  /// is not told that it was altered.
  @Test(arguments: [1, 3]) func piecesThatARestoreLostComeAgain(_ count: Int) throws {
    try node.intake.store(Array(beta.pieces(large).prefix(count)) + [try document()])
    for name in try spoolFiles {
      try FileManager.default.removeItem(atPath: node.folder.path("spool/\(name)"))
    }
    try node.store.contents.sweepContent(at: node.clock.now)
    #expect(try node.count("transfer") == 0)
    try node.settle()
    try take(Array(beta.pieces(large).dropFirst(count)))
    #expect(try node.answers() == [])
    try take(beta.pieces(large))
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["01"])
  }

  /// Two units send the same large file: each has to show that it has it, and then nothing is left of
  /// their pieces.
  @Test func nothingIsLeftOfTheSameFileOfAnother() throws {
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    try take([gamma.pieces(large)[0]])
    #expect(try spoolFiles.count == 1)
    try take(beta.pieces(large) + [try document()])
    #expect(try node.verdicts() == ["accepted"])
    #expect(try spoolFiles.count == 1)
    try take(Array(gamma.pieces(large).dropFirst()))
    #expect(try spoolFiles == [])
    #expect(try node.count("blob") == 1)
  }

  /// Many tiny contents are bounded as well: each counts as 64 KiB.
  @Test func tinyContentsTakeRoomToo() throws {
    let limit = 5 * Self.piece / 65_536
    for number in 0..<limit + 3 { try take(beta.pieces(Data("nhỏ \(number)".utf8))) }
    #expect(try node.count("blob") == limit + 1)
    #expect(try node.verdicts().contains("quarantined TOO-LARGE"))
  }

  @Test func alteredPieceIsRefusedAndTheResendAccepted() throws {
    var pieces = beta.pieces(large)
    pieces[1] = bad(beta)[1]
    // The manifest first: the document waits, and is refused when the content is known to be bad.
    try take([try document()])
    #expect(try node.verdicts() == ["incomplete"])
    try take(pieces)
    #expect(try node.verdicts() == ["quarantined ATTACHMENT-ALTERED"])
    // Signed again, so it is another message; the document is judged anew all the same.
    try take(beta.pieces(large) + [try document()])
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.count("document") == 1)
    #expect(try node.answers() == ["02 ATTACHMENT-ALTERED", "01"])
  }

  /// The usual order: pieces, then the manifest. While the resent pieces are being hashed, the mark
  /// of the first attempt must not refuse the document again.
  @Test func theResendIsNotRefusedForTheFirstAttempt() throws {
    var pieces = beta.pieces(large)
    pieces[0] = bad(beta)[0]
    let message = try document()
    try take(pieces)
    try take([message])
    #expect(try node.verdicts() == ["quarantined ATTACHMENT-ALTERED"])
    try take(beta.pieces(large) + [message])
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["02 ATTACHMENT-ALTERED", "01"])
  }

  /// Two documents name the content that came altered: both are refused, none waits for ever.
  @Test func everyDocumentOfAlteredContentIsRefused() throws {
    var pieces = beta.pieces(large)
    pieces[2] = bad(beta)[2]
    try take([try document()])
    try take(pieces)
    let second = RecordID(at: node.clock.now)
    try take([
      beta.message(
        id: second.rawValue,
        body: try beta.document {
          $0["documentId"] = second.rawValue
          $0["attachments"] = [beta.attachment("lon.pdf", size: large.count, sha256: digest)]
        })
    ])
    #expect(
      try node.verdicts() == [
        "quarantined ATTACHMENT-ALTERED", "quarantined ATTACHMENT-ALTERED",
      ])
  }

  /// A piece that is here is here: a second one with other bytes changes nothing.
  @Test func aPieceCannotBeReplaced() throws {
    let good = beta.pieces(large)
    let bad = bad(beta)
    try node.intake.store(Array(good.prefix(2)))
    try node.intake.store(Array(bad.prefix(2)))
    try node.intake.store([good[2]])
    try node.intake.store([bad[2]])
    try take([try document()])
    #expect(try node.verdicts() == ["accepted"])
  }

  @Test func unitsCannotSpoilEachOthersTransfers() throws {
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    let bad = bad(gamma)
    let good = beta.pieces(large)
    try take([bad[0], good[0], bad[1], good[1], bad[2]])
    try take([good[2], try document()])
    #expect(try node.verdicts() == ["accepted"])
  }

  /// A stranger who knows a digest learns nothing: neither that the content is here from another unit,
  /// nor that its size is another one. With its own pieces its document is accepted.
  @Test(arguments: [nil, 900, 200_000] as [Int?], [0, 7])
  func aDigestOfAnotherUnitIsNoOracle(_ small: Int?, _ wrong: Int) throws {
    let content = small.map { pdf("của đơn vị khác", size: $0) } ?? large
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    func ask(_ name: String, size: Int) throws -> InboundMessage {
      let asker = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock, mark: name)
      return asker.message(
        body: try asker.document { json in
          json["attachments"] = [
            asker.attachment(
              "a.pdf", size: size, sha256: OpenSSLHashing().sha256(content))
          ]
        })
    }
    try take([try ask("không có ở đây", size: content.count + wrong)])
    try take(beta.pieces(content))
    try take([try ask("có ở đây", size: content.count + wrong)])
    #expect(try node.verdicts() == ["incomplete", "incomplete"])
    #expect(try node.answers() == [])
    try take(gamma.pieces(content))
    #expect(try node.count("transfer") == 0)
    #expect(try node.count("blob") == 1)
    #expect(
      try node.answers() == (wrong == 0 ? ["01", "01"] : ["02 MANIFEST-RULE", "02 MANIFEST-RULE"]))
  }

  /// What was shown once counts for later documents too.
  @Test func whatAUnitBroughtBeforeIsNotWaitedFor() throws {
    try take(beta.pieces(large) + [try document()])
    let again = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock, mark: "lại")
    try take([
      again.message(
        body: try again.document { json in
          json["attachments"] = [again.attachment("lon.pdf", size: large.count, sha256: digest)]
        })
    ])
    #expect(try node.verdicts() == ["accepted", "accepted"])
  }

  /// The limit on unfinished transfers stops new ones. Those that are under way end, or the sender
  /// could never again bring anything.
  @Test func theLimitOfUnfinishedTransfersStopsNewOnesOnly() throws {
    let files = (0..<4).map { pdf("tệp \($0)", size: 2 * Self.piece) }
    for file in files { try node.intake.store([beta.pieces(file)[0]]) }
    #expect(try node.verdicts() == ["quarantined TOO-LARGE"])
    for file in files.prefix(3) { try node.intake.store([beta.pieces(file)[1]]) }
    try node.settle()
    #expect(try node.count("blob") == 3)
    #expect(try node.count("transfer") == 0)
  }

  /// Whole attachments count too until a document names them; another unit has room of its own.
  @Test func theLimitCountsWhatNoDocumentNames() throws {
    let files = (0..<7).map { pdf("tệp \($0)", size: Self.piece) }
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    for file in files { try take(beta.pieces(file)) }
    // The limit is passed once, by the piece that was under way when it was reached.
    #expect(try node.count("blob") == 6)
    #expect(try node.verdicts() == ["quarantined TOO-LARGE"])
    try take(gamma.pieces(pdf("của đơn vị khác")))
    #expect(try node.count("blob") == 7)
    try take([
      beta.message(
        body: try beta.document { json in
          json["attachments"] = files.enumerated().map { index, content in
            beta.attachment(
              "\(index).pdf", size: content.count, sha256: OpenSSLHashing().sha256(content))
          }
        })
    ])
    #expect(try node.verdicts() == ["quarantined TOO-LARGE", "incomplete"])
    try take(beta.pieces(files[6]))
    #expect(try node.verdicts() == ["quarantined TOO-LARGE", "accepted"])
  }

  // MARK: What no document names

  private func collect(after time: Duration) throws -> Int {
    node.clock.advance(by: time)
    return try node.store.contents.collectUnnamed(
      patience: .seconds(30 * 86_400), at: node.clock.now)
  }

  /// Pieces without a document go after a month, from the disk too; what a document names, or waits
  /// for, stays for ever.
  @Test func contentWithoutADocumentIsRemovedAfterAMonth() throws {
    let named = pdf("có tên", size: 300_000)
    let awaited = pdf("đang chờ", size: 2 * Self.piece)
    try take(beta.pieces(named) + [beta.pieces(awaited)[0]])
    try take([
      beta.message(
        body: try beta.document { json in
          json["attachments"] = [named, awaited].enumerated().map { index, content in
            beta.attachment(
              "\(index).pdf", size: content.count, sha256: OpenSSLHashing().sha256(content))
          }
        })
    ])
    let orphan = Data("KHÔNG AI NHẮC TỚI".utf8)
    try take(
      beta.pieces(pdf("KHÔNG AI NHẮC TỚI nhỏ"))
        + beta.pieces(pdf("KHÔNG AI NHẮC TỚI", size: 300_000))
        + [beta.pieces(pdf("KHÔNG AI NHẮC TỚI", size: 2 * Self.piece))[0]])
    #expect(try collect(after: .seconds(29 * 86_400)) == 0)
    #expect(try node.holds(orphan))
    #expect(try collect(after: .seconds(2 * 86_400)) == 3)
    #expect(try !node.holds(orphan))
    #expect(try collect(after: .seconds(365 * 86_400)) == 0)
    try take([beta.pieces(awaited)[1]])
    #expect(try node.verdicts() == ["accepted"])
  }

  /// The sender goes on with its manifest only, because the broker had confirmed all pieces weeks ago:
  /// the document waits, its sender learns so from the tally, and it becomes whole.
  @Test func aManifestThatComesAfterTheMonthIsMissedByTheTally() throws {
    try take(beta.pieces())
    #expect(try collect(after: .seconds(31 * 86_400)) == 1)
    try take([beta.message(body: try beta.document())])
    #expect(try node.verdicts() == ["incomplete"])
    let entry = Tally.Entry(
      sequence: 1, documentId: beta.documentID, manifestSha256: beta.digest, statuses: 0)
    let tally = Tally(
      id: RecordID(at: node.clock.now), from: beta.from, to: node.id, timestamp: node.clock.now,
      entries: [entry])
    #expect(
      try node.store.review.compare(tally, of: 1_600, from: beta.from.organId).missing == [
        beta.documentID
      ]
    )
    try take(beta.pieces())
    #expect(try node.verdicts() == ["accepted"])
  }

  /// Of one sender's messages that are not believed only so many bytes are kept; what came after that
  /// is named all the same, and judged anew when it comes again.
  @Test func theQuarantineOfASenderIsBounded() throws {
    let node = try TestNode(
      Province.alpha, limits: IntakeLimits(quota: PeerQuota(quarantineBytes: 12_100)))
    let junk = (0..<6).map { Data(repeating: UInt8($0), count: 3000) }
    for (index, body) in junk.enumerated() {
      try node.intake.store([
        beta.message(id: RecordID(at: node.clock.now).rawValue, body: body)
      ])
      try node.settle()
      #expect(
        try node.count("receivedBody") == min(index + 1, 3), "of \(index + 1)")
    }
    #expect(Set(try node.verdicts()) == ["quarantined SIGNATURE-NOT-SIGNED"])
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    try node.intake.store([gamma.message(body: junk[0])])
    try node.settle()
    #expect(try node.count("receivedBody") == 4)
    let last = try #require(
      try node.store.reader.quarantined(limit: 10).first { $0.sender == beta.from.organId.rawValue }
    )
    #expect(throws: StoreError(.contentMissing, "")) {
      try node.store.joining.release(
        quarantined: last.key, reason: "thử", at: node.clock.now, by: Actor("quản trị"))
    }
  }

  /// A waiting document is looked at when the content comes that it watches, and when any of its
  /// contents turns out to be altered: in whatever order they come.
  @Test(arguments: 0..<6)
  func whatAWaitingDocumentWatchesEndsItsWait(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let contents = [pdf("một"), large, pdf("ba"), pdf("bốn", size: 300_000)]
    func document(_ sender: Hostile) throws -> InboundMessage {
      sender.message(
        body: try sender.document { json in
          json["attachments"] = contents.enumerated().map { index, content in
            sender.attachment(
              "\(index).pdf", size: content.count, sha256: OpenSSLHashing().sha256(content))
          }
        })
    }
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    try take([try document(beta), try document(gamma)])
    #expect(try node.count("received", "waitsFor IS NOT NULL") == 2)
    // Pieces of a stranger end nobody else's wait.
    try take(gamma.pieces(contents[3]))
    #expect(try node.verdicts() == ["incomplete", "incomplete"])
    for content in contents.shuffled(using: &random) { try take(beta.pieces(content)) }
    #expect(try node.verdicts() == ["accepted", "incomplete"])
    try take(
      gamma.pieces(Data(contents[0].reversed()), digest: OpenSSLHashing().sha256(contents[0])))
    #expect(try node.verdicts() == ["accepted", "quarantined ATTACHMENT-ALTERED"])
  }

  @Test func manyDocumentsBecomeWholeAtOnce() throws {
    let messages = try (0..<70).map { number in
      let hostile = Hostile(
        from: Province.beta, to: Province.alpha, clock: node.clock, mark: "chung")
      return hostile.message(body: try hostile.document())
    }
    try take(messages)
    #expect(Set(try node.verdicts()) == ["incomplete"])
    try node.intake.store(
      Hostile(from: Province.beta, to: Province.alpha, clock: node.clock, mark: "chung").pieces())
    try node.settle()
    #expect(try node.verdicts() == Array(repeating: "accepted", count: 70))
  }

  // MARK: Điều 5

  /// Nothing of a document with a secrecy mark stays: not its manifest, not what came of it before,
  /// not the pieces of a file that was still coming.
  @Test func nothingSecretStays() throws {
    let secret = Data("BÍ MẬT NHÀ NƯỚC 7781".utf8)
    let small = pdf("BÍ MẬT NHÀ NƯỚC 7781 nhỏ")
    let middle = pdf("BÍ MẬT NHÀ NƯỚC 7781 vừa", size: 300_000)
    let unfinished = pdf("BÍ MẬT NHÀ NƯỚC 7781 lớn", size: 3 * Self.piece)
    let contents = [small, middle, unfinished]
    try take(beta.pieces(small) + beta.pieces(middle) + beta.pieces(unfinished).prefix(2))
    #expect(try node.holds(secret))
    try take([
      beta.message(
        body: try beta.document { json in
          json["secrecyMark"] = "Tối mật"
          json["subject"] = "BÍ MẬT NHÀ NƯỚC 7781"
          json["attachments"] =
            contents.enumerated().map { index, content in
              beta.attachment(
                "\(index).pdf", size: content.count, sha256: OpenSSLHashing().sha256(content))
            } + [["name": "no digest at all"]]
        })
    ])
    #expect(try node.verdicts() == ["quarantined DIEU5"])
    #expect(try node.answers() == ["02 DIEU5"])
    for table in ["blob", "transfer", "piece", "document"] {
      #expect(try node.count(table) == 0, "\(table)")
    }
    #expect(try node.count("receivedBody") == 0)
    #expect(try spoolFiles == [])
    #expect(try !node.holds(secret))
  }

  /// Somebody copies a large file in at that moment: the review does not wait for that, and the secret
  /// goes afterwards.
  @Test func aSecretGoesWhenNothingIsTakenInAnyMore() throws {
    let secret = pdf("BÍ MẬT NHÀ NƯỚC 7781", size: 300_000)
    try take(beta.pieces(secret))
    let digest = OpenSSLHashing().sha256(secret)
    let path = node.folder.path("blobs/\(digest.hex.prefix(2))/\(digest.hex)")
    try node.store.files.keeping {
      try node.intake.store([
        beta.message(
          body: try beta.document { json in
            json["secrecyMark"] = "Mật"
            json["attachments"] = [beta.attachment("a.pdf", size: secret.count, sha256: digest)]
          })
      ])
      try node.settle()
      #expect(try node.verdicts() == ["quarantined DIEU5"])
      #expect(FileManager.default.fileExists(atPath: path))
    }
    _ = try Upkeep(context: node.context, policy: Upkeep.Policy(), log: .silent).step()
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(try !node.holds(secret))
  }

  /// Content of a document with a secrecy mark is not taken in, whatever the order of manifest and
  /// pieces. A mark may have been a mistake: the same file is taken in when a document without it names
  /// it.
  @Test(arguments: 0..<5 as Range<UInt64>) func secretContentIsNotKeptInAnyOrder(_ seed: UInt64)
    throws
  {
    let secret = Data("BÍ MẬT NHÀ NƯỚC 7781".utf8)
    let contents = [
      pdf("BÍ MẬT NHÀ NƯỚC 7781 nhỏ"), pdf("BÍ MẬT NHÀ NƯỚC 7781 vừa", size: 300_000),
      pdf("BÍ MẬT NHÀ NƯỚC 7781 lớn", size: 2 * Self.piece),
    ]
    let marked = beta.message(
      body: try beta.document { json in
        json["secrecyMark"] = "Mật"
        json["attachments"] = contents.enumerated().map { index, content in
          beta.attachment(
            "\(index).pdf", size: content.count, sha256: OpenSSLHashing().sha256(content))
        }
      })
    var random = SeededRandom(seed: seed)
    var messages = contents.flatMap { beta.pieces($0) } + [marked]
    // In any order, one by one or in one batch; and then all of it comes again.
    if seed > 0 { messages.shuffle(using: &random) } else { messages.insert(marked, at: 0) }
    for _ in 0..<2 {
      if seed % 2 == 0 {
        try take(messages)
      } else {
        for message in messages { try take([message]) }
      }
    }
    try node.store.review.removeDiscarded(waits: true)
    #expect(try !node.holds(secret))
    #expect(try node.count("transfer") == 0)
    #expect(try node.count("blob") == 0)
    #expect(try node.verdicts() == ["quarantined DIEU5"])

    let again = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try take([
      again.message(
        body: try again.document { json in
          json["attachments"] = [
            again.attachment(
              "lai.pdf", size: contents[2].count, sha256: OpenSSLHashing().sha256(contents[2]))
          ]
        })
    ])
    try take(again.pieces(contents[2]))
    #expect(try node.verdicts() == ["quarantined DIEU5", "accepted"])
    #expect(
      try node.store.contents.content(
        OpenSSLHashing().sha256(contents[2]), offset: 0, count: 3 * Self.piece) == contents[2])
  }

  /// What an accepted document needs is kept, and so is what another unit is sending.
  @Test func aSecrecyMarkRemovesNothingOfOthers() throws {
    let gamma = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock)
    try take(beta.pieces(large) + [try document()])
    let coming = pdf("đang đến", size: 2 * Self.piece)
    try take([gamma.pieces(coming)[0]])
    let mark = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try take([
      mark.message(
        body: try mark.document { json in
          json["secrecyMark"] = "Mật"
          json["attachments"] = [large, coming].enumerated().map { index, content in
            mark.attachment(
              "\(index).pdf", size: content.count, sha256: OpenSSLHashing().sha256(content))
          }
        })
    ])
    #expect(try node.verdicts() == ["accepted", "quarantined DIEU5"])
    #expect(try node.store.contents.content(digest, offset: 0, count: large.count) == large)
    #expect(try node.count("transfer") == 1)
    try take([gamma.pieces(coming)[1]])
    #expect(try node.count("blob") == 2)
  }
}
