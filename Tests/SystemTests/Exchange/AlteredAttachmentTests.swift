import Testing

extension Exchange {
  @Suite struct AlteredAttachmentTests {
    /// One piece and several pieces take different ways through the node.
    @Test(arguments: [5_000, 2_500_000]) func isRefusedByName(size: Int) async throws {
      let node = try await Province.node("ALT-NODE")
      let province = try await Province.shared
      let honest = PythonClient(unit: "ALT-CLIENT", province: province)
      let hostile = PythonClient(
        unit: "ALT-CLIENT", province: province,
        script: "\(Places.root)/Tests/PythonClient/altering_client.py")
      let file = try Samples.pdf("Báo cáo.pdf", size: size)
      try await withDaemons(node) { _ in
        let document = try await hostile.send([file], to: "ALT-NODE", number: "13/BC-CĐCS")
        let answer = try #require(try await honest.receive(count: 1, seconds: 60).first)
        #expect(answer.documentId == document)
        #expect(answer.statusCode == "02")
        #expect(answer.reasonCode == "ATTACHMENT-ALTERED")
        let incoming = try await node.inbox().filter { $0.id == document }
        #expect(incoming.allSatisfy { $0.state == "quarantined" })
        let quarantine = try await node.json([Quarantined].self, "quarantine")
        #expect(quarantine.first?.messageId == document)
        #expect(quarantine.first?.outcome == "ATTACHMENT-ALTERED")

        // The refusal does not stick to the content: an honest document with it is accepted.
        let second = try await honest.send([file], to: "ALT-NODE", number: "14/BC-CĐCS")
        let receipt = try #require(try await honest.receive(count: 1, seconds: 60).first)
        #expect(receipt.documentId == second)
        #expect(receipt.statusCode == "01")
      }
    }

    struct Quarantined: Decodable {
      let messageId: String
      let outcome: String
    }
  }
}
