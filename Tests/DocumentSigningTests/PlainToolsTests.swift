import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// What is believed here verifies with `openssl cms -verify` too, and is the profile's DER.
@Suite struct PlainToolsTests {
  private let world: World
  private let folder: TemporaryFolder

  init() throws {
    world = try World.shared.get()
    folder = try TemporaryFolder()
  }

  private func verify(_ message: Data, from unit: UnitID = World.betaID) -> Verdict {
    world.verifier().verify(message, from: unit, arrivedAt: World.now)
  }

  private func opensslVerifies(_ message: Data) throws -> Bool {
    let path = try folder.write(message, as: UUID().uuidString)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try OpenSSLCommand.run([
      "cms", "-verify", "-binary", "-inform", "DER", "-CAfile", world.root.certificatePath, "-in",
      path, "-out", "/dev/null",
    ]).status == 0
  }

  // MARK: Every value of a message, spoiled in every way

  /// The places of all values, as child indexes. Certificates are taken as wholes.
  private static func places(_ tree: DERTree, _ path: [Int] = []) -> [[Int]] {
    guard path.count != 5 || !path.starts(with: [1, 0, 3]) else { return [path] }
    return [path]
      + tree.children.enumerated().flatMap { places($0.element, path + [$0.offset]) }
  }

  private static func change(
    _ tree: inout DERTree, at path: some Collection<Int>, _ body: (inout DERTree) -> Void
  ) {
    guard let first = path.first else { return body(&tree) }
    change(&tree.children[first], at: path.dropFirst(), body)
  }

  private static func lengthDigits(_ count: Int) -> [UInt8] {
    var digits: [UInt8] = []
    var rest = count
    repeat {
      digits.insert(UInt8(truncatingIfNeeded: rest), at: 0)
      rest >>= 8
    } while rest > 0
    return digits
  }

  /// Ways to write one value wrongly, or another one. Nil where a way does not apply.
  private static let spoilers: [(name: String, spoil: @Sendable (inout DERTree) -> Bool)] = [
    (
      "indefinite length",
      { value in
        guard value.tag & 0x20 != 0 else { return false }
        value.raw = [value.tag, 0x80] + value.children.flatMap { Array($0.encoded) } + [0, 0]
        return true
      }
    ),
    (
      "length with a leading zero",
      { value in
        let content = content(of: value)
        let digits = [0] + lengthDigits(content.count)
        value.raw = [value.tag, 0x80 | UInt8(digits.count)] + digits + content
        return true
      }
    ),
    (
      "long form of a short length",
      { value in
        let content = content(of: value)
        guard content.count < 0x80 else { return false }
        value.raw = [value.tag, 0x81, UInt8(content.count)] + content
        return true
      }
    ),
    (
      "in parts",
      { value in
        guard value.tag & 0x20 == 0, value.bytes.count > 1 else { return false }
        let (first, rest) = (value.bytes.prefix(1), value.bytes.dropFirst())
        let parts = [
          DERTree(value.tag, bytes: Array(first)), DERTree(value.tag, bytes: Array(rest)),
        ]
        value.raw = Array(DERTree(value.tag | 0x20, parts).encoded)
        return true
      }
    ),
    (
      "in octet parts",
      { value in
        guard value.tag & 0x20 == 0 else { return false }
        value.raw = Array(DERTree(value.tag | 0x20, [DERTree(0x04, bytes: value.bytes)]).encoded)
        return true
      }
    ),
    ("zero before", { value in prepend([0], &value) }),
    ("FF before", { value in prepend([0xFF], &value) }),
    ("80 before", { value in prepend([0x80], &value) }),
    (
      "zero after",
      { value in
        guard value.tag & 0x20 == 0 else { return false }
        value.bytes.append(0)
        return true
      }
    ),
    ("one byte less", { value in value.tag & 0x20 == 0 && value.bytes.popLast() != nil }),
    (
      "empty",
      { value in
        (value.bytes, value.children) = ([], [])
        return true
      }
    ),
    (
      "first byte changed",
      { value in
        guard !value.bytes.isEmpty else { return false }
        value.bytes[0] ^= 1
        return true
      }
    ),
    (
      "last byte changed",
      { value in
        guard !value.bytes.isEmpty else { return false }
        value.bytes[value.bytes.count - 1] ^= 1
        return true
      }
    ),
    (
      "next tag",
      { value in
        let changed = [UInt8(value.tag + 1)] + Array(value.encoded.dropFirst())
        value.raw = changed
        return true
      }
    ),
    (
      "other class",
      { value in
        value.raw = [value.tag ^ 0x80] + Array(value.encoded.dropFirst())
        return true
      }
    ),
    (
      "reversed",
      { value in
        guard value.children.count > 1 else { return false }
        value.children.reverse()
        return true
      }
    ),
    (
      "first child twice",
      { value in
        guard let child = value.children.first else { return false }
        value.children.insert(child, at: 0)
        return true
      }
    ),
    (
      "without first child",
      { value in
        guard !value.children.isEmpty else { return false }
        value.children.removeFirst()
        return true
      }
    ),
    (
      "without last child",
      { value in
        value.children.popLast() != nil
      }
    ),
    (
      "NULL behind",
      { value in
        guard value.tag & 0x20 != 0 else { return false }
        value.children.append(DERTree(0x05, bytes: []))
        return true
      }
    ),
  ]

