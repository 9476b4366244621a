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
    let direct = try world.root.issue("LDLD.GAMMA")
    let directory = try World.makeDirectory([
      "LDLD.ALPHA": [world.alpha], "LDLD.BETA": [world.beta], "LDLD.GAMMA": [direct],
    ])
    for (name, unit, identity) in [
      ("RSA 2048 below an RSA root", World.unit("LDLD.GAMMA"), direct),
      ("RSA 2048 below an EC intermediate", World.alphaID, world.alpha),
      ("EC P-256 below an RSA root", World.betaID, world.beta),
    ] {
      let signer = try World.signer(identity)
      let verifier = world.verifier(directory: directory)
      let message = try signer.sign(Self.manifest, at: World.noon)
      let signing = try Self.microseconds(1000) {
        _ = try signer.sign(Self.manifest, at: World.noon)
      }
      let verifying = Self.microseconds(3000) {
        _ = verifier.verify(message, from: unit, arrivedAt: World.noon)
      }
      print(
        "\(name): \(message.count) bytes, sign \(signing) µs, verify \(verifying) µs")
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

  /// Processor time of one call: the machine may be busy with other things.
  private static func microseconds(_ count: Int, _ body: () throws -> Void) rethrows -> Int {
    let start = clock()
    for _ in 0..<count { try body() }
    return (clock() - start) * 1_000_000 / CLOCKS_PER_SEC / count
  }

  private static func residentPages() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return Int(text.split(separator: " ")[1]) ?? 0
  }
}
