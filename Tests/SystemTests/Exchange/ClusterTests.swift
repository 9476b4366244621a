import Foundation
import Testing

extension Exchange {
  /// Three brokers, of which the one in use dies.
  @Suite struct ClusterTests {
    @Test func aDeadMemberStopsNobody() async throws {
      let path = try CleanUp.folder("cluster")
      say("making a cluster of three brokers")
      try await Command.require(
        "\(Places.deploy)/province",
        ["make", "--cluster", path, Places.congvan, "CLU-A|Công đoàn A||", "CLU-B|Công đoàn B||"],
        within: .seconds(180))
      let ports = try (1...3).map { member in
        let addresses = Command.text("\(path)/broker/\(member)/broker.env")
        return String(try #require(addresses.firstMatch(of: /BROKER_TLS_PORT=(\d+)/)).1)
      }
      let hosts = ["CONGVAN_BROKER_HOST": ports.map { "localhost:\($0)" }.joined(separator: ", ")]
      let sender = NodeFolder(unit: "CLU-A", path: "\(path)/CLU-A", environment: hosts)
      let receiver = NodeFolder(unit: "CLU-B", path: "\(path)/CLU-B", environment: hosts)
      let check = try await sender.require("config", "check")
      for port in ports {
        #expect(check.contains("ok    broker localhost:\(port): amqps://CLU-A@"))
      }

      // Only a queue with a member on every broker outlives any of them.
      _ = try await eventually("three members of every queue") {
        let queues = try Shape.list(
          try await Command.require(
            "\(Places.deploy)/cluster",
            ["api", "\(path)/broker", "GET", "/api/queues/congvan"]))
        return queues.count == 4
          && queues.allSatisfy { ($0["online"] as? [String])?.count == 3 } ? true : nil
      }
      try await withDaemons(sender, receiver) { daemons in
        for daemon in daemons { try await daemon.connected() }
        let first = try await sender.send(try Samples.pdf(), to: "CLU-B")
        try await sender.delivery(of: first, becomes: "delivered")
        let used = try #require(port(of: "publisher", in: daemons[0]))
        let member = try #require(ports.firstIndex(of: used)) + 1
        try await Command.require(
          "\(Places.deploy)/cluster", ["kill", "\(path)/broker", "\(member)"])
        // The connection moves at once. How soon the queues have new leaders is the cluster's affair,
        // and until then it refuses messages, which are sent again.
        let second = try await sender.send(try Samples.pdf(), to: "CLU-B")
        try await sender.delivery(of: second, becomes: "delivered", within: .seconds(150))
        #expect(try await receiver.inbox().count == 2)
        #expect(try #require(port(of: "publisher", in: daemons[0])) != used)
        let broken = try await sender.congvan(["config", "check"])
        #expect(broken.status == 1)
        #expect(broken.output.contains("FAIL  broker localhost:\(used): [BROKER-UNREACHABLE]"))
        #expect(broken.output.matches(of: /ok    broker localhost/).count == 2)
      }
      try await Command.require("\(Places.deploy)/province", ["remove", path])
    }

    /// The port of the broker that a connection last reported.
    private func port(of link: String, in daemon: Daemon) -> String? {
      let pattern = /broker=localhost:(\d+) link=(\w+(?: \w+)?) \[ExchangeNode\] connected/
      return Command.text(daemon.log).matches(of: pattern).last { $0.2 == link }
        .map { String($0.1) }
    }
  }
}
