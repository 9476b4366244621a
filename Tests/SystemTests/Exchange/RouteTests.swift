import Foundation
import Testing

extension Exchange {
  @Suite struct RouteTests {
    @Test func aUnitWithoutQueuesIsANamedFailureAndHoldsNobodyUp() async throws {
      let province = try await Province.shared
      let sender = try await Province.node("ROUTE-A")
      let receiver = try await Province.node("ROUTE-B")
      for lane in ["ordinary", "express"] {
        try await province.api("DELETE", "queues/congvan/congvan.\(lane).ROUTE-GONE")
      }
      try await withDaemons(sender, receiver) { _ in
        let document = try await sender.send(
          try Samples.pdf(), to: "ROUTE-GONE", "ROUTE-B", number: "1/QĐ-LĐLĐ")
        let deliveries = try await eventually("both answers") {
          let now = try await sender.deliveries(of: document)
          return now.map(\.state).sorted() == ["delivered", "retrying"] ? now : nil
        }
        let failed = try #require(deliveries.first { $0.state == "retrying" })
        #expect(failed.to == "ROUTE-GONE")
        #expect(failed.lastError == "BROKER-NO-ROUTE")
        #expect(failed.attempts >= 1)
      }
    }
  }
}
