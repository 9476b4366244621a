import Foundation
import Testing

/// Which deliveries and notices a list or a resend takes; the states are put into the database.
@Suite struct FilterTests {
  private struct Sent {
    let office: Office
    var node: NodeFolder { office.node }

    init() async throws {
      office = try await Office()
      for unit in ["CDCS-MAY", "CDCT-HUYEN"] {
        let result = try await office.send(["--to": unit])
        guard result.status == 0 else { throw CommandFailed(description: "\(result)") }
      }
    }

    func ids(_ arguments: String...) async throws -> [String] {
      let result = try await node.congvan(["deliveries", "--json"] + arguments)
      return try Shape.list(result.output).compactMap { $0["to"] as? String }
    }

    func resend(_ arguments: String...) async throws -> [String: String] {
      let result = try await node.congvan(
        ["resend", "--dry-run", "--json", "--reason", "thử"] + arguments)
      let rows = try Shape.list(result.output)
      return Dictionary(
        uniqueKeysWithValues: rows.map { row in
          (row["to"] as? String ?? "?", row["refusal"] as? String ?? "would be queued")
        })
    }

    /// Time in the database: microseconds.
    static func ago(hours: Int) -> String { "(unixepoch() - \(hours) * 3600) * 1000000" }
  }

  @Test func anAliasAGroupAndAUnitOfThePastAreFound() async throws {
    let sent = try await Sent()
    #expect(try await sent.ids("--to", "MAY") == ["CDCS-MAY"])
    #expect(try await sent.ids("--to", "CDCS-MAY") == ["CDCS-MAY"])
    #expect(try await sent.ids("--to", "@cap-duoi") == ["CDCS-MAY", "CDCT-HUYEN"])
    #expect(try await sent.resend("--to", "MAY").keys.sorted() == ["CDCS-MAY"])
    // The unit is renamed: what went to the old identifier is found under both.
    let path = "\(sent.node.path)/directory.json"
    let text = Command.text(path)
    let renamed = text.replacing("\"CDCS-MAY\"", with: "\"CDCS-MOI\"")
      .replacing("\"MAY\"", with: "\"CDCS-MAY\"")
    try Data(renamed.utf8).write(to: URL(filePath: path))
    for name in ["CDCS-MAY", "CDCS-MOI"] {
      #expect(try await sent.ids("--to", name) == ["CDCS-MAY"])
    }
    // It is struck from the directory, or there is no directory at all.
    try Data(text.replacing("CDCS-MAY", with: "CDCS-KHAC").utf8).write(to: URL(filePath: path))
    #expect(try await sent.ids("--to", "CDCS-MAY") == ["CDCS-MAY"])
    try FileManager.default.removeItem(atPath: path)
    #expect(try await sent.ids("--to", "CDCS-MAY") == ["CDCS-MAY"])
    #expect(try await sent.node.congvan(["deliveries", "--to", "MAY"]).status == 1)
  }

