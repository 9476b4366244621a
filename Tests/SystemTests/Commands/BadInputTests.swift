import Foundation
import Testing

/// What a clerk can get wrong: always the house's two lines, status 1, and no document.
@Suite struct BadInputTests {
  /// Nobody sends anything from this one.
  private static let shared = Task { try await Office() }

  @Test(arguments: [
    (["--number": "159"], "DOCUMENT-NUMBER"),
    (["--number": "QĐ-159/LĐLĐ"], "DOCUMENT-NUMBER"),
    (["--number": "159/QĐ LĐLĐ"], "DOCUMENT-NUMBER"),
    (["--date": "2023-02-30"], "DOCUMENT-DATE"),
    (["--date": "04/07/2018"], "DOCUMENT-DATE"),
    (["--due": "ngày mai"], "DOCUMENT-DATE"),
    (["--to": "CDCS-MAI"], "UNIT-UNKNOWN"),
    (["--to": "@khong-co"], "UNIT-UNKNOWN"),
    (["--to": "LDLD-TINH"], "DOCUMENT-RECIPIENTS"),
    (["--to": "CDCS-MAY;MAY"], "DOCUMENT-RECIPIENTS"),
    (["--subject": ""], "DOCUMENT-TEXT"),
    (["--subject": "  "], "DOCUMENT-TEXT"),
    (["--subject": String(repeating: "ế", count: 501)], "DOCUMENT-TEXT"),
    (["--subject": "Quy chế \u{202E}giả"], "DOCUMENT-TEXT"),
    (["--subject": "QuyÕt ®Þnh ban hµnh"], "DOCUMENT-TEXT-ENCODING"),
    (["--type": String(repeating: "a", count: 101)], "DOCUMENT-TEXT"),
    (["--position": "Chủ tịch"], "DOCUMENT-TEXT"),
    (["--urgency": "gấp"], "DOCUMENT-TEXT"),
    (["--secrecy": "Mật"], "DOCUMENT-SECRECY"),
    (["--reply-to": "01976f3e-aaaa-7abc-8abc-0123456789ab"], "NOT-FOUND"),
    (["--reply-to": "abc"], "NOT-FOUND"),
  ])
  func ofARecord(_ changes: [String: String], code: String) async throws {
    let office = try await Self.shared.value
    let result = try await office.send(changes)
    #expect(result.failure == code, "\(result)")
    #expect(try await office.countDocuments() == 0)
  }

  @Test func ofAUnitIsAnsweredWithTheNearestOne() async throws {
    let result = try await Self.shared.value.send(["--to": "CDCS-MAI"])
    #expect(result.errors.contains("did you mean “CDCS-MAY”?"))
  }

  @Test func ofAFile() async throws {
    let office = try await Self.shared.value
    let folder = try CleanUp.folder("files")
    func file(_ name: String, _ text: String) throws -> String {
      let url = URL(filePath: "\(folder)/\(name)")
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
      return url.path
    }
    let good = try file("Tờ trình.pdf", "%PDF-1.7 một")
    let cases = [
      ([folder + "/nowhere.pdf"], "ATTACHMENT-NOT-FOUND"),
      ([folder], "ATTACHMENT-UNREADABLE"),
      ([try file("rỗng.pdf", "")], "ATTACHMENT-SIZE"),
      ([try file("giả.pdf", "MZ not a PDF")], "ATTACHMENT-FORMAT"),
      ([try file("phần mềm.exe", "MZ")], "ATTACHMENT-FORMAT"),
      ([try file("a:b.pdf", "%PDF-1.7")], "ATTACHMENT-NAME"),
      ([good, good], "ATTACHMENT-DUPLICATE"),
      ([good, try file("khác/tờ Trình.pdf", "%PDF-1.7 hai")], "ATTACHMENT-DUPLICATE"),
      ([good, "/dev/zero"], "ATTACHMENT-UNREADABLE"),
      ([good, try fifo("\(folder)/ống.pdf")], "ATTACHMENT-UNREADABLE"),
    ]
    for (files, code) in cases {
      let result = try await office.node.congvan(try office.sendArguments(files: files))
      #expect(result.failure == code, "\(files): \(result)")
    }
    let large = try await office.send(environment: ["CONGVAN_LIMITS_DOCUMENT_BYTES": "1999"])
    #expect(large.failure == "DOCUMENT-TOO-LARGE")
    let two = try await office.node.congvan(
      try office.sendArguments(files: [good, try Samples.pdf()]),
      environment: ["CONGVAN_LIMITS_DOCUMENT_BYTES": "2005"])
    #expect(two.failure == "DOCUMENT-TOO-LARGE")
    #expect(try await office.countDocuments() == 0)
    #expect(office.node.files(in: "tmp") == [])
  }

  private func fifo(_ path: String) throws -> String {
    guard mkfifo(path, 0o600) == 0 else { throw CommandFailed(description: "mkfifo \(path)") }
    return path
  }

  @Test(arguments: [
    (["show", "01976f3e-aaaa-7abc-8abc-0123456789ab"], "NOT-FOUND"),
    (["show", "../../etc"], "NOT-FOUND"),
    (["export", "01976f3e", "--out", "/tmp/never-written"], "NOT-FOUND"),
    (["refuse", "01976f3e", "--reason", "x"], "NOT-FOUND"),
    (["resend", "01976f3e", "--reason", "x"], "NOT-FOUND"),
    (["resend", "--failed", "--reason", " "], "REASON-MISSING"),
    (["deliveries", "--state", "sent"], "DOCUMENT-TEXT"),
    (["deliveries", "--since", "hôm qua"], "DOCUMENT-DATE"),
    (["deliveries", "--to", "a b"], "UNIT-UNKNOWN"),
    (["deliveries", "--to", "CDCS-MAI"], "UNIT-UNKNOWN"),
    (["deliveries", "--to", "@khong-co"], "UNIT-UNKNOWN"),
    (["deliveries", "--until", "mai"], "DOCUMENT-DATE"),
    (["deliveries", "--since", "1h", "--until", "2h"], "DOCUMENT-DATE"),
    (["deliveries", "--document", "01976f3e"], "NOT-FOUND"),
    (["reconcile", "CDCS-MAI"], "UNIT-UNKNOWN"),
    (["resend", "--to", "CDCS-MAI", "--reason", "x"], "UNIT-UNKNOWN"),
    (["verify", "/nowhere", "--ca", "/etc/ssl/certs/ca-certificates.crt"], "ATTACHMENT-NOT-FOUND"),
    (["verify", "/nowhere", "--ca", "/nowhere"], "TRUST-UNREADABLE"),
    (["bench", "--to", "KHAC"], "UNIT-UNKNOWN"),
    (["bench", "--size", "0"], "DOCUMENT-TEXT"),
  ])
  func ofOtherCommands(_ arguments: [String], code: String) async throws {
    let result = try await Self.shared.value.node.congvan(arguments)
    #expect(result.failure == code, "\(result)")
  }
}
