import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Thousands of damaged manifests and statuses: none traps, and what is read has one meaning.
@Suite struct CodecFuzzTests {
  /// For each of two seeds: 10,000 of a manifest and as many of a status.
  private static let size = 5_000

  /// One or a few edits as damage or an enemy would make them.
  private static func mutate(_ bytes: Data, _ random: inout SeededRandom) -> Data {
    var bytes = Array(bytes)
    for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
      let index = Int.random(in: 0..<bytes.count, using: &random)
      let end = min(bytes.count, index + Int.random(in: 1...24, using: &random))
      switch Int.random(in: 0..<8, using: &random) {
      case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes.removeSubrange(index..<end)
      case 3: bytes.insert(contentsOf: bytes[index..<end], at: index)
      case 4:
        let token = tokens.randomElement(using: &random) ?? ""
        bytes.insert(contentsOf: token.utf8, at: index)
      case 5:
        // A digit for a digit keeps the shape and changes the meaning.
        if let digit = bytes[index...].firstIndex(where: { (48...57).contains($0) }) {
          bytes[digit] = UInt8.random(in: 48...57, using: &random)
        }
      case 6:
        if let letter = bytes[index...].firstIndex(where: { (97...122).contains($0) }) {
          bytes[letter] = UInt8.random(in: 97...122, using: &random)
        }
      default: bytes.removeSubrange(index...)
      }
    }
    return Data(bytes)
  }

  private static let tokens = [
    "null", "{}", "[]", "\"\"", "1e999", "-1", "9223372036854775808", "0.5", "\\u0000", "\\ud800",
    "\u{202E}", "a\u{301}", "\"version\":1,", "\"secrecyMark\":\"Mật\",", "\u{FEFF}", "true", "}",
    "]", "[[[[[[[[[[", "\"", "\\", "\u{212A}", "1.0", "01", "\"kind\":\"document\",",
  ]

  private static func example(_ path: String) throws -> Data {
    try Data(contentsOf: SchemaExamplesTests.folder.appending(path: "examples/\(path)"))
  }

  /// Runs `roundTrip` over mutations; it throws for what cannot be read. Returns how many were read.
  private static func fuzz(
    _ example: Data, seed: UInt64, _ roundTrip: (Data) throws -> (Data, Data)
  ) throws -> Int {
    var random = SeededRandom(seed: seed)
    var readable = 0
    for number in 0..<size {
      let mutant = mutate(example, &random)
      do {
        let (first, second) = try roundTrip(mutant)
        readable += 1
        #expect(first == second, "mutation \(number): \(String(decoding: mutant, as: UTF8.self))")
      } catch is DocumentError {
        continue
      }
    }
    return readable
  }

  @Test(arguments: [1, 2] as [UInt64])
  func manifests(_ seed: UInt64) throws {
    let readable = try Self.fuzz(Self.example("manifest/valid/159-QD-LDLD.json"), seed: seed) {
      let manifest = try ManifestCodec.decode($0)
      let first = try ManifestCodec.encode(manifest)
      let again = try ManifestCodec.decode(first)
      #expect(again.rounded == manifest.rounded)
      return (first, try ManifestCodec.encode(again))
    }
    #expect((50..<Self.size * 9 / 10).contains(readable), "neither all nor nothing is read")
  }

  @Test(arguments: [3, 4] as [UInt64])
  func statuses(_ seed: UInt64) throws {
    let readable = try Self.fuzz(Self.example("status/valid/02-tu-choi.json"), seed: seed) {
      let status = try StatusCodec.decode($0)
      let first = try StatusCodec.encode(status)
      let again = try StatusCodec.decode(first)
      #expect(again.rounded == status.rounded)
      return (first, try StatusCodec.encode(again))
    }
    #expect((50..<Self.size * 9 / 10).contains(readable), "neither all nor nothing is read")
  }

  /// What a refusal quotes from a peer is always fit to be signed.
  @Test func quotedTextIsAlwaysValid() throws {
    var random = SeededRandom(seed: 5)
    for _ in 0..<5000 {
      let scalars = (0..<Int.random(in: 0...30, using: &random)).map { _ in
        Unicode.Scalar(UInt32.random(in: 0...0x2FFF, using: &random)) ?? " "
      }
      let text = String(String.UnicodeScalarView(scalars))
      let fitting = TextRules.fitting(text, maximum: 20)
      #expect(throws: Never.self, "\(scalars.map(\.value))") {
        try TextRules.check(fitting, field: "description", maximum: 20)
      }
    }
  }

  /// Foundation leaves these marks out of order in one pass; found by `deploy/fuzz text`.
  @Test func tibetanMarksAreNormalisedToTheEnd() throws {
    let text = "a\u{F73}\u{F73}\u{F73}\u{F71}"
    #expect(TextRules.isNFC(TextRules.normalized(text)))
    let fitting = TextRules.fitting(text, maximum: 20)
    #expect(throws: Never.self) {
      try TextRules.check(fitting, field: "description", maximum: 20)
    }
  }

  /// A made-up moment survives the wire, to the millisecond.
  @Test func momentsSurviveTheWire() {
    var random = SeededRandom(seed: 6)
    for _ in 0..<5000 {
      let time = Timestamp(
        microseconds: Int64.random(in: 0...4_102_444_800_000, using: &random) * 1000)
      #expect(Timestamp(iso8601: time.iso8601) == time)
    }
  }
}

extension Timestamp {
  /// What the wire keeps.
  fileprivate var rounded: Timestamp { Timestamp(microseconds: microseconds / 1000 * 1000) }
}

extension Manifest {
  fileprivate var rounded: Manifest {
    var copy = self
    copy.createdAt = createdAt.rounded
    return copy
  }
}

extension StatusStatement {
  fileprivate var rounded: StatusStatement {
    var copy = self
    copy.timestamp = timestamp.rounded
    return copy
  }
}
