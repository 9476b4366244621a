import Foundation
import Testing

@Suite struct ConfigurationTests {
  private static let shared = Task { try await Office() }

  private func check(_ environment: [String: String] = [:], _ more: String...) async throws
    -> CommandResult
  {
    try await Self.shared.value.node.congvan(
      ["config", "check", "--offline"] + more, environment: environment)
  }

  @Test func whatIsInOrderIsSaidPartByPart() async throws {
    let result = try await check()
    #expect(result.status == 0, "\(result)")
    let parts = result.output.split(separator: "\n").map { $0.prefix { $0 != ":" } }
    #expect(
      parts == [
        "ok    configuration", "ok    database", "ok    directory", "ok    signing key",
        "ok    trust", "note  directory", "note  directory",
      ])
    // Two units of the directory have no certificate.
    #expect(result.output.contains("unit “CDCS-MAY” has no certificate in the directory"))
  }

  @Test func theEnvironmentOverridesTheFileAndIsNamed() async throws {
    let result = try await check(["CONGVAN_BROKER_PORT": "5999"], "--verbose")
    #expect(result.status == 0)
    #expect(result.output.contains(/broker\.port +environment +5999\n/))
    #expect(result.output.contains(/broker\.host +file +localhost\n/))
    #expect(result.output.contains(/broker\.user +default/))
  }

  @Test(arguments: [
    (["CONGVAN_BROKER_HOTS": "x"], "CONFIG-UNKNOWN-KEY", "did you mean “CONGVAN_BROKER_HOST”?"),
    (["CONGVAN_LOG_LEVLE": "x"], "CONFIG-UNKNOWN-KEY", "did you mean “CONGVAN_LOG_LEVEL”?"),
    (["CONGVAN_BROKER_PORT": "0"], "CONFIG-BAD-VALUE", "broker.port: “0”"),
    (["CONGVAN_BROKER_PORT": "amqp"], "CONFIG-BAD-VALUE", "broker.port: “amqp”"),
    (["CONGVAN_BROKER_HOST": "mq1,,mq2"], "CONFIG-BAD-VALUE", "broker.host: “”"),
    (["CONGVAN_BROKER_HOST": "mq1, mq2:0"], "CONFIG-BAD-VALUE", "broker.host: “mq2:0”"),
    (["CONGVAN_BROKER_HOST": "mq1,mq1:5671"], "CONFIG-BAD-VALUE", "“mq1:5671” is named twice"),
    (["CONGVAN_BROKER_TLS": "yes"], "CONFIG-BAD-VALUE", "broker.tls: “yes”"),
    (["CONGVAN_BROKER_AUTHENTICATION": "none"], "CONFIG-BAD-VALUE", "external, password"),
    (["CONGVAN_BROKER_HEARTBEAT_SECONDS": "4"], "CONFIG-BAD-VALUE", "from 5 to 60"),
    (["CONGVAN_LIMITS_DOCUMENT_BYTES": "1GB"], "CONFIG-BAD-VALUE", "limits.documentBytes"),
    (["CONGVAN_RETRY_HORIZON_HOURS": "0"], "CONFIG-BAD-VALUE", "retry.horizonHours"),
    (["CONGVAN_RECEIPT_OVERDUE_HOURS": "0"], "CONFIG-BAD-VALUE", "receipt.overdueHours"),
    (["CONGVAN_RECEIPT_EXPIRY_WARNING_HOURS": "-1"], "CONFIG-BAD-VALUE", "from 0 to 8760"),
    (
      ["CONGVAN_RECEIPT_OVERDU_HOURS": "1"], "CONFIG-UNKNOWN-KEY",
      "did you mean “CONGVAN_RECEIPT_OVERDUE_HOURS”?"
    ),
    (["CONGVAN_UNIT_ID": "a b"], "CONFIG-BAD-VALUE", "unit.id"),
    (["CONGVAN_LOG_LEVEL": "loud"], "CONFIG-BAD-VALUE", "log.level: “loud”"),
  ])
  func aBadVariableIsExplained(_ variables: [String: String], code: String, text: String)
    async throws
  {
    let result = try await check(variables)
    #expect(result.failure == code)
    #expect(result.errors.contains(text), "\(result.errors)")
  }

  @Test(arguments: [
    ("  host:", "  hots:", "CONFIG-UNKNOWN-KEY", "“broker.hots” — did you mean “broker.host”?"),
    ("unit:", "unti:", "CONFIG-UNKNOWN-KEY", "did you mean “unit.id”?"),
    ("  id:", "  # id:", "CONFIG-MISSING-KEY", "“unit.id” is missing"),
    ("  port: 5671", "  port: [5671]", "CONFIG-BAD-VALUE", "a list is not expected"),
    ("  port: 5671", "  port: -1", "CONFIG-BAD-VALUE", "broker.port"),
    ("  host: localhost", "  host: [mq1, [mq2]]", "CONFIG-BAD-VALUE", "a list of plain values"),
    ("  host: localhost", "  host: []", "CONFIG-BAD-VALUE", "broker.host: “”"),
    ("broker:", "broker: }{", "CONFIG-UNREADABLE", "congvan.yaml: "),
    ("unit:", "unit: {}\nunit:", "CONFIG-UNREADABLE", "duplicated key"),
  ])
  func aBadFileIsExplained(_ from: String, to: String, code: String, text: String) async throws {
    let office = try await Self.shared.value
    let copy = NodeFolder(unit: office.node.unit, path: try CleanUp.folder("config"))
    let original = Command.text("\(office.node.path)/congvan.yaml")
    try #require(original.contains(from))
    let changed = original.replacing(from, with: to, maxReplacements: 1)
    try Data(changed.utf8).write(to: URL(filePath: "\(copy.path)/congvan.yaml"))
    let result = try await copy.congvan(["config", "check", "--offline"])
    #expect(result.failure == code)
    #expect(result.errors.contains(text), "\(result.errors)")
  }

  @Test func aFileOfAnotherKindIsExplained() async throws {
    let node = NodeFolder(unit: "A", path: try CleanUp.folder("config"))
    for text in ["unit", "- unit", "\u{FEFF}", ""] {
      try Data(text.utf8).write(to: URL(filePath: "\(node.path)/congvan.yaml"))
      let code = try await node.congvan(["config", "check"]).failure
      let isEmpty = text.allSatisfy { $0 == "\u{FEFF}" }
      #expect(code == (isEmpty ? "CONFIG-MISSING-KEY" : "CONFIG-UNREADABLE"), "\(text)")
    }
  }

  @Test func severalBrokersAreAListInTheFileAndCommasInTheEnvironment() async throws {
    let office = try await Self.shared.value
    let copy = NodeFolder(unit: office.node.unit, path: try CleanUp.folder("config"))
    let original = Command.text("\(office.node.path)/congvan.yaml")
    for list in ["[mq1.example, 'mq2.example:5673']", "mq1.example , mq2.example:5673"] {
      let changed = original.replacing("  host: localhost", with: "  host: \(list)")
      try Data(changed.utf8).write(to: URL(filePath: "\(copy.path)/congvan.yaml"))
      let result = try await copy.congvan(["config", "check", "--offline", "--verbose"])
      #expect(result.output.contains(/broker\.host +file +mq1\.example ?, mq2\.example:5673\n/))
    }
    // Online: each is checked and named, although the first fails.
    let online = try await office.node.congvan(
      ["config", "check"],
      environment: ["CONGVAN_BROKER_HOST": "localhost:1, nowhere.invalid, localhost:2"])
    #expect(online.status == 1)
    for host in ["localhost:1", "nowhere.invalid:5671", "localhost:2"] {
      #expect(online.output.contains("FAIL  broker \(host): [BROKER-UNREACHABLE]"), "\(online)")
    }
  }

  @Test func everyPartThatFailsIsListedWithWhatToDo() async throws {
    let result = try await check([
      "CONGVAN_DIRECTORY_FILE": "nowhere.json", "CONGVAN_TRUST_ANCHORS_FILE": "nowhere.crt",
    ])
    #expect(result.status == 1)
    #expect(result.output.contains("ok    database"))
    #expect(result.output.contains("FAIL  directory: [DIRECTORY-MALFORMED]"))
    #expect(result.output.contains("FAIL  trust: [TRUST-UNREADABLE]"))
    // Each cause once, with its own next step; the key itself is in order.
    #expect(
      result.output.split(separator: "nowhere.json", omittingEmptySubsequences: false).count == 2)
    #expect(result.output.split(separator: "\n      next: ").count == 3)
    #expect(result.output.contains("Put the directory file of the federation there"))
    #expect(result.output.contains("note  signing key: “"))
    let stranger = try await check(["CONGVAN_UNIT_ID": "KHAC"])
    #expect(stranger.status == 1)
    #expect(stranger.output.contains("FAIL  directory: [UNIT-NOT-IN-DIRECTORY]"))
  }

  @Test func withoutAFolderNothingIsGuessed() async throws {
    #expect(try await Command.run(Places.congvan, ["outbox"]).failure == "CONFIG-NO-FOLDER")
    let nowhere = NodeFolder(unit: "A", path: "/nowhere")
    for command in ["outbox", "inbox", "deliveries", "quarantine", "units", "node"] {
      #expect(try await nowhere.congvan([command]).failure == "CONFIG-MISSING", "\(command)")
    }
    let office = try await Self.shared.value
    let result = try await Command.run(
      Places.congvan, ["units"], environment: ["CONGVAN_DIR": office.node.path + "/"])
    #expect(result.status == 0)
  }
}
