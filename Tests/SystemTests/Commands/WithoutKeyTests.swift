import Foundation
import Testing

/// Commands that sign nothing, while the unit's key is away.
@Suite struct WithoutKeyTests {
  @Test func resendAndExportNeedNoKey() async throws {
    let office = try await Office()
    let sent = try await office.send()
    let id = sent.output.trimmingCharacters(in: .whitespacesAndNewlines)
    try await office.node.sql("UPDATE delivery SET state = 'suspended', lastError = 'X'")
    try FileManager.default.removeItem(atPath: "\(office.node.path)/unit.key")

    let signing = try await office.send(["--number": "160/QĐ-LĐLĐ"])
    #expect(signing.failure?.hasPrefix("KEY-") == true, "\(signing)")
    let refusing = try await office.node.congvan(["recall", id, "--reason", "x"])
    #expect(refusing.failure?.hasPrefix("KEY-") == true, "\(refusing)")

    let result = try await office.node.congvan(["resend", id, "--reason", "đã sửa", "--json"])
    #expect(result.status == 0, "\(result)")
    #expect(try Shape.list(result.output).map { $0["resent"] as? Bool } == [true])
    #expect(try await office.node.sql("SELECT state FROM delivery") == "queued")
    #expect(try await office.node.sql("SELECT verb FROM act ORDER BY key DESC LIMIT 1") == "resend")

    let folder = "\(office.folder)/ra"
    try await office.node.require("export", id, "--out", folder)
    let report = try await office.node.congvan(
      ["verify", folder, "--ca", "\(office.node.path)/ca.crt"])
    #expect(report.status == 0 && report.output.contains("manifest: valid"), "\(report)")
  }
}
