import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import GRDB
import NodeDatabase
import NodeTestKit
import Testing

/// What a newer version of the program makes of what an older one stored.
@Suite struct UpdateTests {
  let node: TestNode
  let beta: Hostile

  init() throws {
    node = try TestNode(Province.alpha)
    beta = Hostile(from: Province.beta, to: Province.alpha, clock: node.clock)
  }

  /// The review of a program that was just started.
  private func restarted() -> MessageReview {
    MessageReview(context: node.context, limits: IntakeLimits(), log: .silent)
  }

  private func behind(_ sql: String) throws {
    try DatabaseQueue(path: node.folder.path(DatabaseFile.name)).write { try $0.execute(sql: sql) }
  }

  @Test func whatCouldNotBeReadIsJudgedAnewAfterAnUpdate() throws {
    try node.intake.store(
      beta.pieces() + [beta.message(version: 2, body: try beta.document())])
    try node.settle()
    #expect(try node.verdicts() == ["quarantined VERSION-UNKNOWN"])
    #expect(try restarted().step(ripe: true) == 0, "the same program reads no more than before")
    #expect(try node.verdicts() == ["quarantined VERSION-UNKNOWN"])

    // The older program read less: what it did not know is version 1 to this one.
    try behind(
      "UPDATE received SET version = 1; UPDATE node SET value = 'less' WHERE key = 'readable'")
    #expect(try restarted().step(ripe: true) == 1)
    #expect(try node.verdicts() == ["accepted"])
    #expect(try node.texts("SELECT cause FROM history").contains("program updated"))
  }

  /// Documents that were stored before their details had columns get them from their CMS.
  @Test func detailsAreReadFromOldManifests() throws {
    let body = try beta.document { json in
      json["dueDate"] = "2026-12-31"
      json["toPlaces"] = ["Ban Thường vụ", "Lưu VT"]
      json["pageAmount"] = 7
    }
    try node.intake.store(beta.pieces() + [beta.message(body: body)])
    try node.settle()
    let details = """
      SELECT dueDate || ' ' || pageAmount || ' ' || toPlaces FROM acceptedDocument
      """
    let expected = [#"2026-12-31 7 ["Ban Thường vụ","Lưu VT"]"#]
    #expect(try node.texts(details) == expected)

    try behind(
      "UPDATE document SET isDetailed = 0, dueDate = NULL, pageAmount = NULL, toPlaces = NULL")
    #expect(try node.texts(details) == ["NULL"])
    let review = restarted()
    while try review.step(ripe: true) > 0 {}
    #expect(try node.texts(details) == expected)
    #expect(try node.count("document", "isDetailed = 0") == 0)
    #expect(try node.texts("SELECT name FROM documentFile WHERE isHere").count == 1)
  }
}
