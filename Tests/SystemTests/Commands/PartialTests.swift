import Foundation
import Glibc
import Testing

/// Commands of which a part is done when another part fails: what is done is said, what failed too.
@Suite struct PartialTests {
  private static func quarantine(_ office: Office) async throws {
    try await office.node.sql(
      """
      INSERT INTO received (sender, messageID, bodySha256, type, hasBody, lane, size, state, outcome,
        receivedAt, updatedAt) VALUES
        ('CDCS-MAY', 'm1', zeroblob(32), 'congvan.status', 1, 'express', 1, 'quarantined', 'X', 1, 1),
        ('CDCS-MAY', 'm2', zeroblob(32), 'congvan.status', 1, 'express', 1, 'quarantined', 'X', 1, 1);
      INSERT INTO receivedBody (received, body) SELECT key, x'00' FROM received;
      """)
  }

  @Test(arguments: [("release", "is judged anew"), ("discard", "is put aside")])
  func messagesAfterOneThatFailsAreDecidedToo(_ command: String, words: String) async throws {
    let office = try await Office()
    try await Self.quarantine(office)
    let result = try await office.node.congvan(
      ["quarantine", command, "98", "1", "99", "2", "--reason", "x"])
    #expect(result.status == 1, "\(result)")
    #expect(result.output == "message 1 \(words)\nmessage 2 \(words)\n", "\(result)")
    for id in [98, 99] {
      #expect(
        result.errors.contains(try Regex("error\\[[A-Z-]+\\]: message \(id): [^\n]+\n  next: ")),
        "\(result)")
    }
    #expect(try await office.node.sql("SELECT count(*) FROM act") == "2")
    let all = try await office.node.congvan(["quarantine", command, "97", "--reason", "x"])
    #expect(all.failure != nil && all.errors.contains("message 97"), "\(all)")
  }

  @Test func countsAreWholeNumbers() async throws {
    let office = try await Office()
    try await office.node.sql("INSERT INTO dropped VALUES ('CDCS-MAY', 'BACKLOG', 5, 1, 2)")
    let output = try await office.node.require("quarantine", "counts", "--json")
    #expect(output.contains("\"count\": 5,"), "\(output)")
  }

  /// Two units of which the database refuses the tally to the first.
  private static func reconcilable() async throws -> Office {
    let office = try await Office()
    let sent = try await office.send(["--to": "CDCT-HUYEN;CDCS-MAY"])
    #expect(sent.status == 0, "\(sent)")
    try await office.node.sql(
      """
      UPDATE delivery SET state = 'published', publishedAt = 1;
      CREATE TRIGGER broken BEFORE INSERT ON tally WHEN new.unit = 'CDCS-MAY'
        BEGIN SELECT RAISE(ABORT, 'no room'); END;
      """)
    return office
  }

  @Test func unitsAfterOneThatFailsGetTheirTally() async throws {
    let office = try await Self.reconcilable()
    let result = try await office.node.congvan(["reconcile"])
    #expect(result.status != 0, "\(result)")
    #expect(result.output.contains("CDCT-HUYEN") && result.output.contains("CDCS-MAY"), "\(result)")
    #expect(result.errors.contains(/error\[[A-Z-]+\]: tally to “CDCS-MAY”: .*no room/), "\(result)")
    #expect(!result.errors.contains("CDCT-HUYEN"), "\(result)")
    #expect(try await office.node.sql("SELECT unit FROM tally") == "CDCT-HUYEN")
  }

  @Test func theTalliesAreSaidInJSONToo() async throws {
    let office = try await Self.reconcilable()
    let result = try await office.node.congvan(["reconcile", "--json"])
    #expect(result.status != 0, "\(result)")
    let units = try Shape.list(result.output)
    func unit(_ name: String) -> Shape.Members? { units.first { $0["unit"] as? String == name } }
    let (good, bad) = (try #require(unit("CDCT-HUYEN")), try #require(unit("CDCS-MAY")))
    #expect(good["queued"] as? Bool == true && good["error"] is NSNull && good["sent"] as? Int == 1)
    #expect(bad["queued"] as? Bool == false)
    let error = try #require(bad["error"] as? Shape.Members)
    #expect(Set(error.keys) == ["code", "detail", "next"])
    #expect((error["detail"] as? String)?.contains("no room") == true)
    let shown = try Shape.list(try await office.node.require("reconcile", "--show", "--json"))
    #expect(shown.allSatisfy { $0["queued"] as? Bool == false && $0["error"] is NSNull })
  }

  private static func damaged() async throws -> (Office, file: String) {
    let office = try await Office()
    let pdf = try office.write("%PDF-1.7\nmột", as: "mot.pdf")
    let sent = try await office.node.congvan(try office.sendArguments(files: [pdf]))
    #expect(sent.status == 0, "\(sent)")
    try await office.node.sql("UPDATE blob SET content = zeroblob(length(content))")
    return (office, pdf)
  }

  @Test func contentThatIsTakenInIsSaidBeforeAFileThatIsNotThere() async throws {
    let (office, pdf) = try await Self.damaged()
    let result = try await office.node.congvan(["check", "--full", "--repair", pdf, pdf + ".gone"])
    #expect(result.status == 1, "\(result)")
    #expect(result.output.contains(/^set aside  [0-9a-f]{64}  .*mot.pdf/), "\(result)")
    #expect(result.output.contains(/\ntaken in  [0-9a-f]{64}  .*mot.pdf/), "\(result)")
    #expect(result.errors.contains("error[ATTACHMENT-NOT-FOUND]: file “\(pdf).gone”"), "\(result)")
    #expect(try await office.node.congvan(["check", "--full"]).status == 0)
  }

  @Test func theCheckSaysItInJSONToo() async throws {
    let (office, pdf) = try await Self.damaged()
    let result = try await office.node.congvan(
      ["check", "--full", "--json", "--repair", pdf, pdf + ".gone"])
    #expect(result.status == 1, "\(result)")
    let report = try Shape.object(result.output)
    #expect(report.members("repaired").count == 1)
    #expect((report["setAside"] as? [String])?.count == 1)
    // Nothing is said of what was not looked at.
    for name in ["sound", "contents", "database", "findings"] { #expect(report[name] is NSNull) }
    let error = try #require(report["error"] as? Shape.Members)
    #expect(error["code"] as? String == "ATTACHMENT-NOT-FOUND")
    let whole = try Shape.object(try await office.node.require("check", "--full", "--json"))
    #expect(whole["sound"] as? Bool == true && whole["error"] is NSNull)
  }

  /// Nothing was done: nothing but the error is said.
  @Test func aFailureBeforeTheFirstStepStandsAlone() async throws {
    let office = try await Office()
    let gone = try await office.node.congvan(["check", "--repair", "\(office.folder)/gone.pdf"])
    #expect(gone.failure == "ATTACHMENT-NOT-FOUND", "\(gone)")
  }

  /// A resend commits step by step: the rows of the steps before a failure are written.
  @Test(arguments: [false, true]) func rowsBeforeAFailureAreWritten(_ isJSON: Bool) async throws {
    let office = try await Office()
    _ = try await office.send(["--to": "CDCS-MAY"])
    _ = try await office.node.sql(
      """
      WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
      INSERT INTO delivery (document, recipient, sequence, urgency, state, createdAt, updatedAt)
        SELECT 1, 'U-' || i, 1, 0, 'queued', 1, 1 FROM n;
      UPDATE delivery SET state = 'suspended', lastError = 'X';
      CREATE TRIGGER broken BEFORE UPDATE OF state ON delivery WHEN old.key = 1100
        BEGIN SELECT RAISE(ABORT, 'no room'); END;
      """)
    let result = try await office.node.congvan(
      ["resend", "--failed", "--reason", "x"] + (isJSON ? ["--json"] : []))
    #expect(result.status != 0 && result.errors.contains("no room"), "\(result.errors)")
    #expect(result.errors.contains("note: done before the failure: deliveries are queued again"))
    let done = try await office.node.sql("SELECT count(*) FROM delivery WHERE state = 'queued'")
    let rows =
      isJSON
      ? try Shape.list(result.output).count
      : result.output.split(separator: "\n").count - 1
    #expect(rows > 0 && "\(rows)" == done)
  }
}
