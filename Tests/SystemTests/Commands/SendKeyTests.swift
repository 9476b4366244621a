import Foundation
import Testing

/// `send --key`: one document, however often and however the command ended.
@Suite struct SendKeyTests {
  /// Sends the same file each time.
  private static func send(
    _ office: Office, _ changes: [String: String], _ more: [String] = [],
    environment: [String: String] = [:]
  ) async throws -> CommandResult {
    let file = try office.write("%PDF-1.7 một", as: "Quyết định.pdf")
    return try await office.node.congvan(
      try office.sendArguments(changes, files: [file]) + more, environment: environment)
  }

  private static func id(_ result: CommandResult) -> String {
    result.output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  @Test func theSameKeyGivesTheSameDocument() async throws {
    let office = try await Office()
    let first = try await Self.send(office, ["--key": "DON-2026/11:7"])
    let second = try await Self.send(office, ["--key": "DON-2026/11:7"])
    #expect(first.status == 0 && second.status == 0, "\(second)")
    #expect(Self.id(first) == Self.id(second) && second.errors.contains("issued before"))
    let other = try await Self.send(office, ["--key": "don-2026/11:7"])
    #expect(other.status == 0 && Self.id(other) != Self.id(first))
    #expect(try await office.countDocuments() == 2)
    let shown = try Shape.object(
      try await office.node.require("show", Self.id(first), "--json"))
    #expect(shown["key"] as? String == "DON-2026/11:7")
    let again = try Shape.object(
      try await Self.send(office, ["--key": "DON-2026/11:7"], ["--json"]).output)
    #expect(again["id"] as? String == Self.id(first) && again["repeated"] as? Bool == true)
  }

  /// The same request in other words is the same request.
  @Test func howItIsWrittenDoesNotMatter() async throws {
    let office = try await Office()
    let first = try await Self.send(office, ["--key": "k", "--to": "CDCS-MAY;CDCT-HUYEN"])
    let second = try await Self.send(
      office,
      [
        "--key": "k", "--to": "CDCT-HUYEN;MAY",
        "--subject": "  Ban hành Quy chế ".decomposedStringWithCanonicalMapping,
      ])
    #expect(second.status == 0 && Self.id(first) == Self.id(second), "\(second)")
  }

  @Test(arguments: [
    (["--number": "160/QĐ-LĐLĐ"], "number"), (["--to": "CDCT-HUYEN"], "to"),
    (["--date": "2018-07-05"], "date"), (["--subject": "Khác"], "subject"),
    (["--urgency": "khẩn"], "urgency"), (["--due": "2030-01-01"], "due"),
    (["--expires": "3d"], "expires"), (["--signer": "Nguyễn Văn An"], "signer"),
  ])
  func anotherDocumentUnderTheKeyIsRefused(_ change: [String: String], field: String) async throws {
    let office = try await Office()
    let first = try await Self.send(office, ["--key": "k"])
    let second = try await Self.send(office, change.merging(["--key": "k"]) { $1 })
    #expect(second.failure == "SEND-KEY-USED", "\(second)")
    #expect(second.errors.contains("differs in: \(field)\n"), "\(second)")
    #expect(second.errors.contains(Self.id(first)))
    #expect(try await office.countDocuments() == 1)
  }

  /// Which documents a beginning of an id fits changes as documents come; what it meant does not.
  @Test(arguments: ["--reply-to", "--replaces"])
  func aBeginningOfAnIdMeansWhatItMeant(_ option: String) async throws {
    let office = try await Office()
    let before = Self.id(try await Self.send(office, [:]))
    let beginning = String(before.prefix(13))
    let changes = [option: beginning, "--key": "k", "--number": "160/QĐ-LĐLĐ"]
    let first = try await Self.send(office, changes)
    #expect(first.status == 0, "\(first)")
    // Other units choose the ids of their documents, and this one issues two in one millisecond.
    try await office.addDocuments("outgoing", like: before, count: 1)
    try await office.addDocuments("incoming", like: before, count: 12)
    let ambiguous = try await office.node.congvan(["show", beginning])
    #expect(ambiguous.failure == "ID-AMBIGUOUS", "\(ambiguous)")
    for id in [beginning, beginning.uppercased(), before] {
      let second = try await Self.send(office, changes.merging([option: id]) { $1 })
      #expect(second.status == 0 && Self.id(second) == Self.id(first), "\(second)")
      #expect(second.errors.contains("issued before"))
    }
    let other = before.prefix(13) + "-7000-8000-000000000001"
    let differs = try await Self.send(office, changes.merging([option: String(other)]) { $1 })
    #expect(differs.failure == "SEND-KEY-USED", "\(differs)")
    #expect(differs.errors.contains("differs in: \(option.dropFirst(2))\n"), "\(differs)")
    #expect(differs.errors.contains("document \(Self.id(first)) was issued"))
  }

  /// However many documents of other units begin like the one of this unit, and one more of its own does
  /// not stay unseen behind them.
  @Test func theOwnDocumentIsFoundAmongMany() async throws {
    let office = try await Office()
    let own = Self.id(try await Self.send(office, [:]))
    let beginning = String(own.prefix(13))
    try await office.addDocuments("incoming", like: own, count: 12)
    let resent = try await office.node.congvan(["resend", beginning, "--reason", "x", "--dry-run"])
    #expect(resent.status == 0 && resent.output.contains(own), "\(resent)")
    try await office.addDocuments("outgoing", like: own, count: 1, last: "f")
    let two = try await office.node.congvan(["resend", beginning, "--reason", "x", "--dry-run"])
    #expect(two.failure == "ID-AMBIGUOUS" && two.errors.contains("10 or more"), "\(two)")
  }

  @Test func anotherFileUnderTheKeyIsRefused() async throws {
    let office = try await Office()
    let file = try office.write("%PDF-1.7 một", as: "a.pdf")
    #expect(
      try await office.node.congvan(try office.sendArguments(["--key": "k"], files: [file])).status
        == 0)
    _ = try office.write("%PDF-1.7 hai", as: "a.pdf")
    let other = try await office.node.congvan(
      try office.sendArguments(["--key": "k"], files: [file]))
    #expect(other.failure == "SEND-KEY-USED" && other.errors.contains("differs in: files"))
    let gone = try await office.node.congvan(
      try office.sendArguments(["--key": "k"], files: [file + ".gone"]))
    #expect(gone.failure == "ATTACHMENT-UNREADABLE", "\(gone)")
  }

