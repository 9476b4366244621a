import Foundation
import Glibc
import Synchronization
import Testing

extension Exchange {
  @Suite struct CrashTests {
    private static let documents = 500
    private static let kills = 50

    /// Set SYSTEMTESTS_SEED to repeat a run's moments.
    @Test func fiftyKillsDuringFiveHundredDocumentsLoseAndDoubleNothing() async throws {
      let nodes = [try await Province.node("KILL-A"), try await Province.node("KILL-B")]
      let given = ProcessInfo.processInfo.environment["SYSTEMTESTS_SEED"].flatMap { UInt64($0) }
      let seed = given ?? .random(in: 0...UInt64(UInt32.max))
      say("\(Self.kills) kills, \(Self.documents) documents, SYSTEMTESTS_SEED=\(seed)")
      let start = ContinuousClock.now
      let stream = Stream()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for part in 0..<2 {
          group.addTask { try await stream.send(from: nodes[0], numbers: part, step: 2) }
        }
        group.addTask { try await Self.kill(nodes, during: stream, seed: seed, since: start) }
        try await group.waitForAll()
      }
      say("sent and killed after \(ContinuousClock.now - start)")
      try await withDaemons(nodes[0], nodes[1]) { daemons in
        for daemon in daemons { try await daemon.connected() }
        _ = try await eventually(within: .seconds(90), "500 receipts", every: .milliseconds(300)) {
          let open = try await nodes[0].sql(
            "SELECT count(*) FROM delivery WHERE state<>'delivered'")
          return open == "0" ? true : nil
        }
      }
      say("all receipts after \(ContinuousClock.now - start)")
      try await check(nodes[0], nodes[1])
    }

    /// The documents that a clerk sends meanwhile.
    private final class Stream: Sendable {
      let issued = Atomic(0)

      func send(from node: NodeFolder, numbers first: Int, step: Int) async throws {
        for number in stride(from: first, to: CrashTests.documents, by: step) {
          // Every tenth is stored as a file, every fiftieth travels in pieces.
          let size = number % 50 == 0 ? 1_400_000 : number % 10 == 0 ? 300_000 : 3000
          let file = try Samples.pdf(size: size)
          _ = try await node.send(file, to: "KILL-B", number: "\(number + 1)/QĐ-LĐLĐ")
          unlink(file)
          issued.add(1, ordering: .relaxed)
        }
      }
    }

    /// Ends one of the daemons without warning, again and again, and starts it again at once.
    private static func kill(
      _ nodes: [NodeFolder], during stream: Stream, seed: UInt64,
      since start: ContinuousClock.Instant
    ) async throws {
      var random = SplitMix(state: seed)
      var daemons = try nodes.map { try Daemon($0) }
      defer { for daemon in daemons { daemon.process.terminate() } }
      for count in 1...kills {
        // Spread over the whole stream, at any moment of what goes on then.
        _ = try await eventually("document \(count * 10 - 9)", every: .milliseconds(5)) {
          stream.issued.load(ordering: .relaxed) >= count * 10 - 10 ? true : nil
        }
        try await Task.sleep(for: .microseconds(Int.random(in: 0...900_000, using: &random)))
        let index = Int.random(in: 0...1, using: &random)
        try #require(
          daemons[index].process.isRunning,
          "\(nodes[index].unit) ended by itself: \(Command.text(daemons[index].log))")
        daemons[index].process.terminate()
        daemons[index] = try Daemon(nodes[index])
        if count % 10 == 0 { say("kill \(count) after \(ContinuousClock.now - start)") }
      }
    }

    private func check(_ sender: NodeFolder, _ receiver: NodeFolder) async throws {
      let sent = try await sender.json([Outgoing].self, "outbox", "--limit", "1000")
      #expect(sent.count == Self.documents)
      #expect(sent.allSatisfy { $0.deliveries.map(\.state) == ["delivered"] })
      let arrived = try await receiver.json([Incoming].self, "inbox", "--limit", "1000")
      #expect(arrived.count == Self.documents)
      #expect(arrived.allSatisfy { $0.state == "accepted" })
      let digests = Dictionary(
        arrived.map { ($0.id, $0.attachments) }, uniquingKeysWith: { first, _ in first })
      #expect(sent.allSatisfy { digests[$0.id] == $0.attachments })
      say("duplicates on the way: \(arrived.map(\.duplicates).reduce(0, +))")

      // Accepted once, with one receipt, however often it came.
      let accepted = """
        SELECT count(*), count(DISTINCT document) FROM history
        WHERE subject = 'received' AND toState = 'accepted' AND document IS NOT NULL
        """
      #expect(try await receiver.sql(accepted) == "500|500")
      #expect(
        try await receiver.sql(
          "SELECT count(*), count(DISTINCT documentID) FROM status WHERE code='01'") == "500|500")
      for node in [sender, receiver] {
        #expect(try await node.sql("PRAGMA integrity_check") == "ok")
        #expect(try await node.sql("PRAGMA foreign_key_check") == "")
        #expect(node.files(in: "spool") == [])
        try await expectNoTemporaryFiles(node)
        let blobs = node.files(in: "blobs").filter { $0.contains("/") }.count
        #expect(try await node.sql("SELECT count(*) FROM blob WHERE content IS NULL") == "\(blobs)")
      }
    }

    /// A kill may leave a file in `tmp`: it goes at a start once nobody can be writing it any more.
    private func expectNoTemporaryFiles(_ node: NodeFolder) async throws {
      let left = node.files(in: "tmp")
      if !left.isEmpty {
        say("\(node.unit): \(left.count) temporary files of killed daemons")
        try await Command.require(
          "/usr/bin/touch", ["-d", "2 hours ago"] + left.map { "\(node.path)/tmp/\($0)" })
        try await node.require("node", "--until-idle")
      }
      #expect(node.files(in: "tmp") == [])
    }

    struct Outgoing: Decodable {
      let id: String
      let attachments: [Incoming.File]
      let deliveries: [Delivery]
    }
  }
}

/// A generator that can be started again from the same seed (SplitMix64).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
