import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// Which key usages and extended key usages may sign documents, and what a unit is told about its own
/// certificate before it signs.
@Suite struct CertificateUsageTests {
  struct Profile: Sendable, CustomTestStringConvertible {
    let lines: [String]
    /// What the verdict names; nil when it is refused.
    let name: String?
    var testDescription: String { lines.joined(separator: "; ") }
  }

  static let profiles: [Profile] = [
    Profile(lines: [], name: "any (no extended key usage)"),
    Profile(lines: ["keyUsage=digitalSignature"], name: "any (no extended key usage)"),
    Profile(lines: ["keyUsage=critical,nonRepudiation"], name: "any (no extended key usage)"),
    Profile(lines: ["extendedKeyUsage=emailProtection"], name: "emailProtection"),
    Profile(lines: ["extendedKeyUsage=1.3.6.1.5.5.7.3.36"], name: "documentSigning"),
    Profile(
      lines: ["extendedKeyUsage=critical,1.3.6.1.4.1.311.10.3.12"],
      name: "Microsoft document signing"),
    Profile(lines: ["extendedKeyUsage=anyExtendedKeyUsage"], name: "anyExtendedKeyUsage"),
    // What VNPT-CA gives to organisations.
    Profile(
      lines: [
        "keyUsage=digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment",
        "extendedKeyUsage=clientAuth,1.3.6.1.4.1.311.10.3.12",
      ], name: "Microsoft document signing"),
    Profile(
      lines: ["extendedKeyUsage=codeSigning,1.3.6.1.5.5.7.3.36,emailProtection"],
      name: "emailProtection"),
    Profile(lines: ["keyUsage=keyEncipherment,dataEncipherment"], name: nil),
    Profile(lines: ["keyUsage=keyAgreement", "extendedKeyUsage=emailProtection"], name: nil),
    Profile(lines: ["keyUsage=keyCertSign,cRLSign"], name: nil),
    Profile(lines: ["extendedKeyUsage=clientAuth"], name: nil),
    Profile(lines: ["extendedKeyUsage=serverAuth"], name: nil),
    Profile(lines: ["extendedKeyUsage=codeSigning"], name: nil),
    Profile(lines: ["extendedKeyUsage=critical,timeStamping"], name: nil),
    Profile(lines: ["extendedKeyUsage=OCSPSigning"], name: nil),
    Profile(lines: ["extendedKeyUsage=clientAuth,serverAuth,1.2.3.4"], name: nil),
  ]

  private static let root = Result { try TestCA(name: "Usage Root", key: .p256) }

  private func verifier(_ identity: TestCA.Identity, root: TestCA, lists: String? = nil) throws
    -> CMSVerifier
  {
    try World.shared.get().verifier(
      trust: try TrustStore.load(anchors: root.rootPath, revocationLists: lists),
      directory: try World.makeDirectory(["LDLD.BETA": [identity]]))
  }

  @Test(arguments: profiles) func `A receiver believes those for documents`(_ profile: Profile)
    throws
  {
    let root = try Self.root.get()
    let identity = try root.issue("LDLD.BETA", extensionLines: profile.lines)
    let verifier = try verifier(identity, root: root)
    let signer = try World.signer(identity)
    let verdict = verifier.verify(
      try signer.sign(World.content, at: World.noon), from: World.betaID, arrivedAt: World.noon)
    #expect(verdict.problem == (profile.name == nil ? .untrustedChain : nil), "\(verdict)")
    #expect(verdict.signers.first?.profile == profile.name)
    // And the unit itself is told the same before it signs.
    let failure = failure { try verifier.examine(signer, of: World.betaID, at: World.noon) }
    #expect(failure?.kind == (profile.name == nil ? .certificateNotBelieved : nil))
    if let failure { #expect(failure.hint.contains("for signing documents"), "\(failure)") }
  }

  /// The program in a clerk's hands checks those signatures, too.
  @Test func `openssl verifies other profiles with purpose any`() throws {
    let root = try Self.root.get()
    let identity = try root.issue(
      "LDLD.BETA", extensionLines: ["extendedKeyUsage=clientAuth,1.3.6.1.4.1.311.10.3.12"])
    let folder = try TemporaryFolder()
    let path = try folder.write(
      World.signer(identity).sign(World.content, at: World.now), as: "manifest.p7m")
    let command = ["cms", "-verify", "-inform", "DER", "-in", path, "-CAfile", root.rootPath]
    #expect(try OpenSSLCommand.run(command).status != 0)
    #expect(try OpenSSLCommand.require(command + ["-purpose", "any"]) == World.content)
  }

  @Test(arguments: [
    ["basicConstraints=critical,CA:false", "keyUsage=digitalSignature"],
    ["basicConstraints=critical,CA:true", "keyUsage=keyCertSign", "extendedKeyUsage=serverAuth"],
    ["basicConstraints=critical,CA:true", "keyUsage=cRLSign"], [],
  ])
  func `Issuers are authorities, and for documents`(_ lines: [String]) throws {
    let root = try TestCA(name: "Chain Root", key: .p256)
    let impostor = try root.issue("Not An Authority", extensionLines: lines)
    let folder = try TemporaryFolder()
    let request = try root.request(
      "LDLD.BETA", keyOptions: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    let path = folder.path("unit.crt")
    try OpenSSLCommand.require([
      "x509", "-req", "-in", request.request, "-CA", impostor.certificatePath, "-CAkey",
      impostor.keyPath, "-set_serial", "7", "-days", "3000", "-out", path,
    ])
    let chain = try folder.write(
      Data(contentsOf: URL(filePath: path))
        + Data(contentsOf: URL(filePath: impostor.certificatePath)), as: "chain.pem")
    let signer = CMSSigner(
      key: try SigningKey.load(key: request.key, certificate: chain, passphrase: nil))
    let directory = try Directory.decode(
      JSONSerialization.data(withJSONObject: [
        "version": 1,
        "units": [
          [
            "organId": "LDLD.BETA", "organName": "B",
            "certificates": [try String(contentsOfFile: path, encoding: .utf8)],
          ]
        ],
      ]), hashing: OpenSSLHashing())
    let verifier = try World.shared.get().verifier(
      trust: try TrustStore.load(anchors: root.rootPath), directory: directory)
    let verdict = verifier.verify(
      try signer.sign(World.content, at: World.now), from: World.betaID, arrivedAt: World.now)
    #expect(verdict.problem == .untrustedChain, "\(verdict)")
  }
}
