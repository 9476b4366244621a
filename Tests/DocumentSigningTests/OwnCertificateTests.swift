import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// A unit's own certificate is judged as its receivers judge it, before anything is signed.
@Suite struct OwnCertificateTests {
  private static let beta = World.betaID
  private let world: World
  private let root: TestCA

  init() throws {
    world = try World.shared.get()
    root = try TestCA(name: "Own Root", key: .p256)
  }

  private func examine(
    _ signer: CMSSigner, listed: [TestCA.Identity], lists: String? = nil,
    at time: Timestamp = World.noon
  ) throws -> SigningError? {
    let verifier = world.verifier(
      trust: try TrustStore.load(anchors: root.rootPath, revocationLists: lists),
      directory: try World.makeDirectory(["LDLD.BETA": listed]))
    return failure { try verifier.examine(signer, of: Self.beta, at: time) }
  }

  @Test func `One in order is believed`() throws {
    let identity = try root.issue("LDLD.BETA", key: .p256)
    #expect(try examine(World.signer(identity), listed: [identity]) == nil)
  }

  @Test func `A missing intermediate is named, and taken from the anchors when it is there`() throws
  {
    let between = try root.intermediate(key: .p256)
    let identity = try between.issue("LDLD.BETA", key: .p256)
    let key = try SigningKey.load(
      key: identity.keyPath, certificate: identity.certificatePath, passphrase: nil)
    let error = try examine(CMSSigner(key: key), listed: [identity])
    #expect(error?.kind == .certificateNotBelieved)
    #expect(error?.hint.contains("Test Intermediate") == true, "\(error?.hint ?? "")")
    #expect(error?.hint.contains("signing.certificateFile") == true)

    let folder = try TemporaryFolder()
    let both = try folder.write(
      Data(contentsOf: URL(filePath: between.certificatePath))
        + Data(contentsOf: URL(filePath: root.rootPath)), as: "both.pem")
    let completed = try key.completed(by: TrustStore.load(anchors: both))
    #expect(completed.intermediates.count == 1)
    // A receiver that trusts the root alone believes it now.
    #expect(try examine(CMSSigner(key: completed), listed: [identity]) == nil)
  }

  @Test func `A weak digest of the authority is named`() throws {
    let identity = try root.issue("LDLD.BETA", extensionLines: [], digest: "sha1")
    let error = try examine(World.signer(identity), listed: [identity])
    #expect(error?.kind == .certificateNotBelieved)
    #expect(error?.hint.contains("SHA-256") == true, "\(error.map { "\($0) \($0.hint)" } ?? "")")
  }

  @Test func `Before and after its time it is not valid`() throws {
    let identity = try root.issue(
      "LDLD.BETA", key: .p256, from: World.noon, to: World.noon.advanced(by: .seconds(100)))
    for seconds in [-1, 100] {
      let time = World.noon.advanced(by: .seconds(seconds))
      let error = try examine(World.signer(identity), listed: [identity], at: time)
      #expect(error?.kind == .certificateNotValid)
    }
    #expect(try examine(World.signer(identity), listed: [identity]) == nil)
  }

