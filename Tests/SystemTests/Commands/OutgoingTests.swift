import Foundation
import Testing

/// What a clerk sees of what was sent, without a daemon.
@Suite struct OutgoingTests {
  /// The forms of requirement, from the regulation.
  static let forms = [
    "159/QĐ-LĐLĐ", "36a/NQ-CP", "762-CV/TU", "1994-CV/VPTU", "1350/KH-UBND", "23/KH-LĐLĐ",
    "66-QĐ/TW", "34/2016/NĐ-CP", "1014/QĐ-TLĐ", "72/2002/QĐ-TTg", "39/2017/TT-BTTTT",
    "09/2011/TT-BNV", "64/2007/NĐ-CP", "08/2015/TT-BCA",
  ]

  @Test func referenceNumbersComeBackAsTheyWereWritten() async throws {
    let office = try await Office()
    for form in Self.forms {
      let result = try await office.send(["--number": form])
      #expect(result.status == 0, "\(form): \(result)")
    }
    let outbox = try Shape.list(try await office.node.require("outbox", "--json"))
    #expect(outbox.reversed().map { $0["number"] as? String } == Self.forms)
    let party = try #require(outbox.first { $0["number"] as? String == "762-CV/TU" })
    #expect(party["codeNumber"] as? String == "762")
    #expect(party["codeNotation"] as? String == "CV/TU")
  }

