import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Messages that are well-formed CMS and still not what schemas/README.md section 5 asks for.
@Suite struct ProfileTests {
  private func verify(_ message: Data) throws -> Verdict {
    try World.shared.get().verifier().verify(message, from: World.betaID, arrivedAt: World.now)
  }

  @Test(arguments: ["md5", "sha1", "sha224", "sha3-256"])
  func `Other digests are refused`(digest: String) throws {
    let message = try World.opensslSigned(
      [try World.shared.get().alpha], options: ["-cades", "-nodetach", "-md", digest])
    let verdict = try verify(message)
    #expect(verdict.problem == .badProfile, "\(verdict)")
    #expect(verdict.content == World.content)
  }

  @Test(arguments: [["-nodetach"], ["-nodetach", "-noattr"], ["-nodetach", "-cades", "-nocerts"]])
  func `Missing attributes or certificates are refused`(options: [String]) throws {
    let message = try World.opensslSigned([try World.shared.get().beta], options: options)
    #expect(try verify(message).problem == .badProfile)
  }

  @Test func `RSA-PSS is not in the profile`() throws {
    let message = try World.opensslSigned(
      [try World.shared.get().alpha],
      options: ["-cades", "-nodetach", "-keyopt", "rsa_padding_mode:pss"])
    #expect(try verify(message).problem == .badProfile)
  }

  @Test(arguments: [TestCA.Key.weakRSA, .weakEC])
  func `Weak keys are refused`(key: TestCA.Key) throws {
    let weak = try World.shared.get().root.issue("LDLD.BETA", key: key)
    #expect(try verify(try World.opensslSigned([weak])).problem == .badProfile)
  }

  @Test func `Detached content is not a signed message`() throws {
    let message = try World.opensslSigned([try World.shared.get().beta], options: ["-cades"])
    #expect(try verify(message).problem == .notSigned)
    #expect(try verify(message).content == nil)
  }

  @Test func `Other content types are refused`() throws {
    let world = try World.shared.get()
    let inner = try World.opensslSigned([world.beta])
    let types = ["1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4", "1.2.3.4"]
    for type in types {
      let message = try World.opensslSigned(
        [world.beta], content: inner, options: ["-cades", "-nodetach", "-econtent_type", type])
      #expect(try verify(message).problem == .badProfile)
    }
  }

  @Test func `An encrypted message is not a signed one`() throws {
    let folder = try TemporaryFolder()
    let input = try folder.write(World.content, as: "content")
    let message = try OpenSSLCommand.require([
      "cms", "-encrypt", "-binary", "-outform", "DER", "-aes256", "-in", input,
      try World.shared.get().alpha.certificatePath,
    ])
    #expect(try verify(message).problem == .notSigned)
  }

  @Test func `One to four signers`() throws {
    let world = try World.shared.get()
    let more = try ["a", "b"].map { try world.root.issue($0, key: .p256) }
    let four = try World.opensslSigned([world.alpha, world.beta, world.leader, more[0]])
    #expect(try verify(four).problem == nil)
    let five = try World.opensslSigned([world.alpha, world.beta, world.leader] + more)
    #expect(try verify(five).problem == .badProfile)
    #expect(try verify(five).content == World.content)
    var tree = try #require(DERTree(four))
    tree.signedDataParts[tree.signedDataParts.count - 1].children = []
    #expect(try verify(tree.encoded).problem == .badProfile)
    #expect(try verify(tree.encoded).content == World.content)
  }

  @Test(arguments: [(16, SignatureProblem?.none), (17, .badProfile), (1000, .badProfile)])
  func `At most sixteen certificates`(count: Int, problem: SignatureProblem?) throws {
    let message = try World.opensslSigned([try World.shared.get().beta])
    var tree = try #require(DERTree(message))
    let certificate = tree.signedDataParts[3].children[0]
    tree.signedDataParts[3].children = Array(repeating: certificate, count: count)
    #expect(try verify(tree.encoded).problem == problem)
  }

  @Test func `Nothing follows the message`() throws {
    let message = try World.opensslSigned([try World.shared.get().beta])
    #expect(try verify(message + [0]).problem == .badProfile)
    #expect(try verify(message + message).problem == .badProfile)
  }

  @Test func `The body limit holds`() throws {
    let limit = Int(WireLimits.bodyBytes)
    #expect(try verify(Data(repeating: 0x30, count: limit + 1)).problem == .badProfile)
    #expect(try verify(Data(repeating: 0x30, count: limit)).problem == .notSigned)
  }

  @Test func `A signature is not shown with another certificate of the same key`() throws {
    let world = try World.shared.get()
    let folder = try TemporaryFolder()
    let subject = "/CN=LDLD.BETA"
    try OpenSSLCommand.require([
      "req", "-new", "-key", world.beta.keyPath, "-subj", subject, "-out", folder.path("csr"),
    ])
    let renewed = try world.root.issue(
      request: folder.path("csr"), keyPath: world.beta.keyPath)
    // With -keyid the signer is named by his key, so both certificates fit.
    let message = try World.opensslSigned(
      [world.beta], options: ["-cades", "-nodetach", "-keyid"])
    #expect(try verify(message).problem == nil)
    let other = try #require(CertificateInfo.all(inPEM: Data(renewed.certificatePEM.utf8)).first)
    var tree = try #require(DERTree(message))
    tree.signedDataParts[3].children = [try #require(DERTree(other.der))]
    let verdict = try verify(tree.encoded)
    #expect(verdict.problem == .badProfile, "\(verdict)")
  }

  /// `digestAlgorithms` stands outside the signature, and CMS_verify would hash the content once for
  /// each of its entries.
  @Test func `Forty thousand digest algorithms cost nothing`() throws {
    let world = try World.shared.get()
    let content = Data(repeating: 0x20, count: 400_000)
    let message = try World.signer(world.beta).sign(content, at: World.noon)
    var tree = try #require(DERTree(message))
    let digest = tree.signedDataParts[1].children[0]
    tree.signedDataParts[1].children = Array(repeating: digest, count: 40_000)
    let verifier = world.verifier()
    let clock = ContinuousClock()
    let time = clock.measure {
      let verdict = verifier.verify(tree.encoded, from: World.betaID, arrivedAt: World.noon)
      #expect(verdict.problem == .badProfile)
    }
    // 16 GB of hashing would take half a minute.
    #expect(time < .seconds(5))
  }
}
