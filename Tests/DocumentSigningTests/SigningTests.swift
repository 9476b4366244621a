import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct SigningTests {
  /// Runs `openssl cms -verify` with nothing but the anchor; the content, or nil when it refuses.
  private func opensslVerifies(_ message: Data, anchor: String) throws -> Data? {
    let folder = try TemporaryFolder()
    let path = try folder.write(message, as: "message")
    let result = try OpenSSLCommand.run([
      "cms", "-verify", "-inform", "DER", "-in", path, "-CAfile", anchor,
    ])
    return result.status == 0 ? result.output : nil
  }

  @Test func `Plain openssl verifies what we sign`() throws {
    let world = try World.shared.get()
    for identity in [world.alpha, world.beta] {
      let message = try World.signer(identity).sign(World.content, at: World.now)
      #expect(try opensslVerifies(message, anchor: world.root.rootPath) == World.content)
    }
  }

  @Test func `Plain openssl notices one changed byte`() throws {
    let world = try World.shared.get()
    let message = try World.signer(world.beta).sign(World.content, at: World.now)
    let content = try #require(message.range(of: World.content))
    // The signature is the message's last value: there are no unsigned attributes.
    let signature = (message.count - 60)..<message.count
    let critical = [content.lowerBound, content.upperBound - 1] + Array(signature).suffix(20)
    for position in Array(stride(from: 0, to: message.count, by: 37)) + critical {
      var altered = message
      altered[position] ^= 0x01
      let output = try opensslVerifies(altered, anchor: world.root.rootPath)
      // A few bytes stand outside every signature, like the version numbers; whatever they say, the
      // content is the signed one.
      #expect(output == nil || (output == World.content && !critical.contains(position)))
    }
  }

  @Test func `Certificates go along, the root stays at home`() throws {
    let world = try World.shared.get()
    let message = try World.signer(world.alpha).sign(World.content, at: World.noon)
    let tree = try #require(DERTree(message))
    let subjects = try tree.signedDataParts[3].children.map {
      try CertificateInfo(der: $0.encoded).subject
    }
    #expect(
      Set(subjects) == [
        "CN=LDLD.ALPHA,O=Liên đoàn Lao động Alpha", "CN=Test Intermediate,O=Test Federation",
      ])
  }

  @Test func `The signed attributes are those of CAdES-B and no others`() throws {
    let world = try World.shared.get()
    let message = try World.signer(world.beta).sign(World.content, at: World.noon)
    let signer = try #require(DERTree(message)?.signedDataParts.last?.children.first)
    let attributes = try #require(signer.children.first { $0.tag == 0xA0 })
    let kinds = attributes.children.map { Array($0.children[0].bytes.suffix(4)) }
    // 1.2.840.113549.1.9.3, .4, .5 and .16.2.47
    #expect(
      Set(kinds) == [[0x0D, 1, 9, 3], [0x0D, 1, 9, 4], [0x0D, 1, 9, 5], [9, 16, 2, 47]])
    let algorithm = signer.children[2].children[0].bytes
    #expect(algorithm == [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], "SHA-256")
  }

  @Test func `Signing time is in whole seconds, in either of the two forms`() throws {
    let world = try World.shared.get()
    let far = Timestamp(microseconds: 2_700_000_000_000_000)  // 2055: GeneralizedTime
    let root = try TestCA(key: .p256, to: far.advanced(by: .seconds(86_400)))
    let lasting = try root.issue("LDLD.ALPHA", key: .p256, to: far.advanced(by: .seconds(60)))
    let verifier = world.verifier(
      trust: try TrustStore.load(anchors: root.rootPath),
      directory: try World.makeDirectory(["LDLD.ALPHA": [lasting]]))
    for time in [World.noon, far] {
      let message = try World.signer(lasting).sign(
        World.content, at: time.advanced(by: .microseconds(999_999)))
      let verdict = verifier.verify(message, from: World.alphaID, arrivedAt: time)
      #expect(verdict.signers.first?.signingTime == time, "\(verdict)")
    }
  }

  @Test(arguments: [0, 1, 3000, 700_000])
  func `Content of any length comes back as it was`(length: Int) throws {
    let world = try World.shared.get()
    let content = Data((0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    let message = try World.signer(world.beta).sign(content, at: World.noon)
    let verdict = world.verifier().verify(message, from: World.betaID, arrivedAt: World.noon)
    #expect(verdict.problem == nil && verdict.content == content)
  }

  @Test func `What does not fit a message body is not signed`() throws {
    let signer = try World.signer(try World.shared.get().beta)
    let content = Data(count: Int(WireLimits.bodyBytes) - 100)
    #expect(throws: SigningError(.signedTooLarge, "")) {
      try signer.sign(content, at: World.noon)
    }
  }

  @Test func `A certificate that is not valid does not sign`() throws {
    let world = try World.shared.get()
    let signer = try World.signer(world.beta)
    for time in [TestCA.from.advanced(by: .seconds(-1)), TestCA.to] {
      #expect(throws: SigningError(.certificateNotValid, "")) {
        try signer.sign(World.content, at: time)
      }
    }
  }

  @Test func `Several threads sign and verify at once`() async throws {
    let world = try World.shared.get()
    let signer = try World.signer(world.alpha)
    let verifier = world.verifier()
    await withTaskGroup(of: Bool.self) { group in
      for number in 0..<8 {
        group.addTask { @concurrent in
          (0..<20).allSatisfy { turn in
            let content = Data("\(number)/\(turn)".utf8)
            let message = try? signer.sign(content, at: World.noon)
            let verdict = verifier.verify(
              message ?? Data(), from: World.alphaID, arrivedAt: World.noon)
            return verdict.problem == nil && verdict.content == content
          }
        }
      }
      for await isRight in group { #expect(isRight) }
    }
  }
}
