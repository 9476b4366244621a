import Testing

extension Exchange {
  /// A second implementation, written from schemas/README.md alone, beside the node.
  @Suite struct InteroperationTests {
    @Test func theNodeAcceptsAndThePythonClientVerifiesTheReceipt() async throws {
      let node = try await Province.node("PY-NODE")
      let client = PythonClient(unit: "PY-CLIENT", province: try await Province.shared)
      let file = try Samples.pdf("Báo cáo.pdf", size: 2_500_000)
      try await withDaemons(node) { _ in
        let document = try await client.send([file], to: "PY-NODE", number: "12/BC-CĐCS")
        let answers = try await client.receive(count: 1, seconds: 60)
        #expect(answers.map(\.kind) == ["status"])
        #expect(answers.first?.statusCode == "01")
        #expect(answers.first?.documentId == document)
        let incoming = try #require(try await node.inbox().first { $0.id == document })
        #expect(incoming.state == "accepted")
        #expect(incoming.number == "12/BC-CĐCS")
        #expect(incoming.attachments.map(\.sha256) == [try await Samples.sha256(file)])
      }
    }

    @Test func thePythonClientsReceiptMakesTheDeliveryDelivered() async throws {
      let node = try await Province.node("PY-NODE")
      let client = PythonClient(unit: "PY-CLIENT", province: try await Province.shared)
      let file = try Samples.pdf("Quyết định.pdf", size: 1_200_000)
      try await withDaemons(node) { _ in
        let document = try await node.send(file, to: "PY-CLIENT")
        try await node.delivery(of: document, becomes: "published")
        let arrivals = try await client.receive(count: 1, seconds: 60, receipt: true)
        #expect(arrivals.map(\.documentId) == [document])
        #expect(
          arrivals.first?.attachments?.map(\.sha256) == [try await Samples.sha256(file)])
        let delivery = try await node.delivery(of: document, becomes: "delivered")
        #expect(delivery.status == "01")
      }
    }
  }
}
