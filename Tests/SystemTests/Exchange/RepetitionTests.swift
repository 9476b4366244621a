import Testing

extension Exchange {
  @Suite struct RepetitionTests {
    @Test func aHundredCopiesAreOneDocumentAndOneReceipt() async throws {
      let node = try await Province.node("REP-NODE")
      let client = PythonClient(unit: "REP-CLIENT", province: try await Province.shared)
      try await withDaemons(node) { _ in
        let document = try await client.send(
          [try Samples.pdf(), try Samples.pdf("Phụ lục.pdf", size: 1_500_000)], to: "REP-NODE",
          number: "12/BC-CĐCS", repeated: 100)
        let incoming = try await eventually("100 copies") {
          try await node.inbox().first { $0.duplicates >= 99 && $0.state == "accepted" }
        }
        #expect(incoming.id == document)
        #expect(try await node.inbox().count == 1)
        #expect(try await node.sql("SELECT count(*) FROM document") == "1")

        // Whatever was asked for again by the copies has left the node.
        _ = try await eventually("an empty outbox of statuses") {
          let open = try await node.sql(
            "SELECT count(*) FROM notice WHERE state <> 'published'")
          return open == "0" ? true : nil
        }
        var answers = try await client.receive(count: 1000, seconds: 3)
        #expect(!answers.isEmpty)
        // The stored receipt goes out again for the sender who asks once more.
        let stored = try await node.sql("SELECT hex(signed) FROM status")
        try await askAgain(node, client, document)
        answers += try await client.receive(count: 1, seconds: 30)
        #expect(answers.count >= 2)
        #expect(answers.allSatisfy { $0.kind == "status" && $0.statusCode == "01" })
        #expect(Set(answers.map(\.documentId)) == [document])
        #expect(Set(answers.map(\.bodySha256)).count == 1)
        #expect(try await node.sql("SELECT hex(signed) FROM status") == stored)
      }
    }

    /// The manifest once more, byte for byte, as the node has kept it.
    private func askAgain(_ node: NodeFolder, _ client: PythonClient, _ document: String)
      async throws
    {
      let file = "\(try CleanUp.folder("again"))/manifest.p7m"
      _ = try await node.sql("SELECT writefile('\(file)', signed) FROM document")
      try await Command.require(
        "/usr/bin/python3",
        [
          "\(Places.root)/Tests/PythonClient/publish.py",
          "amqp://\(client.unit)@localhost:\(client.province.plainPort)/congvan",
          client.province.passwordFile(of: client.unit), node.unit, document, file,
        ])
    }
  }
}
