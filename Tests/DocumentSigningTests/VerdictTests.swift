import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Every problem of `SignatureProblem`, and what must not be one.
@Suite struct VerdictTests {
  private let day = Duration.seconds(86_400)

  private func verify(_ message: Data, from unit: UnitID = World.betaID) throws -> Verdict {
    try World.shared.get().verifier().verify(message, from: unit, arrivedAt: World.now)
  }

  @Test func `What openssl signs verifies, RSA and EC`() throws {
    let world = try World.shared.get()
    for (unit, identity) in [(World.alphaID, world.alpha), (World.betaID, world.beta)] {
      for digest in ["sha256", "sha384", "sha512"] {
        let message = try World.opensslSigned(
          [identity], options: ["-cades", "-nodetach", "-md", digest])
        let verdict = try verify(message, from: unit)
        #expect(verdict.problem == nil && verdict.content == World.content, "\(verdict)")
        #expect(verdict.signers.count == 1)
      }
    }
  }

  @Test func `An alias stands for its unit`() throws {
    let world = try World.shared.get()
    let message = try World.opensslSigned([world.beta])
    #expect(try verify(message, from: World.unit("LDLD.BETA-OLD")).problem == nil)
  }

  @Test func `The verdict names the signer`() throws {
    let world = try World.shared.get()
    let message = try World.signer(world.alpha).sign(World.content, at: World.noon)
    let verdict = world.verifier().verify(message, from: World.alphaID, arrivedAt: World.noon)
    let certificate = try #require(
      CertificateInfo.all(inPEM: Data(world.alpha.certificatePEM.utf8)).first)
    #expect(
      verdict.signers == [
        SignerIdentity(
          subject: "CN=LDLD.ALPHA,O=Liên đoàn Lao động Alpha", certificate: certificate.sha256,
          signingTime: World.noon, profile: "any (no extended key usage)")
      ])
  }

  @Test func `Altered content is altered, and still shown`() throws {
    let world = try World.shared.get()
    var message = try World.opensslSigned([world.beta])
    let range = try #require(message.range(of: World.content))
    message[range.lowerBound] ^= 1
    let verdict = try verify(message)
    #expect(verdict.problem == .altered)
    #expect(verdict.content == message[range])
  }

  @Test func `An altered signature is altered`() throws {
    let world = try World.shared.get()
    for (unit, identity) in [(World.alphaID, world.alpha), (World.betaID, world.beta)] {
      var message = try World.opensslSigned([identity])
      message[message.count - 1] ^= 1
      #expect(try verify(message, from: unit).problem == .altered)
    }
  }

  @Test func `A certificate in no entry is an unknown signer`() throws {
    let world = try World.shared.get()
    let message = try World.opensslSigned([world.leader])
    #expect(try verify(message).problem == .unknownSigner)
    #expect(try verify(message, from: World.unit("NOBODY")).problem == .unknownSigner)
    #expect(try verify(message).content == World.content)
  }

  @Test func `One unit does not sign for another`() throws {
    let world = try World.shared.get()
    let message = try World.opensslSigned([world.beta])
    #expect(try verify(message, from: World.alphaID).problem == .notThisUnit)
    #expect(try verify(message, from: World.unit("NOBODY")).problem == .notThisUnit)
  }

  @Test func `A leader's signature goes along, the unit comes first`() throws {
    let world = try World.shared.get()
    for identities in [[world.beta, world.leader], [world.leader, world.beta]] {
      let verdict = try verify(try World.opensslSigned(identities))
      #expect(verdict.signers.map { $0.subject.prefix(12) } == ["CN=LDLD.BETA", "CN=leader,O="])
    }
  }

  @Test func `A leader nobody vouches for spoils the message`() throws {
    let world = try World.shared.get()
    let foreign = try TestCA(name: "Foreign Root", key: .p256).issue("leader", key: .p256)
    let message = try World.opensslSigned([world.beta, foreign])
    #expect(try verify(message).problem == .untrustedChain)
  }

  @Test func `A directory entry does not replace the chain`() throws {
    let world = try World.shared.get()
    let foreign = try TestCA(name: "Foreign Root", key: .p256).issue("LDLD.BETA", key: .p256)
    let verifier = world.verifier(
      directory: try World.makeDirectory(["LDLD.BETA": [foreign]]))
    let verdict = verifier.verify(
      try World.opensslSigned([foreign]), from: World.betaID, arrivedAt: World.now)
    #expect(verdict.problem == .untrustedChain)
  }

  @Test(arguments: ["server", "encipherment"])
  func `A certificate for another purpose is not trusted`(extensions: String) throws {
    let world = try World.shared.get()
    let wrong = try world.root.issue("LDLD.BETA", key: .p256, extensions: extensions)
    let verifier = world.verifier(directory: try World.makeDirectory(["LDLD.BETA": [wrong]]))
    let message = try World.signer(wrong).sign(World.content, at: World.noon)
    let verdict = verifier.verify(message, from: World.betaID, arrivedAt: World.noon)
    #expect(verdict.problem == .untrustedChain, "\(verdict)")
  }

  @Test func `The signing time may lead by ten minutes`() throws {
    let world = try World.shared.get()
    let message = try World.signer(world.beta).sign(World.content, at: World.noon)
    let verifier = world.verifier()
    let at = { (seconds: Int) in
      verifier.verify(
        message, from: World.betaID, arrivedAt: World.noon.advanced(by: .seconds(seconds)))
    }
    #expect(at(-600).problem == nil)
    #expect(at(-601).problem == .signedInFuture)
    // Up to a day ahead it may be judged later, as of ten minutes before the signing time.
    for seconds in [601, 86_400] {
      guard case .early(let time, _, let content) = at(-seconds) else {
        Issue.record("\(seconds) s ahead: \(at(-seconds))")
        continue
      }
      #expect(time == World.noon.advanced(by: .seconds(-600)))
      #expect(content == World.content)
    }
    guard case .invalid(.signedInFuture, _, _) = at(-86_401) else {
      Issue.record("more than a day ahead: \(at(-86_401))")
      return
    }
  }

  @Test func `Dates are reviewed at the signing time, within the window`() throws {
    let world = try World.shared.get()
    let end = World.noon.advanced(by: day * 10)
    let short = try world.root.issue("LDLD.BETA", key: .p256, to: end)
    let verifier = world.verifier(directory: try World.makeDirectory(["LDLD.BETA": [short]]))
    let message = try World.signer(short).sign(World.content, at: World.noon)
    let after = { (days: Int) in
      verifier.verify(
        message, from: World.betaID, arrivedAt: World.noon.advanced(by: day * days)
      ).problem
    }
    #expect(after(0) == nil)
    // The certificate has expired meanwhile, but the claim is young enough to be believed.
    #expect(after(44) == nil)
    #expect(after(54) == nil)
    // 45 days before day 56 is day 11, when the certificate was no longer valid.
    #expect(after(56) == .expired)
  }

  @Test func `A certificate of the future or the past is named so`() throws {
    let world = try World.shared.get()
    let later = try world.root.issue(
      "LDLD.ALPHA", key: .p256, from: World.now.advanced(by: day * 400))
    let earlier = try world.root.issue(
      "LDLD.BETA", key: .p256, to: World.now.advanced(by: day * -400))
    let verifier = world.verifier(
      directory: try World.makeDirectory(["LDLD.ALPHA": [later], "LDLD.BETA": [earlier]]))
    let verify = { (identity: TestCA.Identity, unit: UnitID) in
      verifier.verify(
        try World.opensslSigned([identity]), from: unit, arrivedAt: World.now
      ).problem
    }
    #expect(try verify(later, World.alphaID) == .notYetValid)
    #expect(try verify(earlier, World.betaID) == .expired)
  }
}
