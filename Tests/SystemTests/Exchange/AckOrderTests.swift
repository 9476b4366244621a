import Testing

extension Exchange {
  @Suite struct AckOrderTests {
    @Test func everyAckComesAfterACommitOnDisk() async throws {
      let sender = try await Province.node("ACK-A")
      var receiver = try await Province.node("ACK-B")
      // Without TLS, so that the frames can be read.
      receiver.environment = try await Province.shared.plainConnection(of: "ACK-B")
      let trace = "\(try CleanUp.folder("trace"))/calls"
      let daemon = try Daemon(
        receiver,
        wrapped: [
          // -D: the node, not strace, is our child.
          "/usr/bin/strace", "-D", "-f", "-y", "-s", "32", "-o", trace, "-e",
          "trace=fdatasync,fsync,sendto,sendmsg,write,writev",
        ])
      defer { daemon.process.terminate() }
      try await withDaemons(sender) { _ in
        for number in 1...8 {
          let document = try await sender.send(
            try Samples.pdf(size: number % 4 == 0 ? 4_000_000 : 2000), to: "ACK-B",
            number: "\(number)/QĐ-LĐLĐ")
          try await sender.delivery(of: document, becomes: "delivered")
        }
      }
      try await daemon.stop(within: .seconds(30))
      let text = try await eventually("end of the trace") {
        let text = Command.text(trace)
        // strace pads short numbers.
        let end = try Regex("(?m)^\(daemon.process.pid) +\\+\\+\\+ exited with 0")
        return text.contains(end) ? text : nil
      }
      let result = AckTrace(text)
      say("\(result.acks) acks, \(result.syncs) syncs of the database")
      #expect(result.acks >= 8)
      #expect(result.unsafe == [])
    }
  }
}

/// The review of the trace itself has to notice what it is there for.
@Suite struct AckTraceTests {
  private let sync = "7 fdatasync(9</n/congvan.db-wal>) = 0"
  private let ack =
    #"7 sendto(5<TCP>, "\1\0\1\0\0\0\r\0<\0P\0\0\0\0\0\0\0\1"..., 21, 0, NULL, 0) = 21"#

  @Test func acceptsACommitBeforeEachAck() {
    let halves = "7 fdatasync(9</n/congvan.db-wal> <unfinished ...>\n7 <... fdatasync resumed>) = 0"
    let trace = AckTrace([sync, ack, halves, ack].joined(separator: "\n"))
    #expect(trace.acks == 2)
    // Threads with short numbers.
    let padded = AckTrace([sync, ack].joined(separator: "\n").replacing("7 ", with: "7    "))
    #expect(padded.acks == 1)
    #expect(padded.unsafe == [])
    #expect(trace.syncs == 2)
    #expect(trace.unsafe == [])
  }

  @Test func noticesAnAckWithoutOne() {
    #expect(AckTrace(ack).unsafe == [ack])
    #expect(AckTrace([sync, ack, ack].joined(separator: "\n")).unsafe.count == 1)
    let failed = sync.replacing("= 0", with: "= -1 EIO (Input/output error)")
    #expect(AckTrace([failed, ack].joined(separator: "\n")).unsafe.count == 1)
    let elsewhere = sync.replacing("7 fdata", with: "8 fdata")
    #expect(AckTrace([elsewhere, ack].joined(separator: "\n")).unsafe.count == 1)
    let other = sync.replacing("congvan.db-wal", with: "spool/x.part")
    #expect(AckTrace([other, ack].joined(separator: "\n")).unsafe.count == 1)
  }
}
