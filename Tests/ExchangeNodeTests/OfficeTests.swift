import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeDatabase
import NodeTestKit
import Testing
import UnitOffice

/// Refusing, resending, exporting and verifying.
@Suite struct OfficeTests {
  let broker = FakeBroker()
  let alpha: TestNode
  let beta: TestNode

  init() throws {
    let clock = ManualClock()
    alpha = try TestNode(Province.alpha, clock: clock)
    beta = try TestNode(Province.beta, clock: clock)
  }

  private func exchange() throws {
    try NodeTestKit.exchange([alpha, beta], through: broker)
  }

  private func delivered() throws -> RecordID {
    let id = try alpha.send(size: 300_000, to: [Province.beta])
    try exchange()
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
    return id
  }

  // MARK: Refuse

  @Test func aPersonRefusesWhatArrived() throws {
    let id = try delivered()
    beta.clock.advance(by: .seconds(60))
    #expect(try beta.office.refuse(String(id.rawValue.prefix(13)), reason: "  sai nơi nhận ") == id)
    try exchange()
    let delivery = try #require(try alpha.deliveries().first)
    #expect(delivery.state == .refused)
    #expect(delivery.lastError == "REFUSED-BY-PERSON")
    #expect(delivery.lastErrorText == "sai nơi nhận")
    #expect(try beta.answers() == ["01", "02 REFUSED-BY-PERSON"])

    #expect(throws: OfficeError(.alreadyRefused, "")) {
      try beta.office.refuse(id.rawValue, reason: "lần nữa")
    }
    // Sent again, it is refused again: by the same stored statement.
    _ = try alpha.office.resend(
      ids: [id.rawValue], filter: DeliveryFilter(), reason: "gửi lại", dryRun: false)
    try exchange()
    #expect(try alpha.deliveries().map(\.state) == [.refused])
    #expect(try beta.answers().count == 2)
  }

  @Test func whatCannotBeRefused() throws {
    let id = try delivered()
    #expect(throws: OfficeError(.notIncoming, "")) {
      try alpha.office.refuse(id.rawValue, reason: "x")
    }
    #expect(throws: DocumentError(.reason, "")) { try beta.office.refuse(id.rawValue, reason: " ") }
    #expect(throws: DocumentError(.text, "")) {
      try beta.office.refuse(id.rawValue, reason: String(repeating: "x", count: 501))
    }
    for bad in ["", "123", "zzzzzzzzzz", "../../etc/passwd", "ffffffff-ffff", "%%%%%%%%"] {
      #expect(throws: StoreError(.notFound, "")) { try beta.office.refuse(bad, reason: "x") }
    }
    let hostile = Hostile(from: Province.gamma, to: Province.beta, clock: beta.clock)
    try beta.intake.store([hostile.message(body: hostile.document())])
    try beta.settle()
    #expect(throws: OfficeError(.notAccepted, "")) {
      try beta.office.refuse(hostile.documentID.rawValue, reason: "x")
    }
    #expect(try beta.answers() == ["01"])
  }

  // MARK: Resend

  private func suspended(to recipients: [Organ]) throws -> RecordID {
    let id = try alpha.send("\(UUID())", to: recipients)
    while case let messages = try alpha.relay.next(count: 10, bytes: 1 << 20), !messages.isEmpty {
      try alpha.relay.settle(messages.map { ($0.token, .refused(code: 403, text: "cấm")) })
    }
    return id
  }

  private func resend(_ ids: String..., dryRun: Bool = false) throws -> [UnitID] {
    try alpha.office.resend(ids: ids, filter: DeliveryFilter(), reason: "gửi lại", dryRun: dryRun)
      .filter { $0.refusal == nil }.map(\.to)
  }

  @Test func resendTakesWhatIsNamed() throws {
    let all = [Province.beta, Province.gamma]
    let id = try suspended(to: all)
    #expect(try resend(id.rawValue, dryRun: true) == all.map(\.organId))
    #expect(try alpha.deliveries().allSatisfy { $0.state == .suspended })
    #expect(try resend("\(id)/\(Province.gamma.organId)") == [Province.gamma.organId])
    #expect(try resend("\(id)/\(Province.betaOld)") == [Province.beta.organId])
    #expect(try resend(id.rawValue) == [])
    #expect(try alpha.deliveries().allSatisfy { $0.state == .queued })
  }

  /// A slip of the pen in the unit must not send to everybody.
  @Test(arguments: ["*", "CDCS.BETA ", "không có", "", "CDCS.NOBODY", "CDCS.BETA/x"])
  func resendToAnUnknownUnitSendsNothing(_ unit: String) throws {
    let id = try suspended(to: [Province.beta, Province.gamma])
    #expect(throws: StoreError(.notFound, "")) { try resend("\(id)/\(unit)") }
    #expect(try alpha.deliveries().allSatisfy { $0.state == .suspended })
  }

  @Test func theSameBytesGoOutAgain() throws {
    let id = try alpha.send(to: [Province.beta])
    var faults = FakeBroker.Faults()
    faults.giveBack = 100
    broker.faults = faults
    try exchange()
    broker.faults = FakeBroker.Faults()
    alpha.clock.advance(by: .seconds(7200))
    try exchange()
    let documents = broker.published.filter { $0.message.envelope.messageID == id.rawValue }
    #expect(documents.count >= 1)
    #expect(Set(documents.map(\.message.body)).count == 1)
    #expect(try alpha.deliveries().map(\.state) == [.delivered])
  }

  /// A unit that received our document may send one of its own under the same id; ours must still
  /// be found.
  @Test func anotherUnitsDocumentUnderOurIdHidesNothing() throws {
    let id = try suspended(to: [Province.beta])
    let hostile = Hostile(from: Province.beta, to: Province.alpha, clock: alpha.clock)
    try alpha.intake.store(
      hostile.pieces() + [
        hostile.message(
          id: id.rawValue, body: try hostile.document { $0["documentId"] = id.rawValue })
      ])
    try alpha.settle()
    #expect(try alpha.verdicts() == ["accepted"])
    #expect(try resend(id.rawValue) == [Province.beta.organId])
    #expect(try alpha.office.refuse(id.rawValue, reason: "trùng mã") == id)
  }

  // MARK: Export and verify

  private func export(_ node: TestNode, _ id: RecordID) throws -> ExportFolder {
    let summary = try node.store.reader.find(id.rawValue).summary
    return try ExportFolder.write(
      summary, context: node.office.context, to: node.folder.path("xuất-\(UUID())"))
  }

  private func verify(_ path: String) throws -> ExportFolder.Report {
    let verifier = try Province.shared.get().verifier
    return try ExportFolder.verify(path: path, hashing: OpenSSLHashing()) { message in
      let verdict = verifier.verify(message, from: alpha.id, arrivedAt: alpha.clock.now)
      if case .valid = verdict { return verdict }
      return verifier.verify(message, from: beta.id, arrivedAt: alpha.clock.now)
    }
  }

  @Test func bothSidesExportTheSameDocument() throws {
    let id = try delivered()
    for node in [alpha, beta] {
      let folder = try export(node, id)
      let report = try verify(folder.path)
      #expect(report.isIntact)
      #expect(report.manifest.documentID == id)
      #expect(report.attachments.count == 1)
      #expect(try verify("\(folder.path)/\(ExportFolder.manifestName)").isIntact)
      let statuses = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/statuses")
      #expect(statuses.count == 1)
      #expect(statuses[0].hasPrefix("01-CDCS.BETA-"))
      let status = try #require(report.statuses.first)
      #expect(status.file == statuses[0] && report.statuses.count == 1 && status.problem == nil)
      #expect(status.statement?.code == .arrived && status.statement?.from == Province.beta)
      #expect(status.statement?.timestamp == alpha.clock.now)
      #expect(status.signers.map(\.subject.isEmpty) == [false])
    }
    let manifests = try [alpha, beta].map { node in
      try Data(
        contentsOf: URL(filePath: "\(export(node, id).path)/\(ExportFolder.manifestName)"))
    }
    #expect(manifests[0] == manifests[1])
  }

  @Test func everyAlteredByteIsSeen() throws {
    let folder = try export(beta, try delivered()).path
    let name = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/files")[0]
    let file = URL(filePath: "\(folder)/files/\(name)")
    let good = try Data(contentsOf: file)
    for index in [0, good.count / 2, good.count - 1] {
      var bad = good
      bad[index] ^= 1
      try bad.write(to: file)
      let report = try verify(folder)
      #expect(report.attachments.first?.problem?.contains("digest") == true)
      #expect(!report.isIntact)
    }
    try good.dropLast().write(to: file)
    #expect(try verify(folder).attachments.first?.problem?.contains("bytes") == true)
    try FileManager.default.removeItem(at: file)
    #expect(try verify(folder).attachments.first?.problem == "is missing")
    try good.write(to: file)
    #expect(try verify(folder).isIntact)

    let manifest = URL(filePath: "\(folder)/\(ExportFolder.manifestName)")
    let signed = try Data(contentsOf: manifest)
    let original = try verify(folder).manifest
    var refused = 0
    let places = stride(from: 0, to: signed.count, by: 7)
    for index in places {
      var bad = signed
      bad[index] ^= 1
      try bad.write(to: manifest)
      do {
        // The few bytes of a CMS that nothing signs may change; what was signed may not.
        #expect(try verify(folder).manifest == original, "byte \(index)")
      } catch let error as OfficeError where error.kind == .verifyFailed {
        refused += 1
      }
    }
    #expect(refused > Array(places).count * 9 / 10)
    try FileManager.default.removeItem(at: manifest)
    #expect(throws: OfficeError(.notAnExport, "")) { try verify(folder) }
    #expect(throws: DocumentError(.attachmentMissing, "")) { try verify(folder + "/không có") }
  }

  @Test func everyAlteredByteOfAStatusIsSeen() throws {
    let folder = try export(alpha, try delivered()).path
    let name = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/statuses")[0]
    let file = URL(filePath: "\(folder)/statuses/\(name)")
    let good = try Data(contentsOf: file)
    let statement = try #require(try verify(folder).statuses.first?.statement)
    var refused = 0
    let places = stride(from: 0, to: good.count, by: 7)
    for index in places {
      var bad = good
      bad[index] ^= 1
      try bad.write(to: file)
      let report = try verify(folder)
      if report.isIntact {
        // Of the few bytes that nothing signs; what was signed is the same.
        #expect(report.statuses.first?.statement == statement, "byte \(index)")
      } else {
        #expect(report.problems.allSatisfy { $0.hasPrefix("status “\(name)” ") })
        refused += 1
      }
    }
    #expect(refused > Array(places).count * 9 / 10)
    try good.dropLast().write(to: file)
    #expect(try !verify(folder).isIntact)
    try Data().write(to: file)
    #expect(try !verify(folder).isIntact)
    try good.write(to: file)
    #expect(try verify(folder).isIntact)
  }

  /// Each is signed by a unit of the province: the signature alone proves nothing about this copy.
  @Test func aStatusOfSomethingElseIsSeen() throws {
    let id = try delivered()
    let folder = try export(alpha, id).path
    let second = try alpha.send("hai", to: [Province.beta])
    try exchange()
    let other = try export(alpha, second).path
    let name = try FileManager.default.contentsOfDirectory(atPath: "\(other)/statuses")[0]
    func problem(_ signed: Data) throws -> String? {
      try signed.write(to: URL(filePath: "\(folder)/statuses/thêm.p7m"))
      let report = try verify(folder)
      #expect(report.statuses.count == 2)
      #expect(report.isIntact == (report.statuses.last?.problem == nil))
      return report.statuses.last?.problem
    }
    let foreign = try Data(contentsOf: URL(filePath: "\(other)/statuses/\(name)"))
    #expect(try problem(foreign)?.hasPrefix("is about another document") == true)

    var statement = StatusStatement(
      statusID: RecordID(at: beta.clock.now), documentID: id,
      manifestDigest: OpenSSLHashing().sha256(Data()), from: Province.beta, to: alpha.id,
      code: .arrived,
      timestamp: beta.clock.now)
    let signer = try Province.shared.get().signer(Province.beta)
    let mismatch = try signer.sign(try StatusCodec.encode(statement), at: beta.clock.now)
    #expect(try problem(mismatch)?.contains("manifestSha256 differs") == true)
    let key = try alpha.store.reader.find(id.rawValue).summary.key
    statement.manifestDigest = try alpha.store.reader.manifestDigest(document: key)
    let right = try signer.sign(try StatusCodec.encode(statement), at: beta.clock.now)
    #expect(try problem(right) == nil)

    let manifest = try Data(contentsOf: URL(filePath: "\(folder)/\(ExportFolder.manifestName)"))
    #expect(try problem(manifest)?.hasPrefix("is signed but is not a status") == true)
    let stranger = try Province.shared.get().signer(Province.delta)
    let unknown = try stranger.sign(try StatusCodec.encode(statement), at: beta.clock.now)
    #expect(try problem(unknown) != nil)
    try FileManager.default.removeItem(atPath: "\(folder)/statuses/thêm.p7m")
    try FileManager.default.createSymbolicLink(
      atPath: "\(folder)/statuses/thêm.p7m", withDestinationPath: "/dev/zero")
    #expect(try verify(folder).statuses.last?.problem == "cannot be read")
  }

  @Test func exportOverwritesNothing() throws {
    let id = try delivered()
    let summary = try beta.store.reader.find(id.rawValue).summary
    let folder = try TemporaryFolder()
    try folder.write(Data("của người khác".utf8), as: "quan-trong.txt")
    #expect(throws: OfficeError(.exportExists, "")) {
      try ExportFolder.write(summary, context: beta.office.context, to: folder.url.path)
    }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["quan-trong.txt"])
    #expect(throws: OfficeError(.exportFailed, "")) {
      try ExportFolder.write(
        summary, context: beta.office.context, to: folder.path("quan-trong.txt/trong"))
    }
  }
}
