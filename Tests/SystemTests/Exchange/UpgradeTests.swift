import Foundation
import Glibc
import Testing

extension Exchange {
  /// Node folders of older programs (Tests/Upgrade/make-fixture), opened by this one. The nodes' clocks
  /// stand where the fixture was made, so the test does not age.
  @Suite(.enabled(if: access("/usr/bin/cc", X_OK) == 0, "needs a C compiler"))
  struct UpgradeTests {
    /// A database made by commit 2b30091, with documents in every state, upgrades; its node goes on
    /// where it stopped.
    @Test func aNodeOfTheFirstVersionGoesOnWhereItStopped() async throws {
      let world = try await Upgraded("upgrade-2b30091")
      try world.hasEveryState()
      for node in [world.own, world.peer] {
        try await node.require("check", "--full")
        for list in ["outbox", "deliveries", "inbox", "quarantine list"] {
          let now = try await node.require(list.split(separator: " ").map(String.init) + ["--json"])
          world.expectSame(node, list, try JSONSerialization.jsonObject(with: Data(now.utf8)))
        }
        for (id, before) in world.before(node)["show"] as? Shape.Members ?? [:] {
          let now = try Shape.object(try await node.require(["show", id, "--json"]))
          #expect(Upgraded.differences(before, now) == [], "show \(id) of \(node.unit)")
        }
      }

      try await world.fillQueues()
      try world.setClock(hoursLater: 3)
      try await withDaemons(world.own, world.peer) { _ in
        // Number, unit, and the state at the end. The expired one had arrived: its receipt says so.
        let ends = [
          "2/CV-CĐ UP-B refused", "6/CV-CĐ UP-B delivered", "7/CV-CĐ UP-B delivered",
          "8/CV-CĐ UP-GONE published", "9/CV-CĐ UP-B suspended", "10/CV-CĐ UP-B cancelled",
          "11/CV-CĐ UP-B delivered",
        ]
        try await reach("deliveries", ends) { try await deliveries(of: world.own) }
        try await reach("deliveries of the peer", ["5/TB-CĐ UP-A delivered"]) {
          try await deliveries(of: world.peer)
        }
        // Incomplete, put together but not judged, and signed ahead of the clock.
        try await reach("documents", ["7/BC-CĐ accepted", "8/BC-CĐ accepted", "5/TB-CĐ accepted"]) {
          try await world.own.inbox().map { "\($0.number) \($0.state)" }
        }
        _ = try await eventually("the answer to the tally") {
          try await world.own.sql("SELECT count(*) FROM tally WHERE answeredAt IS NULL") == "0"
            ? true : nil
        }
        // A person goes on as well.
        let open = try Shape.list(try await world.own.require("inbox", "--recalled", "--json"))
        let document = try #require(open.first?["id"] as? String)
        try await world.own.require("recall", document, "--agree")
        _ = try await eventually("the answer to the take-back") {
          try await world.peer.deliveries(of: document).first?.status == "15" ? true : nil
        }
      }
      let left = try await world.own.sql(
        "SELECT state, count(*) FROM received WHERE state <> 'accepted' GROUP BY state")
      #expect(left == "discarded|1\nquarantined|1")
      for node in [world.own, world.peer] { try await node.require("check", "--full") }
    }

    private func deliveries(of node: NodeFolder) async throws -> [String] {
      try Shape.list(try await node.require("outbox", "--json")).flatMap { document in
        document.members("deliveries").map {
          "\(document["number"] ?? "") \($0["to"] ?? "") \($0["state"] ?? "")"
        }
      }
    }

    private func reach(_ what: String, _ wanted: [String], _ probe: () async throws -> [String])
      async throws
    {
      var missing = Set(wanted)
      do {
        _ = try await eventually(what) {
          missing = Set(wanted).subtracting(try await probe())
          return missing.isEmpty ? true : nil
        }
      } catch let error as TimedOut {
        throw TimedOut(description: "\(error): \(missing.sorted())")
      }
    }
  }
}

/// A fixture of an older version, unpacked, with the clock and the broker that it needs.
private struct Upgraded {
  let folder: String
  let own: NodeFolder
  let peer: NodeFolder
  private let port: String
  private let fixture: String
  private let states: Shape.Members
  private let made: Date

