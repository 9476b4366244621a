import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Numbers, not judgements: run alone, in a release build, with CONGVAN_MEASURE=1.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["CONGVAN_MEASURE"] == "1"), .serialized)
struct MeasurementTests {
  private static let manifest = Data(repeating: 0x61, count: 3_000)

  @Test func `Signatures and verifications in a second`() throws {
    let world = try World.shared.get()
    for (name, unit, identity) in [
      ("RSA 2048 below an EC intermediate", World.alphaID, world.alpha),
      ("EC P-256 below an RSA root", World.betaID, world.beta),
    ] {
      let signer = try World.signer(identity)
      let verifier = world.verifier()
      let message = try signer.sign(Self.manifest, at: World.noon)
      let signing = try ContinuousClock().measure {
        for _ in 0..<1000 { _ = try signer.sign(Self.manifest, at: World.noon) }
      }
      let verifying = ContinuousClock().measure {
        for _ in 0..<3000 {
          _ = verifier.verify(message, from: unit, arrivedAt: World.noon)
        }
      }
      print(
        "\(name): \(message.count) bytes, sign \(signing / 1000), verify \(verifying / 3000)")
    }
  }

  @Test func `Memory is flat over 20,000 verifications of good and bad messages`() throws {
    let world = try World.shared.get()
    let verifier = world.verifier()
    let signer = try World.signer(world.beta)
    let good = try signer.sign(Self.manifest, at: World.noon)
    var bad = good
    bad[bad.count - 1] ^= 1
    let messages = [good, bad, good.prefix(1000), good + [0], Data()]
    let round = {
      for _ in 0..<400 {
        for message in messages {
          _ = verifier.verify(message, from: World.betaID, arrivedAt: World.noon)
        }
        _ = try signer.sign(Self.manifest, at: World.noon)
      }
    }
    try round()
    let before = try Self.residentPages()
    for _ in 0..<10 { try round() }
    let after = try Self.residentPages()
    print("resident: \(before) pages before, \(after) after")
    #expect(after - before < 256, "1 MiB")
  }

  private static func residentPages() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return Int(text.split(separator: " ")[1]) ?? 0
  }
}