  @Test(arguments: [" ", "a b", "khóa", "a\nb", String(repeating: "k", count: 129), "a;b", "a\"b"])
  func aKeyHasASyntax(_ key: String) async throws {
    let office = try await Office()
    let result = try await office.node.congvan(try office.sendArguments() + ["--key=\(key)"])
    #expect(result.failure == "SEND-KEY", "\(result)")
    #expect(try await office.countDocuments() == 0)
  }

  @Test func commandsAtTheSameTimeIssueOne() async throws {
    let office = try await Office()
    let large = try office.write("%PDF-1.7\n" + String(repeating: "x", count: 300_000), as: "l.pdf")
    let arguments = try office.sendArguments(["--key": "k"], files: [large])
    let ids = try await withThrowingTaskGroup(of: CommandResult.self) { group in
      for _ in 0..<6 { group.addTask { try await office.node.congvan(arguments) } }
      var ids: Set<String> = []
      for try await result in group {
        #expect(result.status == 0, "\(result)")
        ids.insert(Self.id(result))
      }
      return ids
    }
    #expect(ids.count == 1)
    #expect(try await office.countDocuments() == 1)
  }

  /// Killed before the commit, nothing was issued; after it, the repetition finds what was.
  @Test(arguments: [("issue.before-commit", 0), ("issue.after-commit", 1)])
  func afterACrashTheRepetitionIsRight(_ point: String, documents: Int) async throws {
    let office = try await Office()
    let crash = try await Self.send(
      office, ["--key": "k"], environment: ["CONGVAN_CRASH_AT": point])
    #expect(crash.status == 128 + 9)
    #expect(try await office.countDocuments() == documents)
    let again = try await Self.send(office, ["--key": "k"])
    #expect(again.status == 0 && again.errors.contains("issued before") == (documents == 1))
    #expect(try await office.countDocuments() == 1)
  }
}
