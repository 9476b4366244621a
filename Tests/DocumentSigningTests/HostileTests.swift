import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Bytes that nobody meant well. Passing is not crashing and never believing altered content.
@Suite struct HostileTests {
  private let world: World
  private let verifier: CMSVerifier
  private let message: Data

  init() throws {
    world = try World.shared.get()
    verifier = world.verifier()
    message = try World.signer(world.beta).sign(World.content, at: World.noon)
  }

  private func verify(_ message: Data) -> Verdict {
    verifier.verify(message, from: World.betaID, arrivedAt: World.noon)
  }

  /// Whatever was believed is what beta signed.
  private func isSafe(_ verdict: Verdict) -> Bool {
    guard case .valid(let content, let signers) = verdict else { return true }
    return content == World.content && signers.count == 1
      && signers.first?.signingTime == World.noon
      && signers.first?.subject.hasPrefix("CN=LDLD.BETA") == true
  }

  @Test func `Cut off at any length it is not signed`() {
    for length in 0..<message.count {
      #expect(verify(message.prefix(length)).problem == .notSigned)
    }
  }

  @Test func `A flipped bit anywhere never changes what is believed`() throws {
    let content = try #require(message.range(of: World.content))
    var believed = 0
    for position in 0..<message.count {
      var altered = message
      altered[position] ^= 1 << (position % 8)
      let verdict = verify(altered)
      #expect(isSafe(verdict), "byte \(position): \(verdict)")
      if verdict.problem == nil {
        believed += 1
        #expect(!content.contains(position))
      }
    }
    // Version numbers and the unused algorithm list are outside every signature.
    #expect(believed < 40, "\(believed) bytes of \(message.count) may change unnoticed")
  }

  @Test(arguments: [UInt64(1), 2])
  func `Two thousand random mutations never change what is believed`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let signed = [message, try World.signer(world.alpha).sign(World.content, at: World.noon)]
    for _ in 0..<1000 {
      var altered = Array(signed[Int.random(in: 0...1, using: &random)])
      for _ in 0...Int.random(in: 0...3, using: &random) {
        Mutation.allCases.randomElement(using: &random)?.apply(to: &altered, using: &random)
      }
      let verdict = verify(Data(altered))
      #expect(isSafe(verdict), "seed \(seed): \(verdict)")
    }
  }

  @Test(arguments: [
    [], [0x30], [0x30, 0x80], [0x30, 0x84, 0x7F, 0xFF, 0xFF, 0xFF],
    [0x30, 0x88]
      + Array(
        repeating: 0xFF, count: 8), Array("-----BEGIN CMS-----".utf8), Array("<xml/>".utf8),
  ])
  func `Garbage is not signed`(bytes: [UInt8]) {
    #expect(verify(Data(bytes)).problem == .notSigned)
  }

  @Test(arguments: [UInt8(0x30), 0x24, 0xA0, 0x31])
  func `Deep nesting does not exhaust the stack`(tag: UInt8) {
    let deep = Data((0..<200_000).flatMap { _ in [tag, 0x80] })
    #expect(verify(deep).problem == .notSigned)
    var tree = DERTree.signedData(content: [])
    let octets = Data((0..<100_000).flatMap { _ in [0x24, 0x80] as [UInt8] })
    tree.signedDataParts[2].children[1].children = [DERTree(tag, bytes: Array(octets))]
    #expect(verify(tree.encoded).problem != nil)
  }

  @Test func `Many signers and attributes cost little`() throws {
    var tree = try #require(DERTree(message))
    let signer = try #require(tree.signedDataParts.last?.children.first)
    let last = tree.signedDataParts.count - 1
    tree.signedDataParts[last].children = Array(repeating: signer, count: 2000)
    #expect(verify(tree.encoded).problem == .badProfile)

    var swollen = signer
    let at = try #require(swollen.children.firstIndex { $0.tag == 0xA0 })
    let time = try #require(swollen.children[at].children.first)
    swollen.children[at].children += Array(repeating: time, count: 20_000)
    tree.signedDataParts[last].children = [swollen]
    #expect(verify(tree.encoded).problem != nil)
  }

  @Test func `A slice of a larger buffer is read from its own beginning`() {
    let padded = Data([1, 2, 3]) + message + Data([4])
    #expect(verify(padded.dropFirst(3).dropLast()).problem == nil)
  }
}

/// One way to damage a message.
private enum Mutation: CaseIterable {
  case flip, set, delete, insert, copy

  func apply(to bytes: inout [UInt8], using random: inout SeededGenerator) {
    guard !bytes.isEmpty else { return }
    let at = Int.random(in: 0..<bytes.count, using: &random)
    let length = min(Int.random(in: 1...16, using: &random), bytes.count - at)
    switch self {
    case .flip: bytes[at] ^= 1 << UInt8.random(in: 0...7, using: &random)
    case .set: bytes[at] = UInt8.random(in: 0...255, using: &random)
    case .delete: bytes.removeSubrange(at..<at + length)
    case .insert:
      bytes.insert(
        contentsOf: (0..<length).map { _ in .random(in: 0...255, using: &random) }, at: at)
    case .copy:
      let to = Int.random(in: 0..<bytes.count, using: &random)
      bytes.insert(contentsOf: Array(bytes[at..<at + length]), at: to)
    }
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a failing run can be repeated from its seed.
private struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
