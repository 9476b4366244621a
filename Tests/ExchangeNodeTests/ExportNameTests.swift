import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeTestKit
import Testing
import UnitOffice

/// Exports that went through another file system: what counts is the content, and the name in whatever
/// Unicode form.
@Suite(.timeLimit(.minutes(1))) struct ExportNameTests {
  private let names = ["Quyết định 159.pdf", "Phụ lục một.pdf"]
  private let alpha: TestNode
  private let folder: String
  private let id: RecordID

  init() throws {
    let alpha = try TestNode(Province.alpha)
    self.alpha = alpha
    let beta = try TestNode(Province.beta)
    let files = try names.map { try alpha.folder.write(pdf($0), as: $0) }
    id = try alpha.office.send(draft(files, to: [Province.beta])).id
    try exchange([alpha, beta], through: FakeBroker())
    folder = alpha.folder.path("xuất")
    _ = try ExportFolder.write(
      try beta.store.reader.find(id.rawValue).summary, context: beta.office.context, to: folder)
  }

  private func rename(_ name: String, to other: String) throws {
    try FileManager.default.moveItem(
      atPath: "\(folder)/files/\(name)", toPath: "\(folder)/files/\(other)")
  }

  private func verify() throws -> [String?] {
    try ExportFolder.verify(path: folder, hashing: OpenSSLHashing()) { message in
      alpha.context.verifier.verify(message, from: alpha.id, arrivedAt: alpha.clock.now)
    }.attachments.map(\.problem)
  }

  @Test func decomposedNamesAreTheSameNames() throws {
    for name in names { try rename(name, to: name.decomposedStringWithCanonicalMapping) }
    #expect(try verify() == [nil, nil])
    let restored = try TestNode(Province.alpha)
    #expect(try restored.office.takeIn(export: folder).id == id)
    let names = try restored.store.reader.find(id.rawValue).summary.attachments.map(\.name)
    #expect(names.map { Array($0.utf8) } == self.names.map { Array($0.utf8) })
  }

  @Test func oneFormMayBeBrokenAndTheOtherWhole() throws {
    let name = names[0]
    try rename(name, to: name.decomposedStringWithCanonicalMapping)
    #expect(
      FileManager.default.createFile(atPath: "\(folder)/files/\(name)", contents: Data("x".utf8)))
    #expect(try verify() == [nil, nil])
  }

  @Test func alteredContentIsAlteredUnderEveryForm() throws {
    let name = names[0].decomposedStringWithCanonicalMapping
    try rename(names[0], to: name)
    try pdf("khác lắm").write(to: URL(filePath: "\(folder)/files/\(name)"))
    let problems = try verify()
    #expect(problems[0]?.contains("its digest differs") == true && problems[1] == nil)
    #expect(throws: OfficeError(.verifyFailed, "")) {
      try TestNode(Province.alpha).office.takeIn(export: folder)
    }
  }

  @Test func whatStandsThereUnderAnotherNameIsSaid() throws {
    try rename(names[0], to: "Quyet dinh 159.pdf")
    let problems = try verify()
    #expect(
      problems == [
        "is missing; a file of the same content stands there as “Quyet dinh 159.pdf”: rename it",
        nil,
      ])
    try FileManager.default.removeItem(atPath: "\(folder)/files/Quyet dinh 159.pdf")
    #expect(try verify() == ["is missing", nil])
  }
}
