import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import Synchronization
import NodeTestKit
import Testing
import UnitOffice

/// What a node does with its own certificate, and with those of others, in the acts of people.
@Suite struct OwnCertificateTests {
  /// A certificate authority, a directory that a test may change, and nodes over it.
  private final class World: Sendable {
    let root: TestCA
    let clock = ManualClock()
    let source: ChangingDirectory
    let trust: TrustStore

    init(lists: (TestCA) throws -> String? = { _ in nil }) throws {
      root = try TestCA(key: .p256)
      source = ChangingDirectory(try Directory(units: []))
      trust = try TrustStore.load(anchors: root.rootPath, revocationLists: try lists(root))
    }

    func list(_ units: [(Organ, [String])]) throws {
      let wire: [[String: Any]] = units.map { organ, certificates in
        [
          "organId": organ.organId.rawValue, "organName": organ.organName ?? "",
          "certificates": certificates,
        ]
      }
      source.change(
        to: try Directory.decode(
          JSONSerialization.data(withJSONObject: ["version": 1, "units": wire]),
          hashing: OpenSSLHashing()
        ) { CertificateInfo.problem(ofDER: $0) })
    }

    func node(_ organ: Organ, _ identity: TestCA.Identity, folder: TemporaryFolder? = nil) throws
      -> TestNode
    {
      let (trust, source) = (trust, source)
      let verifier = CMSVerifier(trust: { trust }, directory: { source.current })
      let signer = CMSSigner(
        key: try SigningKey.load(
          key: identity.keyPath, certificate: identity.chainPath, passphrase: nil,
          now: clock.now))
      return try TestNode(
        organ, clock: clock, folder: folder,
        signing: TestNode.Signing(
          signer: BelievedSigner(
            signer, unit: organ.organId, verifier: verifier, directory: source),
          verifier: verifier, directory: source))
    }
  }

  private let alpha = Province.alpha
  private let beta = Province.beta

  private func letter(_ folder: TemporaryFolder, _ recipients: [Organ]) throws -> OutgoingDraft {
    draft([try folder.write(pdf("thư"), as: "\(UUID().uuidString).pdf")], to: recipients)
  }

  private func code(_ body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch {
      return (error as? any ReportableError)?.code
    }
  }

