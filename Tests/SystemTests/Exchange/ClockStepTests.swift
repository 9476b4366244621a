import Foundation
import Glibc
import Testing

extension Exchange {
  /// The wall clocks of running daemons are set back and forth (Tests/Campaign/clockstep.c).
  @Suite(.enabled(if: access("/usr/bin/cc", X_OK) == 0, "needs a C compiler"))
  struct ClockStepTests {
    @Test func anHourBackAndForthDisturbsNothing() async throws {
      let shim = "\(try CleanUp.folder("clock"))/clockstep.so"
      try await Command.require(
        "/usr/bin/cc",
        [
          "-shared", "-fPIC", "-O2", "-o", shim, "\(Places.root)/Tests/Campaign/clockstep.c",
          "-ldl",
        ])
      var nodes: [NodeFolder] = []
      var clocks: [Clock] = []
      for unit in ["CLOCK-A", "CLOCK-B"] {
        let clock = try Clock()
        var node = try await Province.node(unit)
        node.environment = ["LD_PRELOAD": shim, "CAMPAIGN_CLOCK": clock.path]
        nodes.append(node)
        clocks.append(clock)
      }
      let (sender, receiver) = (nodes[0], nodes[1])
      var ids: [String] = []
      try await withDaemons(sender, receiver) { daemons in
        for daemon in daemons { try await daemon.connected() }
        let steps: [(clock: Int, hours: Int64)] = [
          (0, 3), (0, 2), (0, 1), (1, 1), (1, 2), (0, 2),
        ]
        for (step, change) in steps.enumerated() {
          clocks[change.clock].set(hours: change.hours)
          let id = try await sender.send(
            try Samples.pdf(size: step * 400_000 + 2000), to: "CLOCK-B", number: "\(step)/QĐ-LĐLĐ")
          _ = try await eventually("document \(step) on its way") {
            let state = try await sender.deliveries(of: id).first?.state
            return state == "queued" || state == "retrying" ? nil : state
          }
          ids.append(id)
        }
      }
      // As for a shift of people: both are on once more, and end by themselves with a clock that is
      // an hour ahead of the one that the kernel waits by.
      for clock in clocks { clock.set(hours: 3) }
      // What was signed in the other's future and refused for it, or whose receipt was.
      try await sender.require("resend", "--failed", "--reason", "đồng hồ đã chỉnh")
      try await sender.require("reconcile", "CLOCK-B")
      for node in [receiver, sender, receiver, sender] {
        try await node.require("node", "--until-idle")
      }
      for clock in clocks { clock.set(hours: 2) }
      let inbox = try await receiver.inbox()
      #expect(Set(inbox.map(\.id)) == Set(ids))
      #expect(inbox.count == ids.count)
      #expect(inbox.allSatisfy { $0.state == "accepted" }, "\(inbox.map(\.state))")
      for id in ids {
        #expect(try await sender.deliveries(of: id).map(\.state) == ["delivered"])
      }
    }
  }
}

/// The file by which a daemon's wall clock is moved.
private final class Clock {
  let path: String
  private let descriptor: Int32

  init() throws {
    path = "\(try CleanUp.folder("clock"))/offset"
    descriptor = open(path, O_RDWR | O_CREAT, 0o600)
    // The certificates of this test run were not valid an hour ago: “now” is in two hours.
    set(hours: 2)
  }

  func set(hours: Int64) {
    var offset = hours * 3_600_000_000
    pwrite(descriptor, &offset, 8, 0)
  }

  deinit { close(descriptor) }
}