  private static func prepend(_ bytes: [UInt8], _ value: inout DERTree) -> Bool {
    guard value.tag & 0x20 == 0 else { return false }
    value.bytes = bytes + value.bytes
    return true
  }

  private static func content(of value: DERTree) -> [UInt8] {
    value.tag & 0x20 != 0 ? value.children.flatMap { Array($0.encoded) } : value.bytes
  }

  @Test func `What openssl refuses is not believed, whatever was changed`() throws {
    let messages = [
      (World.betaID, try World.opensslSigned([world.beta])),
      (World.alphaID, try World.opensslSigned([world.alpha, world.leader])),
      (World.betaID, try World.signer(world.beta).sign(World.content, at: World.now)),
    ]
    var tried = 0
    var believed: [Data] = []
    for (unit, message) in messages {
      let tree = try #require(DERTree(message))
      #expect(verify(message, from: unit).problem == nil)
      for place in Self.places(tree) {
        for (name, spoil) in Self.spoilers {
          var mutant = tree
          var applies = false
          Self.change(&mutant, at: place) { applies = spoil(&$0) }
          let encoded = mutant.encoded
          guard applies, encoded != message else { continue }
          tried += 1
          guard case .valid(let content, _) = verify(encoded, from: unit) else { continue }
          believed.append(encoded)
          #expect(content == World.content)
          #expect(try opensslVerifies(encoded), "\(name) at \(place)")
          let again = try #require(DERTree(encoded), "\(name) at \(place) is no DER")
          #expect(again.encoded == encoded, "\(name) at \(place) is no DER")
        }
      }
    }
    #expect(tried > 3_000)
    #expect((1..<200).contains(believed.count), "\(tried) tried, \(believed.count) believed")
    for answer in try strictDER(believed) { #expect(answer == "ok") }
  }

  /// What the reader of the Python client says about the form of each message.
  private func strictDER(_ messages: [Data]) throws -> [String] {
    let input = try folder.write(
      Data(messages.map { $0.base64EncodedString() + "\n" }.joined().utf8), as: "messages")
    let reader = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../PythonClient/strict_der.py").standardized
    try Command.run([
      "sh", "-c", #"exec /usr/bin/python3 "$1" <"$2" >"$3""#, "sh", reader.path, input,
      folder.path("answers"),
    ])
    let answers = try String(contentsOfFile: folder.path("answers"), encoding: .utf8)
      .split(separator: "\n").map(String.init)
    #expect(answers.count == messages.count)
    return answers
  }

  // MARK: The profile, rule by rule

  private func tree() throws -> DERTree {
    try #require(DERTree(World.opensslSigned([world.beta])))
  }

  private static func algorithm(_ last: [UInt8], null: Bool = true) -> DERTree {
    DERTree(
      0x30,
      [DERTree(0x06, bytes: last)] + (null ? [DERTree(0x05, bytes: [])] : []))
  }

  private static let sha256: [UInt8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]
  private static let sha512: [UInt8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03]
  private static let md5: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x05]

  @Test func `digestAlgorithms are those of the signers`() throws {
    let (sha256, plain) = (
      Self.algorithm(Self.sha256), Self.algorithm(Self.sha256, null: false)
    )
    let cases: [(name: String, list: [DERTree], isRefused: Bool)] = [
      ("as it is", [sha256], false), ("without NULL", [plain], false), ("none", [], true),
      ("only MD5", [Self.algorithm(Self.md5)], true),
      ("MD5 too", [Self.algorithm(Self.md5), sha256], true),
      ("an unused one too", [sha256, Self.algorithm(Self.sha512)], true),
      ("another", [Self.algorithm(Self.sha512)], true), ("twice", [sha256, sha256], true),
      ("in both forms", [plain, sha256], true),
    ]
    for (name, list, isRefused) in cases {
      var tree = try tree()
      tree.signedDataParts[1].children = list
      let problem = verify(tree.encoded).problem
      #expect((problem == .badProfile) == isRefused, "\(name): \(String(describing: problem))")
      #expect(try isRefused || opensslVerifies(tree.encoded), "\(name)")
    }
  }

