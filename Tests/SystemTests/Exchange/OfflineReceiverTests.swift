import Testing

extension Exchange {
  @Suite struct OfflineReceiverTests {
    @Test func arrivesOnceAfterTheBrokerWasRestarted() async throws {
      let province = try await Province.shared
      let sender = try await Province.node("OFF-A")
      let receiver = try await Province.node("OFF-B")
      let before = try Samples.pdf("Trước.pdf", size: 3_000_000)
      try await withDaemons(sender) { daemons in
        let first = try await sender.send(before, to: "OFF-B", number: "1/QĐ-LĐLĐ")
        try await sender.delivery(of: first, becomes: "published")

        say("restarting the broker")
        try await province.stopBroker()
        // While nobody is there, and the daemon runs.
        let second = try await sender.send(
          try Samples.pdf("Trong.pdf"), to: "OFF-B", number: "2/QĐ-LĐLĐ")
        try await province.startBroker()
        try await sender.delivery(of: second, becomes: "published")
        #expect(daemons[0].process.isRunning)

        try await withDaemons(receiver) { _ in
          for document in [first, second] {
            let delivery = try await sender.delivery(of: document, becomes: "delivered")
            #expect(delivery.status == "01")
          }
          let inbox = try await receiver.inbox().sorted { $0.number < $1.number }
          #expect(inbox.map(\.id) == [first, second])
          #expect(inbox.map(\.state) == ["accepted", "accepted"])
          #expect(inbox.map(\.duplicates) == [0, 0])
          #expect(inbox[0].attachments[0].sha256 == (try await Samples.sha256(before)))
        }
      }
      let receipts = try await sender.sql("SELECT count(*) FROM status WHERE direction='received'")
      #expect(receipts == "2")
    }
  }
}
