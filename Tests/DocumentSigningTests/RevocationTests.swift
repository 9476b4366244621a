import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct RevocationTests {
  @Test func `A listed certificate is revoked, whatever its signing time`() throws {
    let world = try World.shared.get()
    let root = try TestCA(name: "Revoking Root", key: .p256)
    let (good, bad) = (
      try root.issue("LDLD.ALPHA", key: .p256), try root.issue("LDLD.BETA", key: .p256)
    )
    let directory = try World.makeDirectory(["LDLD.ALPHA": [good], "LDLD.BETA": [bad]])
    let before = try TrustStore.load(
      anchors: root.rootPath, revocationLists: try root.revocationList())
    try root.revoke(bad.certificatePath)
    let after = try TrustStore.load(
      anchors: root.rootPath, revocationLists: try root.revocationList())
    // Signed, so it claims, before the revocation, which `openssl ca` dates today.
    let early = TestCA.from.advanced(by: .seconds(60))
    let verify = { (trust: TrustStore, identity: TestCA.Identity, unit: UnitID) in
      world.verifier(trust: trust, directory: directory).verify(
        try World.signer(identity).sign(World.content, at: early), from: unit, arrivedAt: early)
    }
    #expect(try verify(before, bad, World.betaID).problem == nil)
    #expect(try verify(after, bad, World.betaID).problem == .revoked)
    #expect(try verify(after, bad, World.betaID).content == World.content)
    #expect(try verify(after, good, World.alphaID).problem == nil)
  }

  @Test func `A revoked intermediate takes its units along`() throws {
    let world = try World.shared.get()
    let root = try TestCA(name: "Root", key: .p256)
    let intermediate = try root.intermediate(name: "Intermediate", key: .p256)
    let unit = try intermediate.issue("LDLD.BETA", key: .p256)
    try root.revoke(intermediate.certificatePath)
    // Both lists in one file: of the intermediate, which lists nothing, and of the root.
    let folder = try TemporaryFolder()
    let lists = try [intermediate.revocationList(), root.revocationList()].map {
      try Data(contentsOf: URL(fileURLWithPath: $0))
    }
    let trust = try TrustStore.load(
      anchors: root.rootPath,
      revocationLists: try folder.write(lists[0] + lists[1], as: "both.crl"))
    #expect(trust.revocationLists.map(\.issuer).count == 2)
    let message = try World.signer(unit).sign(World.content, at: World.noon)
    let verdict = world.verifier(
      trust: trust, directory: try World.makeDirectory(["LDLD.BETA": [unit]])
    ).verify(message, from: World.betaID, arrivedAt: World.noon)
    #expect(verdict.problem == .revoked)
  }

  @Test func `A list past its date still counts and says so`() throws {
    let world = try World.shared.get()
    let next = TestCA.from.advanced(by: .seconds(86_400))
    let trust = try TrustStore.load(
      anchors: world.root.rootPath, revocationLists: try world.root.revocationList(next: next))
    #expect(trust.revocationLists.map(\.nextUpdate) == [next])
    #expect(trust.revocationLists.map(\.thisUpdate) == [TestCA.from])
    let message = try World.signer(world.beta).sign(World.content, at: World.noon)
    let verdict = world.verifier(trust: trust).verify(
      message, from: World.betaID, arrivedAt: World.noon)
    #expect(verdict.problem == nil)
  }

  @Test func `A list in DER is read too`() throws {
    let world = try World.shared.get()
    let folder = try TemporaryFolder()
    let pem = try world.root.revocationList()
    try OpenSSLCommand.require([
      "crl", "-in", pem, "-outform", "DER", "-out", folder.path("list.crl"),
    ])
    let trust = try TrustStore.load(
      anchors: world.root.rootPath, revocationLists: folder.path("list.crl"))
    #expect(trust.revocationLists.count == 1)
  }

  @Test func `Broken and forged files are refused`() throws {
    let world = try World.shared.get()
    let folder = try TemporaryFolder()
    let text = try Data(contentsOf: URL(fileURLWithPath: world.root.rootPath))
    let cut = try folder.write(text + text.dropLast(200), as: "cut.pem")
    let empty = try folder.write(Data(), as: "empty.pem")
    for path in [cut, empty, folder.path("missing.pem")] {
      #expect(throws: SigningError(.trustUnreadable, "")) {
        try TrustStore.load(anchors: path)
      }
      #expect(throws: SigningError(.revocationUnreadable, "")) {
        try TrustStore.load(anchors: world.root.rootPath, revocationLists: path)
      }
    }
    // The same name, another key.
    let forger = try TestCA(key: .p256)
    #expect(throws: SigningError(.revocationUnreadable, "")) {
      try TrustStore.load(
        anchors: world.root.rootPath, revocationLists: try forger.revocationList())
    }
  }
}