  @Test func `Versions are those of RFC 5652`() throws {
    for version: UInt8 in [0, 2, 3, 4, 5] {
      var tree = try tree()
      tree.signedDataParts[0].bytes = [version]
      #expect(verify(tree.encoded).problem == .badProfile)
      tree.signedDataParts[0].bytes = [1]
      let last = tree.signedDataParts.count - 1
      tree.signedDataParts[last].children[0].children[0].bytes = [version]
      #expect(verify(tree.encoded).problem == .badProfile)
    }
    let named = try World.opensslSigned([world.beta], options: ["-cades", "-nodetach", "-keyid"])
    #expect(verify(named).problem == nil)
    var tree = try #require(DERTree(named))
    #expect(tree.signedDataParts[0].bytes == [3])
    tree.signedDataParts[0].bytes = [1]
    #expect(verify(tree.encoded).problem == .badProfile)
  }

  @Test func `BER is refused by name, and its content is known`() throws {
    let streamed = try World.opensslSigned(
      [world.beta], options: ["-cades", "-nodetach", "-stream"])
    #expect(DERTree(streamed) == nil, "openssl writes indefinite lengths with -stream")
    #expect(try opensslVerifies(streamed))
    guard case .invalid(.badProfile, let detail, let content) = verify(streamed) else {
      Issue.record("BER is believed")
      return
    }
    #expect(detail.hasPrefix("is BER, not DER: an indefinite length at byte 0"))
    #expect(content == World.content)
  }

