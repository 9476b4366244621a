import Testing

extension Exchange {
  @Suite struct IdleTests {
    /// A grassroots union whose node runs from a timer: both sides only ever run until idle.
    @Test func untilIdleSendsAndReceivesWhatIsThere() async throws {
      let sender = try await Province.node("IDLE-A")
      let receiver = try await Province.node("IDLE-B")
      var documents: [String] = []
      for number in 1...5 {
        documents.append(
          try await sender.send(
            try Samples.pdf(size: number * 700_000), to: "IDLE-B", number: "\(number)/QĐ-LĐLĐ"))
      }
      let sending = try await sender.congvan(["node", "--until-idle"])
      #expect(sending.status == 0, "\(sending)")
      #expect(sending.errors.contains("idle: 5 awaiting receipt, 0 waiting for a retry, 0 failed"))
      let receiving = try await receiver.congvan(["node", "--until-idle"])
      #expect(receiving.status == 0, "\(receiving)")
      #expect(Set(try await receiver.inbox().map(\.id)) == Set(documents))
      let again = try await sender.congvan(["node", "--until-idle"])
      #expect(again.status == 0, "\(again)")
      #expect(again.errors.contains("idle: 0 awaiting receipt, 0 waiting for a retry, 0 failed"))
      for document in documents {
        #expect(try await sender.deliveries(of: document).map(\.state) == ["delivered"])
      }
    }
  }
}