  @Test func nothingIsQueuedThatNobodyWouldBelieve() throws {
    let world = try World()
    let usable = try world.root.issue("x", key: .p256)
    let receiver = try world.root.issue("y", key: .p256).certificatePEM
    let server = try world.root.issue("x", key: .p256, extensions: "server")
    let between = try world.root.intermediate(key: .p256).issue("x", key: .p256)
    let expired = try world.root.issue(
      "x", key: .p256, to: world.clock.now.advanced(by: .seconds(-1)))
    let cases: [(TestCA.Identity, String)] = [
      (server, "CERTIFICATE-NOT-BELIEVED"), (expired, "CERTIFICATE-NOT-VALID"),
    ]
    for (identity, expected) in cases {
      try world.list([(alpha, [identity.certificatePEM]), (beta, [receiver])])
      let node = try world.node(alpha, identity)
      let draft = try letter(node.folder, [beta])
      #expect(code { _ = try node.office.send(draft) } == expected)
      #expect(try node.count("document") == 0 && node.count("history") == 0)
      #expect(try node.count("blob") == 0)
    }
    // Without its intermediate, which only the sender's file lacks.
    try world.list([(alpha, [between.certificatePEM]), (beta, [receiver])])
    let (trust, source) = (world.trust, world.source)
    let verifier = CMSVerifier(trust: { trust }, directory: { source.current })
    let bare = CMSSigner(
      key: try SigningKey.load(
        key: between.keyPath, certificate: between.certificatePath, passphrase: nil))
    let signer = BelievedSigner(bare, unit: alpha.organId, verifier: verifier, directory: source)
    #expect(code { try signer.requireBelieved(at: world.clock.now) } == "CERTIFICATE-NOT-BELIEVED")
    #expect(
      code { _ = try signer.sign(Data("x".utf8), at: world.clock.now) }
        == "CERTIFICATE-NOT-BELIEVED")
    // The daemon notices within a minute when the certificate leaves the directory, and at once when
    // a person acts.
    try world.list([(alpha, [usable.certificatePEM]), (beta, [receiver])])
    let node = try world.node(alpha, usable)
    _ = try node.context.signer.sign(Data("x".utf8), at: world.clock.now)
    try world.list([(alpha, []), (beta, [receiver])])
    #expect(
      code { _ = try node.context.signer.sign(Data("x".utf8), at: world.clock.now) }
        == "UNIT-NOT-IN-DIRECTORY")
    let draft = try letter(node.folder, [beta])
    #expect(code { _ = try node.office.send(draft) } == "UNIT-NOT-IN-DIRECTORY")
    #expect(try node.count("document") == 0)
  }

  @Test func aNodeWithoutAUsableCertificateKeepsWhatComesAndAnswersLater() throws {
    let world = try World()
    let (sender, receiver) = (
      try world.root.issue("a", key: .p256), try world.root.issue("b", key: .p256)
    )
    try world.list([(alpha, [sender.certificatePEM]), (beta, [receiver.certificatePEM])])
    let nodes = (try world.node(alpha, sender), try world.node(beta, receiver))
    let broker = FakeBroker(seed: 1)
    let draft = try letter(nodes.0.folder, [beta])
    _ = try nodes.0.office.send(draft)
    try world.list([(alpha, [sender.certificatePEM]), (beta, [])])
    try exchange([nodes.0, nodes.1], through: broker)
    #expect(try nodes.1.verdicts() == ["received"] && nodes.1.answers() == [])
    try world.list([(alpha, [sender.certificatePEM]), (beta, [receiver.certificatePEM])])
    world.clock.advance(by: .seconds(61))
    try exchange([nodes.0, nodes.1], through: broker)
    #expect(try nodes.1.verdicts() == ["accepted"] && nodes.1.answers() == ["01"])
    try exchange([nodes.0, nodes.1], through: broker)
    #expect(try nodes.0.deliveries().map(\.state) == [.delivered])
  }

  @Test func recipientsWithoutAUsableCertificateAreWarnedAboutAndWrittenTo() throws {
    let world = try World()
    let sender = try world.root.issue("a", key: .p256)
    let good = try world.root.issue("b", key: .p256).certificatePEM
    let expired = try world.root.issue(
      "b", key: .p256, to: world.clock.now.advanced(by: .seconds(-5))
    ).certificatePEM
    let cut = String(good.prefix(good.count / 2)) + "\n-----END CERTIFICATE-----\n"
    let server = try world.root.issue("b", key: .p256, extensions: "server").certificatePEM
    let cases: [([String], String?)] = [
      ([], "has no certificate in the directory"), ([expired], "expired on"), ([cut], "damaged"),
      ([server], "serverAuth"), ([expired, cut], "no usable certificate"), ([good], nil),
      ([cut, good], nil), ([expired, good], nil),
    ]
    let node = try { () throws -> TestNode in
      try world.list([(alpha, [sender.certificatePEM])])
      return try world.node(alpha, sender)
    }()
    for (certificates, expected) in cases {
      try world.list([(alpha, [sender.certificatePEM]), (beta, certificates)])
      let sent = try node.office.send(
        try letter(node.folder, [beta]))
      let texts = sent.warnings.filter { $0.kind == .recipientCertificate }.map(\.text)
      #expect(texts.count == (expected == nil ? 0 : 1), "\(certificates.count): \(texts)")
      if let expected { #expect(texts.first?.contains(expected) == true, "\(texts)") }
      #expect(sent.deliveries.map(\.state) == [.queued])
    }
    let many = (0..<30).map { Organ(organId: Province.unit("U\($0)"), organName: "U\($0)") }
    try world.list([(alpha, [sender.certificatePEM])] + many.map { ($0, []) })
    let sent = try node.office.send(
      try letter(node.folder, many))
    #expect(sent.warnings.count { $0.kind == .recipientCertificate } == 1)
    #expect(sent.warnings.contains { $0.text.contains("30 units") })
  }

  @Test func theEndOfTheCertificateIsAnnouncedAMonthBefore() throws {
    let world = try World()
    let receiver = try world.root.issue("b", key: .p256).certificatePEM
    for (days, isSaid) in [(29, true), (31, false)] {
      let identity = try world.root.issue(
        "a", key: .p256, to: world.clock.now.advanced(by: .seconds(days * 86_400)))
      try world.list([(alpha, [identity.certificatePEM]), (beta, [receiver])])
      let node = try world.node(alpha, identity)
      let sent = try node.office.send(
        try letter(node.folder, [beta]))
      #expect(sent.warnings.contains { $0.kind == .certificateEnds } == isSaid)
    }
  }

  // MARK: Rotation

  /// A refusal for the signature is repeated when nothing changed, and heals when the receiver learns of
  /// the certificate.
  @Test func aResendThatWouldBeRefusedAgainIsNotQueued() throws {
    let world = try World()
    let (old, new, receiver) = (
      try world.root.issue("a", key: .p256), try world.root.issue("a", key: .p256),
      try world.root.issue("b", key: .p256)
    )
    try world.list([(alpha, [old.certificatePEM]), (beta, [receiver.certificatePEM])])
    let nodes = (try world.node(alpha, old), try world.node(beta, receiver))
    let broker = FakeBroker(seed: 1)
    let sent = try nodes.0.office.send(
      try letter(nodes.0.folder, [beta]))
    // The receiver's directory does not have the certificate yet.
    try world.list([(alpha, [new.certificatePEM]), (beta, [receiver.certificatePEM])])
    try exchange([nodes.1], through: broker)
    _ = try broker.publish(from: nodes.0.relay, as: nodes.0.id)
    for lane in Lane.allCases {
      _ = try broker.deliver(.init(nodes.1.id, lane), into: nodes.1.intake)
    }
    try nodes.1.settle()
    _ = try broker.publish(from: nodes.1.relay, as: nodes.1.id)
    for lane in Lane.allCases {
      _ = try broker.deliver(.init(nodes.0.id, lane), into: nodes.0.intake)
    }
    try nodes.0.settle()
    #expect(try nodes.0.deliveries().map(\.state) == [.refused])
    #expect(try nodes.0.deliveries().map(\.lastError) == ["SIGNATURE-UNKNOWN-SIGNER"])

    func resend() throws -> [ResendResult] {
      try nodes.0.office.resend(
        ids: [sent.id.rawValue], filter: DeliveryFilter(), reason: "thử lại", dryRun: false)
    }
    let vain = try resend()
    #expect(vain.count == 1 && vain[0].refusal?.contains("--replaces \(sent.id)") == true)
    #expect(try nodes.0.deliveries().map(\.state) == [.refused])

    try world.list([
      (alpha, [new.certificatePEM, old.certificatePEM]), (beta, [receiver.certificatePEM]),
    ])
    #expect(try resend().map(\.refusal) == [nil])
    try exchange([nodes.0, nodes.1], through: broker)
    #expect(try nodes.0.deliveries().map(\.state) == [.delivered])
  }

  @Test func whatWasBelievedIsAnsweredAgainAfterTheCertificateLeftTheDirectory() throws {
    let world = try World()
    let (old, new, receiver) = (
      try world.root.issue("a", key: .p256), try world.root.issue("a", key: .p256),
      try world.root.issue("b", key: .p256)
    )
    let before = [(alpha, [old.certificatePEM]), (beta, [receiver.certificatePEM])]
    let after = [(alpha, [new.certificatePEM]), (beta, [receiver.certificatePEM])]
    try world.list(before)
    let nodes = (try world.node(alpha, old), try world.node(beta, receiver))
    let broker = FakeBroker(seed: 1)
    let sent = try nodes.0.office.send(
      try letter(nodes.0.folder, [beta]))
    try exchange([nodes.0, nodes.1], through: broker)
    #expect(try nodes.1.verdicts() == ["accepted"])

    // alpha lost its database after the federation replaced its certificate.
    try world.list(after)
    let export = nodes.0.folder.path("export")
    _ = try ExportFolder.write(
      nodes.1.store.reader.find(sent.id.rawValue).summary, context: nodes.1.office.context,
      to: export)
    let restored = try world.node(alpha, new)
    let (id, deliveries) = try restored.office.takeIn(export: export)
    #expect(id == sent.id && deliveries.map(\.state) == [.queued])
    try exchange([restored, nodes.1], through: broker)
    #expect(try restored.deliveries().map(\.state) == [.delivered])
    #expect(try nodes.1.verdicts().first == "accepted")
    #expect(try nodes.1.count("received", "state = 'quarantined'") == 0)
  }

  @Test func oneBrokenCertificateDisablesNobodyElse() throws {
    let world = try World()
    let (sender, receiver) = (
      try world.root.issue("a", key: .p256), try world.root.issue("b", key: .p256)
    )
    let whole = try world.root.issue("c", key: .p256).certificatePEM
    let lines = whole.split(separator: "\n")
    let cut = (lines.prefix(4) + lines.suffix(1)).joined(separator: "\n")
    try world.list([
      (alpha, [sender.certificatePEM]), (beta, [receiver.certificatePEM]),
      (Province.gamma, [cut]),
    ])
    #expect(world.source.current.units[2].listed[0].problem?.contains("cut off") == true)
    let nodes = (try world.node(alpha, sender), try world.node(beta, receiver))
    let broker = FakeBroker(seed: 1)
    _ = try nodes.0.office.send(
      try letter(nodes.0.folder, [beta, Province.gamma]))
    try exchange([nodes.0, nodes.1], through: broker)
    #expect(try nodes.0.deliveries().map(\.state).contains(.delivered))
  }
}
