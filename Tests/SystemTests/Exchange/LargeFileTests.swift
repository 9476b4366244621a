import Foundation
import Testing

extension Exchange {
  @Suite struct LargeFileTests {
    @Test func threeHundredMegabytesInFlatMemory() async throws {
      let sender = try await Province.node("BIG-A")
      let receiver = try await Province.node("BIG-B")
      let size = 300 << 20
      let file = try Samples.pdf("Bản quét.pdf", size: size)
      let digest = try await Samples.sha256(file)
      try await withDaemons(sender, receiver) { daemons in
        say("sending 300 MB")
        let start = ContinuousClock.now
        let document = try await sender.send(file, to: "BIG-B")
        try? FileManager.default.removeItem(atPath: file)
        try await sender.delivery(of: document, becomes: "delivered", within: .seconds(150))
        let peaks = try daemons.map { try $0.peakMemory() / 1024 }
        say("delivered after \(ContinuousClock.now - start); peak memory \(peaks) MB")
        #expect(peaks.allSatisfy { $0 < 100 })

        let incoming = try #require(try await receiver.inbox().first)
        #expect(incoming.attachments == [.init(name: "Bản quét.pdf", size: size, sha256: digest)])
        let stored = "\(receiver.path)/blobs/\(digest.prefix(2))/\(digest)"
        #expect(try await Samples.sha256(stored) == digest)
        #expect(receiver.files(in: "spool") == [])
        #expect(receiver.files(in: "tmp") == [])
      }
    }
  }
}
