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

  /// A root's list, and its intermediate's, in each form in which authorities hand lists out: the path by
  /// the form, and how many lists it has.
  private func forms(_ folder: TemporaryFolder, _ root: String, _ second: String) throws
    -> [(form: String, path: String, count: Int)]
  {
    var forms: [(form: String, path: String, count: Int)] = []
    func openssl(_ form: String, _ count: Int, _ arguments: [String]) throws {
      try OpenSSLCommand.require(arguments + ["-out", folder.path(form)])
      forms.append((form, folder.path(form), count))
    }
    func write(_ form: String, _ count: Int, _ bytes: Data) throws {
      forms.append((form, try folder.write(bytes, as: form), count))
    }
    func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }
    let both = try folder.write(try bytes(root) + bytes(second), as: "both")
    let world = try World.shared.get()
    forms.append(("pem", both, 2))
    try openssl("der", 1, ["crl", "-in", root, "-outform", "DER"])
    try write("bare", 1, try bytes(folder.path("der")).base64EncodedData())
    try openssl("p7b-pem", 1, ["crl2pkcs7", "-in", root])
    try openssl("p7b-der", 1, ["crl2pkcs7", "-in", root, "-outform", "DER"])
    try openssl(
      "p7b-certificates", 1, ["crl2pkcs7", "-in", root, "-certfile", world.alpha.chainPath])
    try write("p7b-bare", 1, try bytes(folder.path("p7b-der")).base64EncodedData())
    let text = String(decoding: try bytes(folder.path("p7b-pem")), as: UTF8.self)
    for label in ["PKCS #7 SIGNED DATA", "CMS", "X509 CRL"] {
      try write("p7b \(label)", 1, Data(text.replacing("PKCS7", with: label).utf8))
    }
    try write("p7b-crlf", 1, Data(("issuer\r\n" + text.replacing("\n", with: "\r\n")).utf8))
    try write("mixed", 2, Data(text.utf8) + bytes(root))
    return forms
  }

  @Test func `Lists are read in every form`() throws {
    let root = try TestCA(name: "Listing Root", key: .p256)
    let intermediate = try root.intermediate(name: "Listing Intermediate", key: .p256)
    let folder = try TemporaryFolder()
    let bad = try root.issue("LDLD.BETA", key: .p256)
    try root.revoke(bad.certificatePath)
    let world = try World.shared.get()
    let directory = try World.makeDirectory(["LDLD.BETA": [bad]])
    let message = try World.signer(bad).sign(World.content, at: World.noon)
    for (form, path, count) in try forms(
      folder, root.revocationList(), intermediate.revocationList())
    {
      let trust = try TrustStore.load(anchors: root.rootPath, revocationLists: path)
      #expect(trust.revocationLists.count == count, "\(form)")
      let verdict = world.verifier(trust: trust, directory: directory).verify(
        message, from: World.betaID, arrivedAt: World.noon)
      #expect(verdict.problem == .revoked, "\(form)")
    }
  }

  @Test func `What is no list is said to be what it is`() throws {
    let world = try World.shared.get()
    let folder = try TemporaryFolder()
    func openssl(_ name: String, _ arguments: [String]) throws -> String {
      try OpenSSLCommand.require(arguments + ["-out", folder.path(name)])
      return folder.path(name)
    }
    let chain = ["crl2pkcs7", "-nocrl", "-certfile", world.alpha.chainPath]
    let list = try Data(contentsOf: URL(filePath: try world.root.revocationList()))
    let cases: [(String, String)] = [
      (try openssl("a.p7b", chain), "is a PKCS#7 file without revocation lists;"),
      (
        try openssl("b.p7b", chain + ["-outform", "DER"]),
        "is a PKCS#7 file without revocation lists;"
      ),
      (world.root.rootPath, "holds certificates and no private key; a certificate revocation list"),
      (try folder.write(Data(), as: "empty"), "is empty; a certificate revocation list is needed"),
      (try folder.write(Data("gì đó".utf8), as: "text"), "is not recognised;"),
      (
        try folder.write(list + list.dropLast(30), as: "cut"),
        "PEM block 2 of 2 (“X509 CRL”) is cut off: its END line is missing"
      ),
      (
        try folder.write(
          Data("-----BEGIN PKCS7-----\nAQID\n-----END PKCS7-----\n".utf8) + list, as: "broken"),
        "PEM block 1 of 2 (“PKCS7”) is damaged"
      ),
    ]
    for (path, words) in cases {
      let error = #expect(throws: SigningError(.revocationUnreadable, "")) {
        try TrustStore.load(anchors: world.root.rootPath, revocationLists: path)
      }
      #expect(error?.reason.contains(words) == true, "\(error?.reason ?? "")")
    }
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