  @Test func `Nobody signs twice`() throws {
    var tree = try tree()
    let last = tree.signedDataParts.count - 1
    let signer = tree.signedDataParts[last].children[0]
    tree.signedDataParts[last].children = [signer, signer]
    #expect(verify(tree.encoded).problem == .badProfile)
    // Once by issuer and number, once by key identifier.
    let named = try #require(
      DERTree(World.opensslSigned([world.beta], options: ["-cades", "-nodetach", "-keyid"])))
    let other = try #require(named.signedDataParts.last?.children.first)
    tree.signedDataParts[last].children = [signer, other].sorted {
      $0.encoded.lexicographicallyPrecedes($1.encoded)
    }
    tree.signedDataParts[0].bytes = [3]
    let verdict = verify(tree.encoded)
    guard case .invalid(.badProfile, "one signer signs twice", _) = verdict else {
      Issue.record("\(verdict)")
      return
    }
  }

  @Test func `Revocation lists inside are ignored`() throws {
    let path = try world.root.revocationList()
    let list = try OpenSSLCommand.require(["crl", "-in", path, "-outform", "DER"])
    var tree = try tree()
    tree.signedDataParts.insert(DERTree(0xA1, [try #require(DERTree(list))]), at: 4)
    #expect(verify(tree.encoded).problem == nil)
    #expect(try opensslVerifies(tree.encoded))
    // An OCSP answer (RFC 5940) in its place makes the version 5.
    let ocsp = DERTree(0x06, bytes: [0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x10, 0x02])
    tree.signedDataParts[4].children = [DERTree(0xA1, [ocsp, DERTree(0x30, [])])]
    #expect(verify(tree.encoded).problem == .badProfile)
    tree.signedDataParts[0].bytes = [5]
    #expect(verify(tree.encoded).problem == nil)
    #expect(try opensslVerifies(tree.encoded))
  }

  @Test func `Only X.509 certificates are inside`() throws {
    for tag: UInt8 in [0xA0, 0xA1, 0xA2, 0xA3] {
      var tree = try tree()
      tree.signedDataParts[3].children.append(DERTree(tag, [DERTree(0x30, [])]))
      #expect(verify(tree.encoded).problem != nil)
    }
  }

  // MARK: Attributes, signed anew

  /// `attribute` with one value, or several.
  private static func attribute(_ last: UInt8, _ values: [DERTree]) -> DERTree {
    DERTree(
      0x30,
      [
        DERTree(0x06, bytes: [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, last]),
        DERTree(0x31, values),
      ])
  }

  /// The message with its signed attributes changed, in the order of DER unless `isSorted` is false,
  /// and signed again.
  private func signed(
    isSorted: Bool = true, _ change: (inout [DERTree]) -> Void
  ) throws -> Data {
    var tree = try tree()
    let last = tree.signedDataParts.count - 1
    var attributes = tree.signedDataParts[last].children[0].children[3].children
    change(&attributes)
    let sorted = attributes.sorted { $0.encoded.lexicographicallyPrecedes($1.encoded) }
    let input = try folder.write(DERTree(0x31, sorted).encoded, as: UUID().uuidString)
    let signature = try OpenSSLCommand.require([
      "dgst", "-sha256", "-sign", world.beta.keyPath, input,
    ])
    tree.signedDataParts[last].children[0].children[3].children = isSorted ? sorted : attributes
    tree.signedDataParts[last].children[0].children[5].bytes = Array(signature)
    return tree.encoded
  }

  private static func replaceTime(_ tag: UInt8, _ text: String) -> (inout [DERTree]) -> Void {
    { attributes in
      let time: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x05]
      guard let at = attributes.firstIndex(where: { $0.children[0].bytes == time }) else { return }
      attributes[at].children[1].children = [DERTree(tag, bytes: Array(text.utf8))]
    }
  }

  @Test(arguments: [
    (UInt8(0x17), "2601010000+0700"), (0x17, "260101000000+0700"), (0x17, "2601010000Z"),
    (0x17, "260101000000"), (0x17, "260101000000z"), (0x17, "260101000000.5Z"),
    (0x17, "261301000000Z"),
    (0x18, "20260101000000Z"), (0x18, "20260101000000.5Z"), (0x18, "20500101000000.5Z"),
    (0x18, "20500101000000+0700"), (0x18, "205001010000Z"), (0x18, "20500101000000"),
    (0x0C, "260101000000Z"),
  ])
  func `signing-time has one form`(tag: UInt8, text: String) throws {
    let message = try signed(Self.replaceTime(tag, text))
    #expect(verify(message).problem == .badProfile, "\(text)")
  }

  @Test func `signing-time in its form is read`() throws {
    let now = World.now.iso8601.filter(\.isNumber).prefix(14)
    let message = try signed(Self.replaceTime(0x17, "\(now.dropFirst(2))Z"))
    #expect(verify(message).problem == nil)
    #expect(try opensslVerifies(message))
    #expect(
      verify(try signed(Self.replaceTime(0x18, "20510101000000Z"))).problem == .signedInFuture)
  }

  @Test func `Each signed attribute is there once, with one value`() throws {
    let other = Self.attribute(99, [DERTree(0x0C, bytes: Array("x".utf8))])
    let fine = try signed { $0.append(other) }
    #expect(verify(fine).problem == nil)
    #expect(try opensslVerifies(fine))
    let values = [DERTree(0x0C, bytes: [0x61]), DERTree(0x0C, bytes: [0x62])]
    #expect(verify(try signed { $0.append(Self.attribute(99, values)) }).problem == .badProfile)
    #expect(verify(try signed { $0.append(Self.attribute(99, [])) }).problem == .badProfile)
    #expect(verify(try signed { $0 += [other, other] }).problem == .badProfile)
    for index in 0..<4 {
      let twice = try signed { $0.append($0[index]) }
      #expect(verify(twice).problem == .badProfile)
      let without = try signed { $0.remove(at: index) }
      let hasCapabilities = try tree().signedDataParts.last?.children[0].children[3].children.count
      #expect(verify(without).problem == .badProfile || hasCapabilities == 5)
    }
    #expect(verify(try signed(isSorted: false) { $0.reverse() }).problem == .badProfile)
  }

  @Test(arguments: [(10_000, true), (20_000, false), (500_000, false)])
  func `Signed attributes are bounded`(count: Int, isBelieved: Bool) throws {
    let large = DERTree(0x04, bytes: [UInt8](repeating: 7, count: count))
    let message = try signed { $0.append(Self.attribute(99, [large])) }
    #expect(verify(message).problem == (isBelieved ? nil : .badProfile))
    #expect(try !isBelieved || opensslVerifies(message))
  }

  @Test(arguments: [(60_000, true), (70_000, false), (500_000, false)])
  func `Unsigned attributes are ignored and bounded`(count: Int, isBelieved: Bool) throws {
    var tree = try tree()
    let last = tree.signedDataParts.count - 1
    let large = DERTree(0x04, bytes: [UInt8](repeating: 7, count: count))
    tree.signedDataParts[last].children[0].children.append(
      DERTree(0xA1, [Self.attribute(99, []), Self.attribute(98, [large])]))
    let message = tree.encoded
    #expect(verify(message).problem == (isBelieved ? nil : .badProfile))
    #expect(try !isBelieved || opensslVerifies(message))
  }
}