  @Test func jsonHasItsDocumentedMembersWithExplicitNulls() async throws {
    let office = try await Office()
    let sent = try Shape.object(
      try await Command.require(
        Places.congvan,
        try office.sendArguments([
          "--to": "@cap-duoi", "--signer": "Nguyễn Văn Mẫu", "--position": "Chủ tịch",
          "--capacity": "TM.", "--urgency": "khẩn", "--due": "2018-08-01",
        ]) + ["--json", "--dir", office.node.path]))
    let id = try #require(sent["id"] as? String)
    #expect(
      id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/) != nil)
    #expect(sent.members("deliveries").map { $0["to"] as? String } == ["CDCT-HUYEN", "CDCS-MAY"])
    #expect(
      sent.members("deliveries").map { $0["id"] as? String } == [
        "\(id)/CDCT-HUYEN", "\(id)/CDCS-MAY",
      ])

    let deliveries = try Shape.list(try await office.node.require("deliveries", "--json"))
    #expect(deliveries.count == 2)
    for delivery in deliveries {
      #expect(
        Set(delivery.keys).isSuperset(of: [
          "id", "document", "to", "state", "status", "attempts", "lastError", "lastErrorText",
          "nextAt", "createdAt", "publishedAt", "deliveredAt", "updatedAt", "expiresAt", "overdue",
          "expiring",
        ]))
      #expect(delivery["overdue"] as? Bool == false && delivery["expiring"] as? Bool == false)
      #expect(delivery["document"] as? String == id)
      #expect(delivery["state"] as? String == "queued")
      #expect(delivery["attempts"] as? Int == 0)
      #expect(
        delivery.nulls.isSuperset(of: [
          "status", "lastError", "lastErrorText", "nextAt", "publishedAt", "deliveredAt",
        ]))
    }
    let document = try #require(
      try Shape.list(try await office.node.require("outbox", "--json")).first)
    #expect(document["id"] as? String == id)
    #expect(document["urgency"] as? String == "khẩn")
    #expect(document.members("deliveries").count == 2)
    #expect(document.members("attachments").first?["mediaType"] as? String == "application/pdf")

    let shown = try Shape.object(try await office.node.require("show", id, "--json"))
    #expect(shown["direction"] as? String == "outgoing")
    #expect(shown.nulls.isSuperset(of: ["state", "duplicates", "takeBackOpen"]))
    #expect(shown.members("history").map { $0["cause"] as? String } == ["issued", "issued"])
    #expect((shown["signature"] as? String)?.contains("CN=LDLD-TINH") == true)

    let again = try Shape.list(
      try await office.node.require("resend", id, "--reason", "thử", "--dry-run", "--json"))
    #expect(
      again.allSatisfy {
        Set($0.keys)
          .isSuperset(of: ["id", "document", "to", "before", "resent", "wouldResend", "refusal"])
          && $0["resent"] as? Bool == false && $0["before"] as? String == "queued"
          && ($0["refusal"] as? String)?.isEmpty == false
      })
    #expect(again.count == 2)
    #expect(try await office.node.require("inbox", "--json") == "[\n\n]\n")
    #expect(try await office.node.require("quarantine", "--json") == "[\n\n]\n")
  }

  /// What a file has that its readers should know: said at sending, and again to whoever looks.
  @Test func remarksOnFilesAreShown() async throws {
    let office = try await Office()
    let text = try office.write("\u{51}\u{75}\u{79}", as: "cu.txt")
    try Data([0x51, 0x75, 0x79, 0xD5, 0x74]).write(to: URL(filePath: text))
    let result = try await office.node.congvan(
      try office.sendArguments(files: [try Samples.pdf(), text]) + ["--json"])
    #expect(result.status == 0)
    #expect(result.errors.contains("warning[ATTACHMENT-NOT-UTF8]: file “cu.txt”: "))
    let sent = try Shape.object(result.output)
    let codes = sent.members("warnings").compactMap { $0["code"] as? String }
    #expect(codes.filter { $0.hasPrefix("ATTACHMENT-") } == ["ATTACHMENT-NOT-UTF8"])
    let id = try #require(sent["id"] as? String)
    #expect(
      try await office.node.require("show", id).contains("    lưu ý: không phải văn bản UTF-8"))
    let shown = try Shape.object(try await office.node.require("show", id, "--json"))
    let warning = try #require(shown.members("warnings").first)
    #expect(warning["file"] as? String == "cu.txt" && warning["text"] as? String != nil)
    #expect(warning["code"] as? String == "ATTACHMENT-NOT-UTF8")
  }

  @Test func olderFormatsAreAQuestionOfPolicy() async throws {
    let office = try await Office()
    let file = try office.write("{\\rtf1 Kế hoạch}", as: "Kế hoạch.rtf")
    let refused = try await office.node.congvan(
      try office.sendArguments(files: [file]),
      environment: ["CONGVAN_ATTACHMENTS_LEGACY_FORMATS": "false"])
    #expect(refused.failure == "ATTACHMENT-FORMAT", "\(refused)")
    #expect(refused.errors.contains("attachments.legacyFormats"))
    let sent = try await office.node.congvan(try office.sendArguments(files: [file]))
    #expect(sent.status == 0, "\(sent)")
    let keys = try await office.node.congvan(["config", "check", "--offline", "--verbose"])
    #expect(keys.output.contains("attachments.legacyFormats"))
  }

  @Test func unitsAreListed() async throws {
    let office = try await Office()
    let units = try Shape.list(try await office.node.require("units", "--json"))
    #expect(units.map { $0["id"] as? String } == ["LDLD-TINH", "CDCT-HUYEN", "CDCS-MAY"])
    #expect(
      units.allSatisfy {
        Set($0.keys).isSuperset(of: [
          "id", "name", "aliases", "parent", "successor", "groups", "validFrom", "validTo",
          "certificates",
        ])
      })
    #expect(units[2]["aliases"] as? [String] == ["MAY"])
    #expect(units[0].nulls == ["parent", "successor", "validFrom", "validTo"])
    #expect(try await office.node.require("units").contains("@cap-duoi @co-so"))
  }

  @Test func whatSendingWritesIsPrivate() async throws {
    let office = try await Office()
    let files = [try Samples.pdf(), try Samples.pdf("Bản quét.pdf", size: 600_000)]
    let result = try await office.node.congvan(try office.sendArguments(files: files))
    #expect(result.status == 0, "\(result)")
    #expect(office.node.files(in: "blobs").count == 2)
    // The certificate came from the authority, the directory from the federation.
    let exposed = try exposedFiles(of: office.node.path)
    #expect(exposed.filter { !["unit.crt", "directory.json"].contains($0) } == [])
    #expect(try exposedFiles(of: office.folder).filter { $0 == "node" } == [])
  }
}
