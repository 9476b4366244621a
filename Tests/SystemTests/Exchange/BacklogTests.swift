import Testing

extension Exchange {
  /// A backlog of 10,000 ordinary documents delays an urgent one by no more than 2 seconds, wherever the
  /// backlog stands: at the sender, or in the broker's queue because the receiver was off.
  @Suite struct BacklogTests {
    private static let backlog = 10_000
    private static let allowed = 2000.0

    private struct Measured: Decodable {
      struct Latency: Decodable {
        let p50: Double
        let max: Double
      }
      let latencyMilliseconds: Latency
      let waiting: Int
    }

    /// From the issue of a hỏa tốc document to its verified receipt, one after the other.
    private static func urgent(_ sender: NodeFolder, count: Int) async throws -> Measured {
      let measured: Measured = try await sender.json(
        Measured.self, "bench", "--to", "LOG-B", "--urgency", "hỏa-tốc", "--one-by-one", "--count",
        "\(count)", "--size", "2000")
      say("hỏa tốc: \(measured)")
      return measured
    }

    @Test func ordinaryDocumentsDoNotDelayUrgentOnes() async throws {
      let sender = try await Province.node("LOG-A")
      let receiver = try await Province.node("LOG-B")
      // Without a backlog, in the same run.
      let alone = try await withDaemons(sender, receiver) { daemons in
        for daemon in daemons { try await daemon.connected() }
        return try await Self.urgent(sender, count: 10)
      }
      #expect(alone.waiting == 0)
      try await sender.require(
        "bench", "--to", "LOG-B", "--issue-only", "--count", "\(Self.backlog)", "--size", "2000")

      // All of it still at the sender, both at work.
      let behind = try await withDaemons(sender, receiver) { daemons in
        for daemon in daemons { try await daemon.connected() }
        return try await Self.urgent(sender, count: 10)
      }
      #expect(behind.latencyMilliseconds.max - alone.latencyMilliseconds.p50 <= Self.allowed)
      #expect(behind.waiting > Self.backlog / 2, "the backlog was still there")

      // All of the rest in the broker's queue, and then the receiver comes back.
      try await withDaemons(sender) { _ in
        _ = try await eventually(within: .seconds(120), "everything is with the broker") {
          try await sender.sql("SELECT count(*) FROM delivery WHERE state = 'queued'") == "0"
            ? true : nil
        }
        try await withDaemons(receiver) { _ in
          let queued = try await Self.urgent(sender, count: 10)
          #expect(queued.latencyMilliseconds.max - alone.latencyMilliseconds.p50 <= Self.allowed)
          #expect(queued.waiting > Self.backlog / 4, "the backlog was still there")
        }
      }
    }
  }
}
