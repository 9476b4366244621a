import DocumentSigning
import ExchangeCore
import Foundation
import Testing

@Suite struct HashingTests {
  /// FIPS 180-4 examples, as NIST publishes them.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func `Known answers`(text: String, hex: String) {
    #expect(OpenSSLHashing().sha256(Data(text.utf8)).hex == hex)
  }

  @Test func `A running hash does not depend on how the bytes are cut`() {
    let bytes = Data((0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    let hash = OpenSSLHashing().makeHash()
    var rest = bytes
    for size in [0, 1, 63, 64, 65, 4096] {
      hash.update(rest.prefix(size))
      rest = rest.dropFirst(size)
    }
    hash.update(rest)
    #expect(hash.finish() == OpenSSLHashing().sha256(bytes))
  }
}
