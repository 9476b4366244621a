import Testing

extension Exchange {
  @Suite struct RefusalTests {
    @Test func aPersonsRefusalReachesTheSenderAndStaysAfterAResend() async throws {
      let sender = try await Province.node("REF-A")
      let receiver = try await Province.node("REF-B")
      try await withDaemons(sender, receiver) { _ in
        let document = try await sender.send(try Samples.pdf(), to: "REF-B")
        try await sender.delivery(of: document, becomes: "delivered")
        try await receiver.require("refuse", document, "--reason", "Không thuộc thẩm quyền")
        let refused = try await sender.delivery(of: document, becomes: "refused")
        #expect(refused.status == "02")
        #expect(refused.lastError == "REFUSED-BY-PERSON")
        #expect(refused.lastErrorText == "Không thuộc thẩm quyền")
        let twice = try await receiver.congvan(["refuse", document, "--reason", "nữa"])
        #expect(twice.status == 1)
        #expect(twice.errors.contains("error[DOCUMENT-ALREADY-REFUSED]"))

        // The same bytes again: the receiver answers with what it has stored.
        for round in 1...2 {
          let statuses = try await sender.sql("SELECT count(*) FROM status")
          try await sender.require("resend", document, "--reason", "Gửi lại để kiểm tra")
          let again = try await eventually("refusal number \(round) again") { () -> Delivery? in
            guard try await receiver.inbox().first?.duplicates == round else { return nil }
            let now = try await sender.deliveries(of: document).first
            return now?.state == "refused" ? now : nil
          }
          #expect(again.lastErrorText == "Không thuộc thẩm quyền")
          #expect(try await sender.sql("SELECT count(*) FROM status") == statuses)
        }
        #expect(try await receiver.sql("SELECT count(*) FROM document") == "1")
      }
    }
  }
}