  @Test func `An issuer that has ended is named`() throws {
    let between = try root.intermediate(
      name: "Old Intermediate", key: .p256, to: World.noon.advanced(by: .seconds(-60)))
    let identity = try between.issue("LDLD.BETA", key: .p256)
    let error = try examine(World.signer(identity), listed: [identity])
    #expect(error?.kind == .certificateNotBelieved)
    #expect(error?.reason.contains("Old Intermediate") == true)
    #expect(
      try World.signer(identity).certificate?.notAfter == World.noon.advanced(by: .seconds(-60)))
  }

  @Test func `One on the list is revoked`() throws {
    let identity = try root.issue("LDLD.BETA", key: .p256)
    try root.revoke(identity.certificatePath)
    let error = try examine(
      World.signer(identity), listed: [identity], lists: try root.revocationList())
    #expect(error?.kind == .certificateNotBelieved)
    #expect(error?.reason.contains("SIGNATURE-REVOKED") == true)
    #expect(error?.hint.contains("new certificate") == true)
  }

  @Test func `One of another authority, or that the directory does not list`() throws {
    let stranger = try TestCA(name: "Stranger", key: .p256).issue("LDLD.BETA", key: .p256)
    let foreign = try examine(World.signer(stranger), listed: [stranger])
    #expect(foreign?.kind == .certificateNotBelieved)
    let (listed, other) = (
      try root.issue("LDLD.BETA", key: .p256), try root.issue("LDLD.BETA", key: .p256)
    )
    let unlisted = try examine(World.signer(other), listed: [listed])
    #expect(unlisted?.reason.contains("SIGNATURE-UNKNOWN-SIGNER") == true)
    #expect(unlisted?.hint.contains("federation") == true)
  }

  @Test func `What is known against a listed certificate`() throws {
    let between = try root.intermediate(key: .p256)
    let revoked = try root.issue("B", key: .p256)
    try root.revoke(revoked.certificatePath)
    let verifier = world.verifier(
      trust: try TrustStore.load(
        anchors: root.rootPath, revocationLists: try root.revocationList()))
    func kind(_ identity: TestCA.Identity) throws -> CertificateProblem.Kind? {
      let directory = try World.makeDirectory(["LDLD.BETA": [identity]])
      return verifier.problem(of: directory.units[0].listed[0], at: World.noon)?.kind
    }
    #expect(try kind(try root.issue("B", key: .p256)) == nil)
    // Its issuer comes with the message.
    #expect(try kind(try between.issue("B", key: .p256)) == nil)
    #expect(try kind(revoked) == .revoked)
    #expect(try kind(try root.issue("B", key: .p256, to: World.noon)) == .expired)
    #expect(
      try kind(try root.issue("B", key: .p256, from: World.noon.advanced(by: .seconds(1))))
        == .notYetValid)
    #expect(try kind(try root.issue("B", key: .p256, extensions: "server")) == .outsideProfile)
    #expect(try kind(try root.issue("B", key: .weakRSA)) == .outsideProfile)
    #expect(try kind(try root.issue("B", extensionLines: [], digest: "sha1")) == .untrusted)
    #expect(try kind(try between.issue("B", extensionLines: [], digest: "sha1")) == .outsideProfile)
    let folder = try TemporaryFolder()
    try OpenSSLCommand.require([
      "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=self", "-days", "3000",
      "-keyout", folder.path("k"), "-out", folder.path("c"),
    ])
    let text = try String(contentsOfFile: folder.path("c"), encoding: .utf8)
    let selfSigned = try Directory.decode(
      JSONSerialization.data(withJSONObject: [
        "version": 1, "units": [["organId": "S", "organName": "S", "certificates": [text]]],
      ]), hashing: OpenSSLHashing())
    #expect(
      verifier.problem(of: selfSigned.units[0].listed[0], at: World.now)?.kind == .untrusted)
  }

  // MARK: Old documents of the unit itself

  @Test func `An own document counts as of its signing time although its certificate is gone`()
    throws
  {
    let old = try root.issue(
      "LDLD.BETA", name: "Công đoàn Beta", key: .p256,
      to: World.noon.advanced(by: .seconds(3600)))
    let new = try root.issue("LDLD.BETA", name: "Công đoàn Beta", key: .p256)
    let stranger = try root.issue("LDLD.OTHER", name: "Công đoàn khác", key: .p256)
    let trust = try TrustStore.load(anchors: root.rootPath)
    let verifier = world.verifier(
      trust: trust, directory: try World.makeDirectory(["LDLD.BETA": [new]]))
    let subject = try World.signer(new).certificate?.subject
    let message = try World.signer(old).sign(World.content, at: World.noon)
    let years = World.noon.advanced(by: .seconds(3 * 365 * 86_400))
    #expect(
      verifier.verify(message, from: Self.beta, arrivedAt: years).problem == .unknownSigner)
    #expect(verifier.verifyOwn(message, of: Self.beta, subject: nil).problem == nil)
    #expect(verifier.verifyOwn(message, of: Self.beta, subject: subject).problem == nil)
    // Nobody else's, and nothing that was altered or revoked.
    let foreign = try World.signer(stranger).sign(World.content, at: World.noon)
    #expect(
      verifier.verifyOwn(foreign, of: Self.beta, subject: subject).problem == .notThisUnit)
    var altered = message
    altered[altered.count - 1] ^= 1
    #expect(verifier.verifyOwn(altered, of: Self.beta, subject: subject).problem == .altered)
    try root.revoke(old.certificatePath)
    let later = world.verifier(
      trust: try TrustStore.load(
        anchors: root.rootPath, revocationLists: try root.revocationList()),
      directory: try World.makeDirectory(["LDLD.BETA": [new]]))
    #expect(later.verifyOwn(message, of: Self.beta, subject: subject).problem == .revoked)
    // A certificate with the unit's name that the directory lists for another one is that one's.
    let moved = world.verifier(
      trust: trust, directory: try World.makeDirectory(["LDLD.BETA": [new], "LDLD.OTHER": [old]]))
    #expect(moved.verifyOwn(message, of: Self.beta, subject: subject).problem == .notThisUnit)
  }
}