  @Test func resendTakesWhatIsAskedForAndSaysWhatIsInFlight() async throws {
    let sent = try await Sent()
    let document = try await sent.node.sql(
      """
      UPDATE delivery SET state = 'suspended', lastError = 'X', updatedAt = \(Sent.ago(hours: 48))
        WHERE recipient = 'CDCS-MAY';
      SELECT document.id FROM document JOIN delivery ON delivery.document = document.key
        WHERE recipient = 'CDCS-MAY'
      """)
    let waits = "it is already waiting to be sent"
    let would = "would be queued"
    #expect(try await sent.resend("--failed") == ["CDCS-MAY": would])
    #expect(try await sent.resend("--to", "CDCT-HUYEN") == ["CDCT-HUYEN": waits])
    #expect(
      try await sent.resend("--to", "@cap-duoi") == ["CDCS-MAY": would, "CDCT-HUYEN": waits])
    #expect(try await sent.resend("--failed", "--to", "CDCT-HUYEN") == [:])
    #expect(try await sent.resend("--document", document) == ["CDCS-MAY": would])
    #expect(try await sent.resend(document) == ["CDCS-MAY": would])
    #expect(try await sent.resend("\(document)/CDCS-MAY") == ["CDCS-MAY": would])
    #expect(try await sent.resend("--until", "24h") == ["CDCS-MAY": would])
    #expect(try await sent.resend("--since", "24h") == ["CDCT-HUYEN": waits])
    #expect(try await sent.resend("--since", "3d", "--until", "47h") == ["CDCS-MAY": would])
    #expect(try await sent.resend("--since", "47h", "--until", "24h") == [:])
    // A date means the whole day, in Vietnam.
    let day = try await sent.node.sql("SELECT date('now', '-48 hours', '+7 hours')")
    #expect(try await sent.resend("--since", day, "--until", day) == ["CDCS-MAY": would])
    // Nothing of that changed anything.
    #expect(try await sent.node.sql("SELECT count(*) FROM history WHERE cause = 'resent'") == "0")
    try await sent.node.require("resend", "--until", "24h", "--reason", "đã sửa")
    #expect(try await sent.ids("--state", "queued") == ["CDCS-MAY", "CDCT-HUYEN"])
  }

  @Test func whatWaitsTooLongForItsReceiptIsMarked() async throws {
    let sent = try await Sent()
    _ = try await sent.node.sql(
      """
      UPDATE delivery SET state = 'published', publishedAt = \(Sent.ago(hours: 71));
      UPDATE delivery SET publishedAt = \(Sent.ago(hours: 73)) WHERE recipient = 'CDCS-MAY';
      UPDATE delivery SET expiresAt = \(Sent.ago(hours: -23)) WHERE recipient = 'CDCT-HUYEN';
      """)
    #expect(try await sent.ids("--overdue") == ["CDCS-MAY"])
    #expect(try await sent.ids("--expiring") == ["CDCT-HUYEN"])
    #expect(try await sent.ids("--failed") == [])
    let rows = try Shape.list(try await sent.node.require("deliveries", "--json"))
    #expect(rows.map { $0["overdue"] as? Bool } == [true, false])
    #expect(rows.map { $0["expiring"] as? Bool } == [false, true])
    #expect(rows.map { $0["state"] as? String } == ["published", "published"])
    let table = try await sent.node.require("deliveries")
    #expect(table.contains("published (quá hạn biên nhận)"))
    #expect(table.contains("published (sắp hết hạn)"))
    #expect(try await sent.node.require("outbox").contains("published (quá hạn biên nhận) 1"))
    let outbox = try Shape.list(try await sent.node.require("outbox", "--json"))
    #expect(
      outbox.flatMap { $0.members("deliveries") }.count { $0["overdue"] as? Bool == true } == 1)
    let id = try #require(rows[0]["document"] as? String)
    #expect(try await sent.node.require("show", id).contains("published (quá hạn biên nhận)"))
    // By configuration.
    let patient = [
      "CONGVAN_RECEIPT_OVERDUE_HOURS": "74", "CONGVAN_RECEIPT_EXPIRY_WARNING_HOURS": "22",
    ]
    for option in ["--overdue", "--expiring"] {
      let result = try await sent.node.congvan(
        ["deliveries", option, "--json"], environment: patient)
      #expect(try Shape.list(result.output).isEmpty)
    }
  }

  @Test func noticesAndGroupsOfReconciliation() async throws {
    let sent = try await Sent()
    #expect(try await sent.node.require("notices", "--json") == "[\n\n]\n")
    _ = try await sent.node.sql("UPDATE delivery SET state = 'published', publishedAt = 1")
    func units(_ arguments: String...) async throws -> [String] {
      try Shape.list(try await sent.node.congvan(["reconcile", "--json"] + arguments).output)
        .compactMap { $0["unit"] as? String }
    }
    #expect(try await units("@cap-duoi", "--show") == ["CDCT-HUYEN", "CDCS-MAY"])
    #expect(try await units("@co-so", "--show") == ["CDCS-MAY"])
    #expect(try await units("MAY", "--show") == ["CDCS-MAY"])
    #expect(try await units("--show").sorted() == ["CDCS-MAY", "CDCT-HUYEN"])
    #expect(try await units("@cap-duoi") == ["CDCT-HUYEN", "CDCS-MAY"])

    let tallies = try Shape.list(try await sent.node.require("notices", "--json"))
    #expect(tallies.map { $0["to"] as? String } == ["CDCT-HUYEN", "CDCS-MAY"])
    for notice in tallies {
      #expect(
        Set(notice.keys).isSuperset(of: [
          "id", "type", "code", "to", "about", "state", "attempts", "lastError", "lastErrorText",
          "nextAt", "updatedAt",
        ]))
      #expect(
        notice["type"] as? String == "congvan.tally" && notice["state"] as? String == "queued")
      #expect(notice.nulls == ["code", "about", "lastError", "lastErrorText", "nextAt"])
    }
    #expect(try await sent.node.require("notices", "--failed", "--json") == "[\n\n]\n")
    let document = try await sent.node.sql("SELECT id FROM document WHERE key = 1")
    try await sent.node.require("recall", document, "--reason", "sai số liệu")
    _ = try await sent.node.sql(
      """
      UPDATE notice SET state = 'suspended', attempts = 3, lastError = 'BROKER-NO-QUEUE',
        lastErrorText = 'NO_ROUTE' WHERE type = 'congvan.status'
      """)
    let refused = try Shape.list(try await sent.node.require("notices", "--failed", "--json"))
    #expect(refused.map { $0["code"] as? String } == ["13"])
    #expect(refused[0]["about"] as? String == document && refused[0]["attempts"] as? Int == 3)
    let table = try await sent.node.require("notices")
    #expect(table.hasPrefix("LOẠI"))
    #expect(table.contains("13 lấy lại") && table.contains("BROKER-NO-QUEUE NO_ROUTE"))
    #expect(table.contains("đối soát"))
  }
}
