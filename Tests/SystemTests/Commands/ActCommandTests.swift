import Foundation
import Testing

/// Who did it, as the commands record and show it.
@Suite struct ActCommandTests {
  private func acts(_ node: NodeFolder, _ document: String) async throws -> [Shape.Members] {
    let shown = try await node.congvan(["show", document, "--json"])
    return try Shape.object(shown.output).members("acts")
  }

  @Test func everyCommandSaysWhoDidIt() async throws {
    let office = try await Office()
    let node = office.node
    let user = try await Command.require("/usr/bin/id", ["-un"])
      .trimmingCharacters(in: .whitespacesAndNewlines)
    let pdf = try office.write("%PDF-1.7\nmột", as: "mot.pdf")
    let sent = try await node.congvan(
      node.sendArguments([pdf], to: ["CDCS-MAY"]), environment: ["SUDO_USER": "an"])
    let document = sent.output.trimmingCharacters(in: .whitespacesAndNewlines)
    let first = try #require(try await acts(node, document).first)
    #expect(first["verb"] as? String == "issue")
    #expect(first["by"] as? String == "\(user) (sudo: an)")
    #expect(first["osUser"] as? String == user && first["sudoUser"] as? String == "an")
    #expect(first["from"] as? String == "cli" && first["capacity"] as? String == "operator")

    // The node is given something to act on behind its back.
    try await node.sql(
      """
      UPDATE delivery SET state = 'suspended', lastError = 'X';
      INSERT INTO received (sender, messageID, bodySha256, type, hasBody, lane, size, state, outcome,
        receivedAt, updatedAt) VALUES
        ('CDCS-MAY', 'm1', zeroblob(32), 'congvan.status', 1, 'express', 1, 'quarantined', 'X', 1, 1),
        ('CDCS-MAY', 'm2', zeroblob(32), 'congvan.status', 1, 'express', 1, 'quarantined', 'X', 1, 1);
      INSERT INTO receivedBody (received, body) SELECT key, x'00' FROM received;
      """)
    try await node.require("resend", document, "--reason", "đã gọi điện")
    try await node.sql("UPDATE delivery SET state = 'published', publishedAt = 1")
    try await node.require("reconcile", "CDCS-MAY")
    try await node.require("quarantine", "release", "1", "--reason", "xem lại")
    try await node.require("quarantine", "discard", "2", "--reason", "rác")
    // A name that no user has is not written down.
    let back = try await node.congvan(
      ["recall", document, "--reason", "sai số liệu"], environment: ["SUDO_USER": "a\u{1B}[31mn"])
    #expect(back.status == 0)
    try await node.sql("UPDATE blob SET content = zeroblob(length(content))")
    try await node.require("check", "--repair", pdf)
    #expect(
      try await node.sql("SELECT group_concat(verb || ' ' || kind, ', ') FROM act")
        == "issue document, resend document, reconcile unit, release message, discard message, "
        + "takeBack document, repair content")
    #expect(
      try await node.sql("SELECT DISTINCT osUser || coalesce(sudoUser, '') FROM act WHERE key > 1")
        == user)
    #expect(
      try await acts(node, document).compactMap { $0["verb"] as? String } == [
        "issue", "resend", "takeBack", "repair",
      ])
    let text = try await node.require("show", document)
    #expect(text.contains("Người thực hiện"))
    #expect(text.contains("\(user) (sudo: an) (tại máy): phát hành"))
    #expect(text.contains("\(user) (tại máy): lấy lại (13) – sai số liệu"))

    // What failed was done by nobody.
    let failed = try await node.congvan(["recall", document, "--reason", "nữa"])
    #expect(failed.status == 1)
    try await node.require("check", "--repair", pdf)
    #expect(try await node.sql("SELECT count(*) FROM act") == "7")
  }
}
