import Foundation
import Testing

extension Exchange {
  @Suite struct ExportTests {
    /// Also what the outside sees: plain openssl needs nothing of ours.
    @Test func verifiesWithPlainOpenSSLAndFailsForEveryChange() async throws {
      let sender = try await Province.node("EXP-A")
      let receiver = try await Province.node("EXP-B")
      let file = try Samples.pdf("Quyết định.pdf", size: 700_000)
      let document = try await withDaemons(sender, receiver) { _ in
        let document = try await sender.send(file, try Samples.pdf("Phụ lục.pdf"), to: "EXP-B")
        try await sender.delivery(of: document, becomes: "delivered")
        return document
      }
      let export = "\(try CleanUp.folder("export"))/văn bản đến"
      try await receiver.require("export", document, "--out", export)
      let manifest = "\(export)/manifest.p7m"
      let attachment = "\(export)/files/Quyết định.pdf"
      #expect(try await Samples.sha256(attachment) == (try await Samples.sha256(file)))
      #expect(try await openssl(manifest, receiver).status == 0)
      let whole = try await verify(export, receiver)
      #expect(whole.status == 0)
      #expect(whole.output.contains("attachment “Quyết định.pdf”: intact"))
      // The receipt lies beside it and is checked the same way.
      let receipts = try FileManager.default.contentsOfDirectory(atPath: "\(export)/statuses")
      #expect(receipts.count == 1)
      #expect(try await openssl("\(export)/statuses/\(receipts[0])", receiver).status == 0)

      #expect(whole.output.contains("status 01 đã đến of EXP-B at "))
      let json = try Shape.object(
        try await Command.require(
          Places.congvan, ["verify", export, "--ca", "\(receiver.path)/ca.crt", "--json"]))
      let status = try #require(json.members("statuses").first)
      #expect(status["code"] as? String == "01" && status["from"] as? String == "EXP-B")
      #expect(status["file"] as? String == receipts[0] && status["to"] as? String == "EXP-A")
      #expect((status["at"] as? String)?.hasSuffix("Z") == true)
      #expect(status.nulls == ["problem", "reasonCode", "description"])
      #expect(status.members("signers").count == 1)
      try await changing("\(export)/statuses/\(receipts[0])") {
        let report = try await verify(export, receiver)
        #expect(report.status == 1)
        #expect(report.errors.contains("error[VERIFY-FAILED]: status “\(receipts[0])” "))
        #expect(report.output.contains("attachment “Phụ lục.pdf”: intact"))
      }

      try await changing(attachment) {
        let report = try await verify(export, receiver)
        #expect(report.status == 1)
        #expect(report.errors.contains("error[VERIFY-FAILED]: attachment “Quyết định.pdf”"))
        #expect(report.output.contains("attachment “Phụ lục.pdf”: intact"))
      }
      try await changing(manifest) {
        #expect(try await openssl(manifest, receiver).status != 0)
        let report = try await verify(export, receiver)
        #expect(report.status == 1)
        #expect(report.errors.contains("error[VERIFY-FAILED]: manifest: "))
      }
      try await truncating(attachment) {
        let report = try await verify(export, receiver)
        #expect(report.errors.contains("“Quyết định.pdf” has 699999 bytes instead of 700000"))
      }
      #expect(try await verify(export, receiver).status == 0)

      // The federation replaces the sender's certificate. What was believed when it came stays so.
      let later = try directory(of: receiver, without: "EXP-A")
      for node in [sender, receiver] {
        let shown = try await node.congvan(
          ["show", document, "--json"], environment: ["CONGVAN_DIRECTORY_FILE": later])
        let signature = try #require(try Shape.object(shown.output)["signature"] as? String)
        #expect(signature.hasPrefix("hợp lệ khi "), "\(signature)")
        #expect(signature.contains("không còn trong danh bạ"), "\(signature)")
        #expect(!signature.contains("SIGNATURE-"), "\(signature)")
      }

      let again = try await receiver.congvan(["export", document, "--out", export])
      #expect(again.status == 1)
      #expect(again.errors.contains("error[EXPORT-EXISTS]"))
    }

    /// A copy of the node's directory in which `unit` has no certificate; its path.
    private func directory(of node: NodeFolder, without unit: String) throws -> String {
      var directory = try Shape.object(Command.text("\(node.path)/directory.json"))
      directory["units"] = directory.members("units").map { entry in
        var entry = entry
        if entry["organId"] as? String == unit { entry["certificates"] = [String]() }
        return entry
      }
      let path = "\(try CleanUp.folder("directory"))/directory.json"
      try JSONSerialization.data(withJSONObject: directory).write(to: URL(filePath: path))
      return path
    }

    private func verify(_ export: String, _ node: NodeFolder) async throws -> CommandResult {
      try await Command.run(Places.congvan, ["verify", export, "--ca", "\(node.path)/ca.crt"])
    }

    private func openssl(_ file: String, _ node: NodeFolder) async throws -> CommandResult {
      try await Command.run(
        "/usr/bin/openssl",
        [
          "cms", "-verify", "-inform", "DER", "-in", file, "-CAfile", "\(node.path)/ca.crt",
          "-out", "/dev/null",
        ])
    }

    /// Flips one bit in the middle of a file while `body` runs.
    private func changing(_ path: String, _ body: () async throws -> Void) async throws {
      try await replacing(path, body) { $0[$0.count / 2] ^= 1 }
    }

    private func truncating(_ path: String, _ body: () async throws -> Void) async throws {
      try await replacing(path, body) { $0.removeLast() }
    }

    private func replacing(
      _ path: String, _ body: () async throws -> Void, with change: (inout Data) -> Void
    ) async throws {
      let url = URL(filePath: path)
      let original = try Data(contentsOf: url)
      var changed = original
      change(&changed)
      try changed.write(to: url)
      try await body()
      try original.write(to: url)
    }
  }
}