  init(_ name: String) async throws {
    fixture = "\(Places.root)/Tests/SystemTests/Fixtures/\(name)"
    folder = try CleanUp.folder("upgrade")
    states = try Shape.object(Command.text("\(fixture)/states.json"))
    made = try Date(states["at"] as? String ?? "", strategy: .iso8601)
    try await Command.require("/usr/bin/tar", ["-C", folder, "-xJf", "\(fixture)/nodes.tar.xz"])
    try await Command.require(
      "/usr/bin/cc",
      [
        "-shared", "-fPIC", "-O2", "-o", "\(folder)/clockstep.so",
        "\(Places.root)/Tests/Campaign/clockstep.c", "-ldl",
      ])
    // A new broker with new passwords: neither is part of a node.
    try await Command.require(
      Places.congvan,
      [
        "broker", "definitions", "--directory", "\(folder)/directory.json", "--passwords",
        "\(folder)/new-passwords", "--out", "\(folder)/definitions.json",
      ])
    try await Command.require(
      "\(Places.deploy)/broker",
      ["start", "\(folder)/broker", "--definitions", "\(folder)/definitions.json"])
    let lines = Command.text("\(folder)/broker/broker.env").split(separator: "\n")
    port =
      lines.first { $0.hasPrefix("CONGVAN_BROKER_PORT=") }
      .map { String($0.split(separator: "=")[1]) } ?? ""
    let (folder, port) = (folder, port)
    func node(_ unit: String) -> NodeFolder {
      NodeFolder(
        unit: unit, path: "\(folder)/\(unit)",
        environment: [
          "LD_PRELOAD": "\(folder)/clockstep.so", "CAMPAIGN_CLOCK": "\(folder)/offset",
          "CONGVAN_BROKER_TLS": "false", "CONGVAN_BROKER_PORT": port,
          "CONGVAN_BROKER_AUTHENTICATION": "password",
          "CONGVAN_BROKER_PASSWORD_FILE": "\(folder)/new-passwords/\(unit).password",
        ])
    }
    (own, peer) = (node("UP-A"), node("UP-B"))
    try setClock(hoursLater: 0)
  }

  /// Sets the clock of both nodes.
  func setClock(hoursLater hours: Double) throws {
    let offset = Int64((made.timeIntervalSinceNow + hours * 3600) * 1_000_000)
    try withUnsafeBytes(of: offset.littleEndian) { Data($0) }.write(
      to: URL(filePath: "\(folder)/offset"))
  }

  /// Gives the broker what lay in the old one's queues.
  func fillQueues() async throws {
    let packed = "\(folder)/queues.jsonl.xz"
    try FileManager.default.copyItem(atPath: "\(fixture)/queues.jsonl.xz", toPath: packed)
    try await Command.require("/usr/bin/xz", ["--decompress", packed])
    try await Command.require(
      "/usr/bin/python3",
      [
        "\(Places.root)/Tests/Upgrade/queues.py", "load", port, "\(folder)/new-passwords",
        "\(folder)/queues.jsonl",
      ])
  }

  /// What the old program said of a node.
  func before(_ node: NodeFolder) -> Shape.Members {
    (states["nodes"] as? Shape.Members)?[node.unit] as? Shape.Members ?? [:]
  }

  /// The fixture is what it is for.
  func hasEveryState() throws {
    #expect(states["migrations"] as? [String] == ["001 exchange", "002 resilience", "003 growth"])
    let deliveries = Set(before(own).members("deliveries").compactMap { $0["state"] as? String })
    #expect(
      deliveries == [
        "queued", "published", "delivered", "retrying", "suspended", "refused", "expired",
        "cancelled",
      ])
    let received = before(own)["received"] as? Shape.Members ?? [:]
    #expect(
      Set(received.keys) == [
        "received", "verified", "incomplete", "accepted", "quarantined", "discarded",
      ])
  }

  func expectSame(_ node: NodeFolder, _ list: String, _ now: Any) {
    #expect(Self.differences(before(node)[list] ?? [], now) == [], "\(list) of \(node.unit)")
  }

  /// Where `now` differs from `before`. Members may have been added.
  static func differences(_ before: Any, _ now: Any, at path: String = "") -> [String] {
    switch (before, now) {
    case (let before as Shape.Members, let now as Shape.Members):
      return before.sorted { $0.key < $1.key }.flatMap { name, value in
        now[name].map { differences(value, $0, at: "\(path).\(name)") } ?? [
          "\(path).\(name) is gone"
        ]
      }
    case (let before as [Any], let now as [Any]):
      guard before.count == now.count else {
        return ["\(path): \(before.count) members, now \(now.count)"]
      }
      return zip(before, now).enumerated().flatMap { index, pair in
        differences(pair.0, pair.1, at: "\(path)[\(index)]")
      }
    case (let before as NSObject, let now as NSObject):
      return before == now ? [] : ["\(path): \(before), now \(now)"]
    default: return ["\(path): another kind of value"]
    }
  }
}
