import Foundation
import Testing

/// Slips of a clerk that are legal on the wire: an error where nothing else can be meant, a warning
/// where it may.
@Suite struct PlausibilityTests {
  private static func day(_ days: Int) -> String {
    let date = Date(timeIntervalSinceNow: Double(days) * 86_400)
    return date.ISO8601Format(
      .init(timeZone: TimeZone(secondsFromGMT: 7 * 3600) ?? .gmt).year().month().day())
  }

  /// Codes of the warnings that a send printed, in order, without that the recipients of these tests
  /// have no certificates.
  private static func warnings(_ result: CommandResult) -> [String] {
    result.errors.matches(of: #/warning\[([A-Z-]+)\]: /#).map { String($0.1) }
      .filter { $0 != "RECIPIENT-CERTIFICATE" }
  }

  @Test func whatCannotBeMeantIsRefused() async throws {
    let office = try await Office()
    let today = Self.day(0)
    let cases: [([String: String], String)] = [
      (["--date": "2099-01-01"], "DOCUMENT-DATE"), (["--date": Self.day(400)], "DOCUMENT-DATE"),
      (["--date": "0018-07-04"], "DOCUMENT-DATE"),
      (["--date": today, "--due": Self.day(-1)], "DOCUMENT-DATE"),
      (["--date": today, "--expires": "2020-01-01"], "DOCUMENT-DATE"),
    ]
    for (changes, code) in cases {
      let result = try await office.send(changes)
      #expect(result.failure == code, "\(changes): \(result)")
    }
    #expect(try await office.countDocuments() == 0)
  }

  @Test func whatMayBeMeantIsSaid() async throws {
    let office = try await Office()
    let today = Self.day(0)
    func sent(_ number: String, _ changes: [String: String]) async throws -> [String] {
      let result = try await office.send(changes.merging(["--number": number]) { $1 })
      #expect(result.status == 0, "\(result)")
      return Self.warnings(result)
    }
    #expect(try await sent("1/CV", ["--date": today]) == [])
    #expect(try await sent("2/CV", ["--date": today, "--due": today]) == [])
    #expect(try await sent("3/CV", ["--date": Self.day(5)]) == ["DATE-IN-FUTURE"])
    #expect(try await sent("4/CV", ["--date": Self.day(-400)]) == ["DATE-LONG-AGO"])
    #expect(
      try await sent("5/CV", ["--date": Self.day(-5), "--due": Self.day(-3)]) == ["DUE-DATE-PASSED"]
    )
    #expect(try await sent("6/CV", ["--date": today, "--due": "2099-01-01"]) == ["DUE-DATE-FAR"])
  }

  @Test func aNumberThatWasUsedNamesItsDocument() async throws {
    let office = try await Office()
    let today = Self.day(0)
    let first = try await office.send(["--date": today, "--number": "12/CV"])
    let id = first.output.trimmingCharacters(in: .whitespacesAndNewlines)
    for number in ["12/CV", "012/CV"] {
      let again = try await office.send(["--date": today, "--number": number])
      #expect(Self.warnings(again) == ["NUMBER-USED-BEFORE"], "\(again)")
    }
    let other = try await office.send(["--date": today, "--number": "12a/CV"])
    #expect(Self.warnings(other) == [])
    let notation = try await office.send(["--date": today, "--number": "12/QĐ"])
    #expect(Self.warnings(notation) == [])
    let year = try await office.send(["--date": "2018-07-04", "--number": "12/CV"])
    #expect(Self.warnings(year) == ["DATE-LONG-AGO"])
    let single = try await Office()
    let old = try await single.send(["--date": today, "--number": "12/CV"])
    let oldID = old.output.trimmingCharacters(in: .whitespacesAndNewlines)
    let replacing = try await single.send([
      "--date": today, "--number": "12/CV", "--replaces": oldID,
    ])
    #expect(replacing.status == 0 && Self.warnings(replacing) == [], "\(replacing)")
    let json = try await single.node.congvan(
      try single.sendArguments(["--date": today, "--number": "12/CV"]) + ["--json"])
    let warnings = try Shape.object(json.output).members("warnings")
    #expect(warnings.first?["code"] as? String == "NUMBER-USED-BEFORE")
    #expect((warnings.first?["text"] as? String)?.contains("document ") == true)
    #expect(id.count == 36)
  }

  @Test(arguments: [
    ["@co-so", "CDCS-MAY"], ["CDCS-MAY", "@co-so"], ["@co-so", "@cap-duoi", "MAY"],
  ])
  func aUnitMayBeNamedAndBeInAGroup(_ recipients: [String]) async throws {
    let office = try await Office()
    let result = try await office.send(["--to": recipients.joined(separator: ";")])
    #expect(result.status == 0, "\(result)")
    let twice = try await office.send(["--to": "@co-so;CDCS-MAY;MAY"])
    #expect(twice.failure == "DOCUMENT-RECIPIENTS", "\(twice)")
  }

  @Test func tooManyUnitsAreSplit() async throws {
    let office = try await Office()
    let path = "\(office.node.path)/directory.json"
    var directory = try Shape.object(Command.text(path))
    let units = (0..<2100).map { number in
      ["organId": "CS.\(number)", "organName": "Công đoàn \(number)", "groups": ["nhieu"]]
        as [String: Any]
    }
    directory["units"] = (directory["units"] as? [Any] ?? []) + units
    try JSONSerialization.data(withJSONObject: directory).write(to: URL(filePath: path))
    let result = try await office.send(["--to": "@nhieu"])
    #expect(result.failure == "DOCUMENT-RECIPIENTS", "\(result)")
    #expect(result.errors.contains("2100 units") && result.errors.contains("two or more documents"))
  }

  @Test func aChangedUnitIdIsRefusedEverywhere() async throws {
    let office = try await Office()
    _ = try await office.send()
    let changed = ["CONGVAN_UNIT_ID": "CDCS-MAY"]
    let commands = [
      ["inbox"], ["outbox"], ["deliveries"], ["check"], ["node", "--until-idle"],
      ["reconcile"], ["notices"], ["quarantine"], try office.sendArguments(),
    ]
    for command in commands {
      let result = try await office.node.congvan(command, environment: changed)
      #expect(result.failure == "UNIT-CHANGED", "\(command): \(result)")
      #expect(result.errors.contains("LDLD-TINH") && result.errors.contains("congvan init"))
    }
    let check = try await office.node.congvan(
      ["config", "check", "--offline"], environment: changed)
    #expect(check.status == 1 && check.output.contains("[UNIT-CHANGED]"), "\(check)")
    #expect(try await office.countDocuments() == 1)
  }
}
