import Foundation
import Testing

extension Exchange {
  /// Disks that are full or cannot be written, with real processes on a small file system.
  @Suite(.enabled(if: SmallDisk.isPermitted, "needs the right to mount a tmpfs"))
  struct DiskTests {
    /// The floor stops the consumers before the disk is full; then even without a floor nothing is
    /// lost.
    @Test(arguments: [16 << 20, 0])
    func aFullDiskLeavesEverythingInTheQueue(_ floor: Int) async throws {
      let sender = try await Province.node("DISK-A")
      let disk = try SmallDisk(megabytes: 48, for: try await Province.node("DISK-B"))
      defer { disk.remove() }
      let receiver = NodeFolder(
        unit: "DISK-B", path: disk.path, environment: ["CONGVAN_LIMITS_FREE_BYTES": "\(floor)"])
      try await withDaemons(sender, receiver) { daemons in
        for daemon in daemons { try await daemon.connected() }
        try disk.fill(leaving: floor / 2)
        var sent: [String] = []
        for number in 1...3 {
          sent.append(
            try await sender.send(
              try Samples.pdf(size: 1_500_000), to: "DISK-B", number: "\(floor)\(number)/QĐ-LĐLĐ"))
        }
        for id in sent { try await sender.delivery(of: id, becomes: "published") }
        _ = try await eventually("a word about the full disk") {
          Command.text(daemons[1].log).contains("STORE-DISK-FULL") ? true : nil
        }
        #expect(try await receiver.inbox().filter { sent.contains($0.id) } == [])
        let refused = try await receiver.congvan(
          receiver.sendArguments([try Samples.pdf(size: 300_000)], to: ["DISK-A"]))
        #expect(refused.status == 1)
        #expect(refused.errors.contains("error[STORE-DISK-FULL]"), "\(refused)")
        #expect(daemons[1].process.isRunning)

        disk.empty()
        for id in sent { try await sender.delivery(of: id, becomes: "delivered") }
        let inbox = try await receiver.inbox().filter { sent.contains($0.id) }
        #expect(inbox.count == 3)
        #expect(inbox.allSatisfy { $0.state == "accepted" })
        try await receiver.require("check", "--full")
      }
    }

    /// A full disk costs no message a second redelivery, however long it lasts: RabbitMQ 4 deletes at
    /// 20 where no other limit was imported. `CONGVAN_TEST_DISK_MINUTES` keeps it full for so long.
    @Test func aFullDiskUsesUpNoDeliveries() async throws {
      let minutes = LongForms.diskMinutes
      let sender = try await Province.node("FULL-A")
      let disk = try SmallDisk(megabytes: 64, for: try await Province.node("FULL-B"))
      defer { disk.remove() }
      let receiver = NodeFolder(
        unit: "FULL-B", path: disk.path,
        environment: ["CONGVAN_LIMITS_FREE_BYTES": "\(8 << 20)", "CONGVAN_LOG_LEVEL": "debug"])
      try await withDaemons(sender, receiver) { daemons in
        for daemon in daemons { try await daemon.connected() }
        try disk.fill(leaving: 4 << 20)
        let full = ContinuousClock.now
        var sent: [String] = []
        for urgency in ["thường", "hỏa-tốc"] {
          let arguments =
            sender.sendArguments(
              [try Samples.pdf(size: 1_500_000)], to: ["FULL-B"],
              number: "\(sent.count + 1)/QĐ-LĐLĐ")
            + ["--urgency", urgency]
          let id = try await sender.congvan(arguments).output
          sent.append(id.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        for id in sent { try await sender.delivery(of: id, becomes: "published") }
        for lane in ["ordinary", "express"] {
          try await Self.keepsTrying(daemons[1], "consumer \(lane)", times: 8)
        }
        if minutes > 0 {
          say("the disk stays full for \(minutes) minutes")
          _ = try await eventually(
            within: .seconds(60 * minutes + 60), "\(minutes) minutes", every: .seconds(1)
          ) { ContinuousClock.now - full > .seconds(60 * minutes) ? true : nil }
        }
        let counts = try await Self.failedDeliveries(of: "FULL-B")
        say("a full disk for \(ContinuousClock.now - full): failed deliveries \(counts)")
        // Two documents of two pieces and a manifest each; at most the connections that were open
        // when the disk filled up have failed.
        #expect(counts.count == 6)
        #expect(counts.allSatisfy { $0 <= 1 }, "\(counts)")

        disk.empty()
        let repaired = ContinuousClock.now
        for id in sent { try await sender.delivery(of: id, becomes: "delivered") }
        say("delivered \(ContinuousClock.now - repaired) after the repair")
        #expect(ContinuousClock.now - repaired < .seconds(30))
      }
    }

    /// Waits until the daemon has said so often that a consumer has no room.
    private static func keepsTrying(_ daemon: Daemon, _ link: String, times: Int) async throws {
      _ = try await eventually("\(times) attempts of \(link)") {
        Command.text(daemon.log).split(separator: "\n")
          .count { $0.contains("STORE-DISK-FULL") && $0.contains("link=\(link) ") } >= times
          ? true : nil
      }
    }

    /// How often each message that waits for `unit` failed to be delivered; looking at one counts
    /// too, so that is taken off.
    private static func failedDeliveries(of unit: String) async throws -> [Int] {
      var counts: [Int] = []
      for lane in ["ordinary", "express"] {
        let text = try await Province.shared.api(
          "POST", "queues/congvan/congvan.\(lane).\(unit)/get",
          #"{"count": 50, "ackmode": "ack_requeue_true", "encoding": "base64", "truncate": 1}"#)
        for message in try Shape.list(text) {
          let properties = message["properties"] as? [String: Any]
          let headers = properties?["headers"] as? [String: Any]
          counts.append(headers?["x-delivery-count"] as? Int ?? 0)
        }
      }
      return counts
    }

    @Test func aReadOnlyDiskIsSaidAndNothingIsLost() async throws {
      let sender = try await Province.node("DISK-A")
      let disk = try SmallDisk(megabytes: 48, for: try await Province.node("DISK-B"))
      defer { disk.remove() }
      let receiver = NodeFolder(
        unit: "DISK-B", path: disk.path, environment: ["CONGVAN_LIMITS_FREE_BYTES": "0"])
      let id = try await sender.send(try Samples.pdf(), to: "DISK-B", number: "9/QĐ-LĐLĐ")
      try await withDaemons(sender) { _ in
        try await sender.delivery(of: id, becomes: "published")
      }
      try disk.make(readOnly: true)
      let send = receiver.sendArguments([try Samples.pdf()], to: ["DISK-A"])
      for arguments in [["node"], ["inbox"], ["check"], send] {
        let result = try await receiver.congvan(arguments)
        #expect(result.status == 1, "\(arguments)")
        #expect(result.errors.contains("error[STORE-READ-ONLY]"), "\(result)")
        #expect(result.errors.contains("next: "))
      }
      try disk.make(readOnly: false)
      try await withDaemons(sender, receiver) { _ in
        try await sender.delivery(of: id, becomes: "delivered")
      }
    }
  }
}
