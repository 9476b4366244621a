import Foundation
import Testing

extension Exchange {
  @Suite struct DaemonTests {
    @Test func oneDaemonPerFolderAndCommandsInAnyCase() async throws {
      let sender = try await Province.node("CLI-A")
      let receiver = try await Province.node("CLI-B")
      // Down: everything but sending works on the file.
      let first = try await sender.send(try Samples.pdf(), to: "CLI-B", number: "1/QĐ-LĐLĐ")
      #expect(try await sender.deliveries(of: first).map(\.state) == ["queued"])
      let second = try await withDaemons(sender, receiver) { daemons in
        for daemon in daemons { try await daemon.connected() }
        let another = try await sender.congvan(["node"])
        #expect(another.status == 1)
        #expect(another.errors.contains("error[NODE-ALREADY-RUNNING]"))
        let second = try await sender.send(try Samples.pdf(), to: "CLI-B", number: "2/QĐ-LĐLĐ")
        for document in [first, second] {
          try await sender.delivery(of: document, becomes: "delivered")
        }
        try await sender.require("show", first)
        try await sender.require("config", "check")
        return second
      }
      #expect(try await sender.deliveries(of: second).map(\.state) == ["delivered"])
      #expect(Set(try await receiver.inbox().map(\.id)) == [first, second])
      try await receiver.require("show", second)
      // The files that the daemons made are private, as the folder is.
      for node in [sender, receiver] {
        // unit.crt came from the authority.
        #expect(try exposedFiles(of: node.path).filter { $0 != "unit.crt" } == [])
      }
    }

    @Test func aStopInTheMiddleOfALargeFileIsQuickAndLosesLittle() async throws {
      let sender = try await Province.node("STOP-A")
      let receiver = try await Province.node("STOP-B")
      let pieces = 250
      let document = try await sender.send(
        try Samples.pdf("Bản quét.pdf", size: pieces << 20), to: "STOP-B")
      try await withDaemons(sender) { daemons in
        _ = try await eventually("96 pieces", every: .milliseconds(10)) {
          Int(try await sender.sql("SELECT progress FROM delivery")) ?? 0 >= 96 ? true : nil
        }
        try await daemons[0].stop()
      }
      #expect(try await sender.deliveries(of: document).map(\.state) == ["queued"])
      let before = try await waiting(receiver)
      say("stopped after \(before) of \(pieces) pieces")
      #expect(before >= 96 && before < pieces)

      let peak = try await withDaemons(sender) { daemons in
        try await sender.delivery(of: document, becomes: "published")
        let after = try await waiting(receiver)
        // The pieces that are left, the manifest, and those since progress was last written down:
        // 32 at most between two times, and 8 MiB in flight.
        #expect(after - before <= pieces - before + 1 + 40)
        #expect(after >= pieces + 1)
        say("\(after - before) messages after the restart")
        return try await withDaemons(receiver) { _ in
          try await sender.delivery(of: document, becomes: "delivered")
          return try daemons[0].peakMemory()
        }
      }
      #expect(peak < 100 << 10)
      #expect(try await receiver.inbox().map(\.state) == ["accepted"])
    }

    /// Messages in the ordinary queue of a node that is off, as the broker counts them.
    private func waiting(_ node: NodeFolder) async throws -> Int {
      let check = try await node.require("config", "check")
      let match = try #require(check.firstMatch(of: /waiting: (\d+) ordinary/))
      return try #require(Int(match.1))
    }
  }
}

/// Paths in a folder that others than its owner may use.
func exposedFiles(of folder: String) throws -> [String] {
  let manager = FileManager.default
  return try (manager.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []).filter {
    let mode = try manager.attributesOfItem(atPath: "\(folder)/\($0)")[.posixPermissions]
    return (mode as? Int ?? 0o777) & 0o077 != 0
  }
}
