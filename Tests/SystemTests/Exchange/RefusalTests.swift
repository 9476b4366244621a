import Testing

extension Exchange {
  @Suite struct RefusalTests {
    @Test func aClerkSeesATakeBackAndAnswersIt() async throws {
      let sender = try await Province.node("REF-A")
      let receiver = try await Province.node("REF-B")
      try await withDaemons(sender, receiver) { _ in
        let document = try await sender.send(
          try Samples.pdf(), to: "REF-B", number: "7/TB-LĐLĐ")
        try await sender.delivery(of: document, becomes: "delivered")
        try await sender.require("recall", document, "--reason", "sai số liệu")
        let open = try await eventually("the take-back at the receiver") { () -> Shape.Members? in
          try Shape.list(try await receiver.require("inbox", "--recalled", "--json")).first
        }
        #expect(open["id"] as? String == document)
        #expect(open["frozen"] as? String == "recalled" && open["takeBackOpen"] as? Bool == true)
        let table = try await receiver.congvan(["inbox"])
        #expect(table.output.contains("(đã lấy lại) – chờ trả lời lấy lại"))
        #expect(table.errors.contains("1 document(s) are taken back by their sender"))
        try await receiver.require("recall", document, "--agree")
        #expect(try await receiver.require("inbox", "--recalled", "--json") == "[\n\n]\n")
        let answered = try await receiver.congvan(["inbox"])
        #expect(answered.output.contains("(đã lấy lại)"))
        #expect(!answered.output.contains("chờ trả lời") && !answered.errors.contains("taken back"))
        _ = try await eventually("the answer at the sender") {
          try await sender.deliveries(of: document).first?.status == "15" ? true : nil
        }
      }
    }

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
            guard
              try await receiver.inbox().first(where: { $0.id == document })?.duplicates == round
            else { return nil }
            let now = try await sender.deliveries(of: document).first
            return now?.state == "refused" ? now : nil
          }
          #expect(again.lastErrorText == "Không thuộc thẩm quyền")
          #expect(try await sender.sql("SELECT count(*) FROM status") == statuses)
        }
        #expect(
          try await receiver.sql("SELECT count(*) FROM document WHERE id = '\(document)'") == "1")
      }
    }
  }
}
