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
