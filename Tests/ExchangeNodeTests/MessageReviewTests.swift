import DocumentSigning
import ExchangeCore
import ExchangeNode
import Logging
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeTestKit
import Testing

/// One hostile message per outcome code. Each is stored, judged, answered where the document can be
/// named, and never believed.
@Suite struct MessageReviewTests {
  typealias Make = @Sendable (Hostile) throws -> [InboundMessage]

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let code: OutcomeCode
    /// A refusal goes out.
    let isAnswered: Bool
    let make: Make

    init(_ name: String, _ code: OutcomeCode, isAnswered: Bool = true, _ make: @escaping Make) {
      (self.name, self.code, self.isAnswered, self.make) = (name, code, isAnswered, make)
    }

    /// A valid document but for `change`.
    static func changed(
      _ name: String, _ code: OutcomeCode,
      _ change: @escaping @Sendable (Hostile, inout [String: Any]) -> Void
    ) -> Case {
      Case(name, code) { hostile in
        hostile.pieces()
          + [hostile.message(body: try hostile.document { change(hostile, &$0) })]
      }
    }

    /// A valid document, `old` in its JSON text replaced before it is signed.
    static func replaced(_ name: String, _ code: OutcomeCode, _ old: String, _ new: String) -> Case
    {
      Case(name, code) { hostile in
        var text = try JSONSerialization.data(
          withJSONObject: hostile.manifest(), options: [.sortedKeys])
        guard let place = text.firstRange(of: Data(old.utf8)) else { return [] }
        text.replaceSubrange(place, with: Data(new.utf8))
        return hostile.pieces() + [hostile.message(body: try hostile.sign(text))]
      }
    }

    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case("no CMS", OutcomeCode(.notSigned), isAnswered: false) {
      [$0.message(body: Data("xin chào".utf8))]
    },
    Case("empty body", OutcomeCode(.notSigned), isAnswered: false) { [$0.message(body: Data())] },
    Case("CMS of something else", .malformed) {
      [$0.message(body: try $0.sign(Data("a letter, not a manifest".utf8)))]
    },
    Case("a status as a document", .malformed) { hostile in
      let status = try hostile.status("01", about: hostile.documentID, digest: hostile.digest)
      return [hostile.message(body: status.body)]
    },
    Case("signed by another unit", OutcomeCode(.notThisUnit)) {
      [$0.message(body: try $0.document(signedBy: Province.gamma))]
    },
    Case("signed by nobody in the directory", OutcomeCode(.unknownSigner)) {
      [$0.message(body: try $0.document(signedBy: Province.delta))]
    },
    Case("altered content", OutcomeCode(.altered)) { hostile in
      var body = try hostile.document()
      guard let place = body.firstRange(of: Data("CV-CĐCS".utf8)) else { return [] }
      body[place.lowerBound] = UInt8(ascii: "X")
      return [hostile.message(body: body)]
    },
    Case("something behind the CMS", OutcomeCode(.badProfile), isAnswered: false) {
      [$0.message(body: try $0.document() + Data("thêm".utf8))]
    },
    Case("signed in the future", OutcomeCode(.signedInFuture)) { hostile in
      hostile.clock.advance(by: .seconds(86_401))
      let body = try hostile.document()
      hostile.clock.advance(by: .seconds(-86_401))
      return [hostile.message(body: body)]
    },
    Case("sender outside the directory", .unknownSender, isAnswered: false) {
      [$0.message(sender: Province.delta.organId, body: try $0.document())]
    },
    Case("broker does not vouch", .senderMismatch, isAnswered: false) {
      [$0.message(sender: .some(nil), body: try $0.document())]
    },
    Case("unknown type", .messageKind, isAnswered: false) {
      [$0.message(type: "congvan.telegram", body: try $0.document())]
    },
    Case("version in the header", .version) {
      [$0.message(version: 2, body: try $0.document())]
    },
    Case("no version in the header", .version) {
      [$0.message(version: nil, body: try $0.document())]
    },
    .changed("version in the manifest", .version) { $1["version"] = 2 },
    .changed("another unit in from", .senderMismatch) {
      $1["from"] = ["organId": Province.gamma.organId.rawValue]
    },
    .changed("not addressed", .notAddressed) {
      $1["to"] = [["organId": Province.gamma.organId.rawValue]]
    },
    .changed("message-id of another document", .rule) {
      $1["documentId"] = RecordID(at: $0.clock.now).rawValue
    },
    .changed("member missing", .malformed) { $1["subject"] = nil },
    .changed("wrong type", .malformed) { $1["priority"] = "khẩn" },
    .changed("subject too long", .rule) { $1["subject"] = String(repeating: "đ", count: 501) },
    .changed("10 GB", .tooLarge) {
      $1["attachments"] = [$0.attachment("a.pdf", size: 10_000_000_000)]
    },
    .changed("more than this unit takes", .tooLarge) {
      $1["attachments"] = [$0.attachment("a.pdf", size: 1_073_741_825)]
    },
    .changed("101 attachments", .tooLarge) { hostile, json in
      json["attachments"] = (0..<101).map { hostile.attachment("\($0).pdf", size: 10) }
    },
    .changed("a path as a file name", .rule) {
      $1["attachments"] = [$0.attachment("../../.ssh/authorized_keys", size: $0.content.count)]
    },
    .changed("extension contradicts content", .attachmentFormat) {
      $1["attachments"] = [$0.attachment("anh.png", size: $0.content.count)]
    },
    .changed("an executable", .attachmentFormat) {
      $1["attachments"] = [$0.attachment("setup.exe", size: $0.content.count)]
    },
    .changed("smaller than its content", .rule) {
      $1["attachments"] = [$0.attachment("bao-cao.pdf", size: 1)]
    },
    .changed("larger than its content", .rule) {
      $1["attachments"] = [$0.attachment("bao-cao.pdf", size: $0.content.count + 1)]
    },
    .changed("a million digits", .rule) {
      $1["codeNumber"] = String(repeating: "9", count: 500_000) + "-"
    },
    .changed("secrecy", .dieu5) { $1["secrecyMark"] = "Mật" },
    .changed("secrecy as a list", .dieu5) { $1["secrecyMark"] = ["Mật"] },
    .changed("secrecy as a number", .dieu5) { $1["secrecyMark"] = 1 },
    .changed("secrecy as null", .dieu5) { $1["secrecyMark"] = NSNull() },
    .changed("no secrecy in form NFD", .dieu5) {
      $1["secrecyMark"] = "Thường".decomposedStringWithCanonicalMapping
    },
    .replaced(
      "secrecy in what is no JSON", .dieu5, #""version":1"#, #""version":1,"secrecyMark":"Mật",,"#),
    .replaced("a trailing comma", .malformed, #""version":1"#, #""version":1,"x":[1,]"#),
    .replaced("a number with a leading zero", .malformed, #""version":1"#, #""version":1,"x":01"#),
    .replaced("a raw line feed", .malformed, #""version":1"#, "\"version\":1,\"x\":\"a\nb\""),
    .replaced("half a surrogate pair", .malformed, #""version":1"#, #""version":1,"x":"\udc00""#),
    .replaced("version 1.0", .malformed, #""version":1"#, #""version":1.0"#),
    .replaced("priority 0.0", .malformed, #""priority":0"#, #""priority":0.0"#),
    .replaced(
      "an unknown member in NFD", .rule, #""version":1"#, "\"version\":1,\"x\":\"e\u{301}\""),
    .changed("replaces itself", .rule) {
      $1["replaces"] = [["documentId": $0.documentID.rawValue]]
    },
    Case("BER instead of DER", OutcomeCode(.badProfile)) { hostile in
      var body = try hostile.document()
      // The outermost length without end, and the mark of the end.
      let digits = body[body.startIndex + 1] & 0x7F
      body.replaceSubrange(1...Int(1 + digits), with: [0x80])
      return [hostile.message(body: body + [0, 0])]
    },
    Case("secrecy the second time", .dieu5) { hostile in
      var text = try JSONSerialization.data(withJSONObject: hostile.manifest())
      text.replaceSubrange(
        text.startIndex...text.startIndex,
        with: Data(#"{"secrecyMark":"Thường","secrecyMark":"Mật","#.utf8))
      return [hostile.message(body: try hostile.sign(text))]
    },
    Case("secrecy under another unit's signature", .dieu5) { hostile in
      [
        hostile.message(
          body: try hostile.document(signedBy: Province.gamma) { $0["secrecyMark"] = "Mật" })
      ]
    },
    Case("altered attachment", .attachmentAltered) { hostile in
      hostile.pieces(pdf("khác"), digest: hostile.digest)
        + [hostile.message(body: try hostile.document())]
    },
    Case("body over the limit", .tooLarge, isAnswered: false) { hostile in
      [
        InboundMessage(
          assertedSender: hostile.from.organId, lane: .ordinary, redelivered: false,
          envelope: Envelope(
            type: MessageKind.document.rawValue, messageID: hostile.documentID.rawValue),
          body: nil, bodySize: 5_000_000)
      ]
    },
    Case("piece with a wrong length", .pieceMalformed, isAnswered: false) { hostile in
      [
        InboundMessage(
          assertedSender: hostile.from.organId, lane: .ordinary, redelivered: false,
          envelope: Envelope(
            type: MessageKind.piece.rawValue, messageID: "\(hostile.digest)/0",
            piece: PieceAddress(sha256: hostile.digest, offset: 0, size: 17)),
          body: Data(count: 18), bodySize: 18)
      ]
    },
    Case("piece without headers", .pieceMalformed, isAnswered: false) {
      [$0.message(.piece, id: "\($0.digest)/0", body: Data(count: 18))]
    },
    Case("piece of a unit outside the directory", .unknownSender, isAnswered: false) {
      [$0.message(.piece, sender: Province.delta.organId, body: Data(count: 18))]
    },
    Case("piece of a larger file than this unit takes", .tooLarge, isAnswered: false) { hostile in
      let piece = Int(WireLimits.pieceBytes)
      return [
        InboundMessage(
          assertedSender: hostile.from.organId, lane: .ordinary, redelivered: false,
          envelope: Envelope(
            type: MessageKind.piece.rawValue, messageID: "\(hostile.digest)/0",
            piece: PieceAddress(sha256: hostile.digest, offset: 0, size: 4 << 30)),
          body: Data(count: piece), bodySize: UInt64(piece))
      ]
    },
    Case("status about nothing", .statusUnmatched, isAnswered: false) { hostile in
      let status = try hostile.status(
        "01", about: RecordID(at: hostile.clock.now), digest: hostile.digest)
      return [hostile.message(.status, id: status.id.rawValue, body: status.body)]
    },
    Case("status in another unit's name", .senderMismatch, isAnswered: false) { hostile in
      let status = try Hostile(from: Province.gamma, to: hostile.to, clock: hostile.clock)
        .status("01", about: hostile.documentID, digest: hostile.digest)
      return [
        hostile.message(.status, id: status.id.rawValue, body: try hostile.resign(status.body))
      ]
    },
    Case("status under an alias", .senderMismatch, isAnswered: false) { hostile in
      let alias = Organ(organId: Province.betaOld)
      let status = try Hostile(
        from: alias, to: hostile.to, clock: hostile.clock, signer: hostile.from
      )
      .status("01", about: hostile.documentID, digest: hostile.digest)
      return [hostile.message(.status, id: status.id.rawValue, body: status.body)]
    },
    Case("nothing can be read", .messageKind, isAnswered: false) { _ in
      [.unreadable(.ordinary, redelivered: true)]
    },
    Case("status without a signature", OutcomeCode(.notSigned), isAnswered: false) {
      [$0.message(.status, body: Data("{}".utf8))]
    },
    Case("status that is no status", .malformed, isAnswered: false) {
      [$0.message(.status, body: try $0.document())]
    },
    Case("status of a newer version", .version, isAnswered: false) { hostile in
      let status = try hostile.status("01", about: hostile.documentID, digest: hostile.digest)
      return [hostile.message(.status, id: status.id.rawValue, version: 2, body: status.body)]
    },
  ]

  @Test(arguments: cases)
  func hostileMessageIsQuarantined(_ test: Case) throws {
    let node = try TestNode(Province.alpha)
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    let messages = try test.make(hostile)
    try #require(!messages.isEmpty)
    try node.intake.store(messages)
    try node.settle()
    #expect(try node.verdicts() == ["quarantined \(test.code)"])
    #expect(try node.answers() == (test.isAnswered ? ["02 \(test.code)"] : []))
    #expect(try node.count("document") == 0)
    let quarantined = try node.store.reader.quarantined(limit: 10)
    #expect(quarantined.map(\.outcome) == [test.code.rawValue])
    #expect(quarantined.allSatisfy { ($0.detail ?? "").utf8.count <= 1000 })

    // The refusal went once; the same message again brings the same stored bytes again, but not before
    // an hour has passed.
    let broker = FakeBroker()
    try broker.publish(from: node.relay, as: node.id)
    for _ in 0..<3 {
      try node.intake.store(messages)
      try node.settle()
      #expect(try node.answers() == (test.isAnswered ? ["02 \(test.code)"] : []))
      #expect(try broker.publish(from: node.relay, as: node.id) == 0)
    }
    node.clock.advance(by: .seconds(3601))
    try broker.publish(from: node.relay, as: node.id)
    let sent = broker.published.map(\.message.body)
    #expect(sent.count == (test.isAnswered ? 2 : 0))
    #expect(Set(sent).count == (test.isAnswered ? 1 : 0))
    // What cannot be read has no identity: each counts as one of its own.
    let count = messages.allSatisfy(\.isReadable) ? 1 : 4
    #expect(
      try node.verdicts() == Array(repeating: "quarantined \(test.code)", count: count))
  }

  /// Every code that the exchange itself gives is in the table above or in a test named here.
  @Test func everyOutcomeCodeIsReached() {
    let elsewhere: [OutcomeCode] = [
      .conflict,  // DuplicateTests
      .refusedByPerson,  // OfficeTests
      .statusInFuture,  // StatusTests
    ]
    // Those of certificates are reached in DocumentSigningTests.
    let ofCertificates: [OutcomeCode] = [
      SignatureProblem.notYetValid, .expired, .revoked, .untrustedChain,
    ].map(OutcomeCode.init)
    let reached = Self.cases.map(\.code) + elsewhere + ofCertificates
    #expect(Set(reached) == Set(OutcomeCode.all))
  }

  /// This machine's clock is an hour slow: nothing is refused, and everything is judged when the
  /// clock has come there, or at once when it is set right.
  @Test(arguments: [3000, 3600]) func whatWasSignedAheadWaitsForTheClock(_ seconds: Int) throws {
    let node = try TestNode(Province.alpha)
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    node.clock.advance(by: .seconds(3600))
    let messages = try hostile.pieces() + [hostile.message(body: hostile.document())]
    node.clock.advance(by: .seconds(-3600))
    try node.intake.store(messages)
    try node.settle()
    #expect(try node.verdicts() == ["received"])
    #expect(try node.answers() == [])
    #expect(try node.store.reader.openWork(now: node.clock.now).unjudged == 0)
    // Ten minutes before the signing time it counts as near enough.
    node.clock.advance(by: .seconds(2999))
    try node.settle()
    #expect(try node.verdicts() == ["received"])
    node.clock.advance(by: .seconds(seconds - 2999))
    try node.settle()
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["01"])
    #expect(try node.store.reader.openWork(now: node.clock.now).unjudged == 0)
  }

  /// Further ahead than a wrong clock explains it is quarantined; a person who has set this machine's
  /// clock right releases it.
  @Test func aReleaseCountsAsArrivedNow() throws {
    let node = try TestNode(Province.alpha)
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    node.clock.advance(by: .seconds(3 * 86_400))
    let messages = try hostile.pieces() + [hostile.message(body: hostile.document())]
    node.clock.advance(by: .seconds(-3 * 86_400))
    try node.intake.store(messages)
    try node.settle()
    #expect(try node.verdicts() == ["quarantined SIGNATURE-TIME-IN-FUTURE"])
    let key = try #require(try node.store.reader.quarantined(limit: 1).first).key
    func release() throws {
      try node.store.joining.release(
        quarantined: key, reason: "đã chỉnh đồng hồ", at: node.clock.now, by: Actor("quản trị"))
      try node.settle()
    }
    try release()
    #expect(try node.verdicts() == ["quarantined SIGNATURE-TIME-IN-FUTURE"])
    node.clock.advance(by: .seconds(3 * 86_400))
    try release()
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["02 SIGNATURE-TIME-IN-FUTURE", "01"])
  }

  /// A secrecy mark is not kept while the clock is waited for.
  @Test func aSecrecyMarkDoesNotWait() throws {
    let node = try TestNode(Province.alpha)
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    node.clock.advance(by: .seconds(3600))
    let body = try hostile.document { $0["secrecyMark"] = "Mật" }
    node.clock.advance(by: .seconds(-3600))
    try node.intake.store([hostile.message(body: body)])
    try node.settle()
    #expect(try node.verdicts() == ["quarantined DIEU5"])
  }

  /// A message that cannot be judged stays as it is, does not keep the others from being judged, and
  /// does not keep the review busy.
  @Test func oneBadMessageStopsNobody() throws {
    let node = try TestNode(Province.alpha)
    let bad = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock, mark: "một")
    let good = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock, mark: "hai")
    try node.intake.store(bad.pieces() + [bad.message(body: try bad.document())])
    try node.intake.store(good.pieces() + [good.message(body: try good.document())])
    let review = node.review(
      signer: FailingSigner(real: node.context.signer, unable: bad.documentID))
    #expect(try review.step(ripe: true) == 1)
    #expect(try review.step(ripe: true) == 0)
    #expect(try node.verdicts() == ["received", "accepted"])
    try node.settle()
    #expect(try node.verdicts() == ["accepted", "accepted"])
    #expect(try node.answers() == ["01", "01"])
  }

  /// When nothing can be signed, what needs no signature is judged all the same, whatever is in front.
  @Test func statusesAreJudgedWhenNothingCanBeSigned() throws {
    let node = try TestNode(Province.alpha)
    let beta = try TestNode(Province.beta, clock: node.clock)
    let broker = FakeBroker()
    try node.send(to: [Province.beta])
    while try broker.publish(from: node.relay, as: node.id) > 0 {}
    _ = try broker.deliver(.init(beta.id, .ordinary), into: beta.intake)
    try beta.settle()
    for number in 0..<40 {
      let one = Hostile(
        from: Province.gamma, to: Province.alpha, clock: node.clock, mark: "\(number)")
      try node.intake.store(one.pieces() + [one.message(lane: .express, body: try one.document())])
    }
    while try broker.publish(from: beta.relay, as: beta.id) > 0 {}
    _ = try broker.deliver(.init(node.id, .express), into: node.intake)
    let review = node.review(signer: FailingSigner(real: node.context.signer))
    for _ in 0..<3 { _ = try review.step(ripe: true) }
    #expect(try node.deliveries().map(\.state) == [.delivered])
    // They are looked at again a minute later, or at once by a new process.
    node.clock.advance(by: .seconds(61))
    #expect(try node.count("received", "state = 'received'") == 40)
    try node.settle()
    #expect(try node.verdicts().filter { $0 == "accepted" }.count == 41)
  }

  /// The attachments have come, and the receipt could not be signed: no content comes any more, and it
  /// is looked at again all the same.
  @Test func aWholeDocumentThatCouldNotBeSignedForIsLookedAtAgain() throws {
    let node = try TestNode(Province.alpha)
    let beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try node.intake.store([beta.message(body: try beta.document())])
    try node.settle()
    #expect(try node.verdicts() == ["incomplete"])
    let isAble = Watched(false)
    let review = node.review(signer: FailingSigner(real: node.context.signer, isAble: isAble))
    try node.intake.store(beta.pieces())
    #expect(try review.step(ripe: true) == 0)
    isAble.update { $0 = true }
    #expect(try review.step(ripe: false) == 0)
    node.clock.advance(by: .seconds(60))
    #expect(try review.step(ripe: false) == 1)
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["01"])
  }

  /// A unit may have only so much here that waits for the clock.
  @Test func whatWaitsForTheClockIsBounded() throws {
    let one = Hostile(
      from: Province.beta, to: Province.alpha, clock: ManualClock(), mark: "một")
    one.clock.advance(by: .seconds(3600))
    let body = try one.document()
    var limits = IntakeLimits()
    limits.quota.postponedBytes = (Int64(body.count) + 1024) * 5 / 2
    let node = try TestNode(Province.alpha, limits: limits)
    for number in 0..<3 {
      let next = Hostile(
        from: Province.beta, to: Province.alpha, clock: one.clock, mark: "\(number)")
      try node.intake.store([next.message(body: try next.document())])
      try node.settle()
    }
    #expect(
      try node.verdicts() == ["received", "received", "quarantined SIGNATURE-TIME-IN-FUTURE"])
  }

  /// Two ways to come with the wrong headers; the same bytes with the right ones are good.
  @Test(arguments: [true, false]) func rightHeadersRepairWrongOnes(_ isVersion: Bool) throws {
    let node = try TestNode(Province.alpha)
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    let body = try hostile.document()
    try node.intake.store(
      hostile.pieces() + [
        isVersion
          ? hostile.message(version: nil, body: body)
          : hostile.message(type: "congvan.documents", body: body)
      ])
    try node.settle()
    #expect(try node.verdicts()[0].hasPrefix("quarantined"))
    try node.intake.store([hostile.message(body: body)])
    try node.settle()
    #expect(try node.verdicts() == ["accepted"])
  }

  /// More documents than one batch that look as if they could go on, and cannot: one attachment came
  /// altered and then whole, the other is missing.
  @Test func documentsThatCannotGoOnKeepNoOtherBack() throws {
    let node = try TestNode(Province.alpha)
    let first = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try node.intake.store(first.pieces(pdf("khác"), digest: first.digest) + first.pieces())
    for number in 0..<40 {
      let next = Hostile(
        from: Province.beta, to: Province.alpha, clock: node.clock, mark: "\(number)")
      let body = try next.document { json in
        json["attachments"] = [
          next.attachment("co.pdf", size: first.content.count, sha256: first.digest),
          next.attachment("thieu.pdf", size: next.content.count),
        ]
      }
      try node.intake.store([next.message(body: body)])
    }
    try node.settle()
    let honest = Hostile(from: Province.gamma, to: Province.alpha, clock: node.clock, mark: "sau")
    try node.intake.store([honest.message(body: try honest.document())])
    try node.settle()
    try node.intake.store(honest.pieces())
    try node.settle()
    let verdicts = try node.verdicts()
    #expect(verdicts.filter { $0 == "incomplete" }.count == 40)
    #expect(verdicts.last == "accepted")
  }

  @Test func theUntouchedExampleIsAccepted() throws {
    let node = try TestNode(Province.alpha)
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
    try node.intake.store(hostile.pieces() + [hostile.message(body: hostile.document())])
    try node.settle()
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.answers() == ["01"])
  }
}
