import Testing

extension Exchange {
  /// The members of `--json` that scripts rely on, for what has really travelled.
  @Suite struct ListingTests {
    @Test func listingsHaveTheirDocumentedMembers() async throws {
      let sender = try await Province.node("LIST-A")
      let receiver = try await Province.node("LIST-B")
      let document = try await withDaemons(sender, receiver) { _ in
        let document = try await sender.send(try Samples.pdf("Tệp.pdf"), to: "LIST-B")
        try await sender.delivery(of: document, becomes: "delivered")
        return document
      }
      let delivery = try #require(
        try Shape.list(try await sender.require("deliveries", "--json")).first)
      #expect(delivery["id"] as? String == "\(document)/LIST-B")
      #expect(delivery["status"] as? String == "01")
      #expect(delivery.nulls.isDisjoint(with: ["publishedAt", "deliveredAt", "updatedAt"]))
      #expect(delivery.nulls.isSuperset(of: ["lastError", "lastErrorText", "nextAt"]))
      #expect((delivery["deliveredAt"] as? String)?.hasSuffix("Z") == true)

      let incoming = try #require(
        try Shape.list(try await receiver.require("inbox", "--json")).first)
      #expect(
        Set(incoming.keys).isSuperset(of: [
          "id", "from", "codeNumber", "codeNotation", "issuedDate", "typeName", "subject", "state",
          "receivedAt", "duplicates", "attachments", "status", "outcome", "detail", "frozen",
          "takeBackOpen",
        ]))
      #expect(incoming["takeBackOpen"] as? Bool == false)
      #expect(incoming["from"] as? String == "LIST-A")
      #expect(incoming["codeNumber"] as? String == "159")
      #expect(incoming["codeNotation"] as? String == "QĐ-LĐLĐ")
      #expect(incoming["issuedDate"] as? String == "2018-07-04")
      #expect(incoming["typeName"] as? String == "Quyết định")
      #expect(incoming["duplicates"] as? Int == 0)
      #expect(incoming.nulls.isSuperset(of: ["outcome", "detail"]))
      let file = try #require(incoming.members("attachments").first)
      #expect(Set(file.keys).isSuperset(of: ["name", "size", "sha256"]))
      #expect(file["name"] as? String == "Tệp.pdf")

      let shown = try Shape.object(
        try await receiver.require("show", String(document.prefix(18)), "--json"))
      #expect(shown["direction"] as? String == "incoming")
      #expect((shown["signature"] as? String)?.hasPrefix("hợp lệ") == true)
      #expect(shown.members("statuses").map { $0["code"] as? String } == ["01"])
      #expect(
        shown.members("history").compactMap { $0["to"] as? String }
          == ["received", "verified", "accepted"])
      // For people: the tables hold the same.
      #expect(try await receiver.require("inbox").contains("159/QĐ-LĐLĐ"))
      #expect(try await sender.require("deliveries").contains("01 đã đến"))
    }

    @Test func whatIsNotBelievedIsListedWithItsReason() async throws {
      let province = try await Province.shared
      let receiver = try await Province.node("LIST-B")
      let junk = "\(try CleanUp.folder("junk"))/junk"
      try await Command.require("/usr/bin/openssl", ["rand", "-out", junk, "500"])
      try await Command.require(
        "/usr/bin/python3",
        [
          "\(Places.root)/Tests/PythonClient/publish.py",
          "amqp://LIST-A@localhost:\(province.plainPort)/congvan",
          province.passwordFile(of: "LIST-A"), "LIST-B", "01976f3e-aaaa-7abc-8abc-0123456789ab",
          junk,
        ])
      try await receiver.require("node", "--until-idle")
      let message = try #require(
        try Shape.list(try await receiver.require("quarantine", "--json")).first)
      #expect(message["from"] as? String == "LIST-A")
      #expect(message["messageId"] as? String == "01976f3e-aaaa-7abc-8abc-0123456789ab")
      #expect(message["type"] as? String == "congvan.document")
      #expect(message["outcome"] as? String == "SIGNATURE-NOT-SIGNED")
      #expect(message["size"] as? Int == 500)
      #expect(message["duplicates"] as? Int == 0)
      #expect(message["detail"] is String && message["receivedAt"] is String)
    }
  }
}
