import DocumentSigning
import ExchangeCore
import ExchangeNode
import Foundation
import NodeOperations
import NodeTestKit
import Testing

/// What the operator imports, and what is found when the broker differs from it.
@Suite struct BrokerAuditTests {
  private typealias Export = [String: Any]

  private func definitions() throws -> Export {
    let json = try BrokerDefinitions.json(
      for: try Province.shared.get().directory, options: .init(), hashing: OpenSSLHashing())
    return try #require(try JSONSerialization.jsonObject(with: json) as? Export)
  }

  /// The parts with problems, after `change` to an export of what was imported.
  private func found(_ version: String = "4.0.5", _ change: (inout Export) -> Void = { _ in })
    throws
    -> [String: [String]]
  {
    var export = try definitions()
    export["rabbitmq_version"] = version
    change(&export)
    // As `rabbitmqctl export_definitions -` prints it without -q.
    let json = Data("Exporting definitions in JSON to standard output ...\n".utf8)
    let audit = try #require(
      BrokerAudit(
        json + (try JSONSerialization.data(withJSONObject: export)), virtualHost: "congvan"))
    #expect(audit.broker == "RabbitMQ \(version)")
    let parts = audit.parts(for: try Province.shared.get().directory)
    return Dictionary(uniqueKeysWithValues: parts.map { ($0.name, $0.problems) })
      .filter { !$0.value.isEmpty }
  }

  private static func edit(
    _ export: inout Export, _ member: String, _ row: Int, _ key: String, _ value: Any?
  ) {
    guard var rows = export[member] as? [Export] else { return }
    rows[row][key] = value
    export[member] = rows
  }

  private static func policy(_ export: inout Export, _ key: String, _ value: Any?) {
    guard var definition = (export["policies"] as? [Export])?.first?["definition"] as? Export else {
      return
    }
    definition[key] = value
    edit(&export, "policies", 0, "definition", definition)
  }

  @Test func theDefinitionsHoldTheLimits() throws {
    let definitions = try definitions()
    let policy = try #require((definitions["policies"] as? [Export])?.first)
    #expect(policy["pattern"] as? String == "^congvan\\.(ordinary|express)\\.")
    let limits = try #require(policy["definition"] as? Export)
    #expect(limits["delivery-limit"] as? Int == 1_000_000_000)
    #expect(limits["max-length"] as? Int == 1_000_000)
    #expect(limits["max-length-bytes"] as? Int == 20 << 30)
    #expect(limits["overflow"] as? String == "reject-publish")
    for user in try #require(definitions["users"] as? [Export]) {
      #expect(user["limits"] as? [String: Int] == ["max-connections": 100, "max-channels": 100])
    }
    // An argument of -1 makes RabbitMQ 3.10 delete at the first redelivery, and no import changes it.
    for queue in try #require(definitions["queues"] as? [Export]) {
      #expect(queue["arguments"] as? [String: String] == ["x-queue-type": "quorum"])
    }
  }

  @Test(arguments: ["3.10.8", "4.0.5"])
  func whatWasImportedIsInOrder(version: String) throws {
    #expect(try found(version) == [:])
  }

  @Test(arguments: [nil, 20, 999_999] as [Int?])
  func aMissingOrSmallDeliveryLimitIsFound(limit: Int?) throws {
    let problems = try found { Self.policy(&$0, "delivery-limit", limit) }
    #expect(problems.keys.sorted() == ["delivery limit"])
    #expect(
      problems["delivery limit"]?.count == 2 * (try Province.shared.get().directory.units.count))
    let text = problems["delivery limit"]?.first ?? ""
    #expect(text.contains("after \(limit ?? 20) failed deliveries"), "\(text)")
    let older = try found("3.10.8") { Self.policy(&$0, "delivery-limit", limit) }
    #expect(older["delivery limit"]?.first?.contains("from RabbitMQ 4.0") == (limit == nil))
  }

  /// One policy applies, the strongest; an operator policy applies as well.
  @Test func whatOverridesThePolicyIsFound() throws {
    let strong: Export = [
      "vhost": "congvan", "name": "x", "pattern": "CDCS\\.BETA$", "apply-to": "quorum_queues",
      "priority": 5, "definition": ["overflow": "reject-publish", "max-length": 10],
    ]
    let overridden = try found { $0["policies"] = ($0["policies"] as? [Export] ?? []) + [strong] }
    #expect(overridden["delivery limit"]?.count == 2)
    for (key, value) in [("apply-to", "classic_queues"), ("vhost", "/"), ("pattern", "^other")] {
      let harmless = strong.merging([key: value]) { $1 }
      #expect(
        try found { $0["policies"] = ($0["policies"] as? [Export] ?? []) + [harmless] } == [:])
    }
  }

  /// RabbitMQ 3.10 and 4.0 export its definition as pairs, that of other policies as an object.
  @Test(arguments: [#"{"delivery-limit": 5}"#, #"[["delivery-limit", 5]]"#])
  func anOperatorPolicyIsSeen(definition: String) throws {
    let value: Export = [
      "pattern": ".*", "apply-to": "all", "priority": 0,
      "definition": try JSONSerialization.jsonObject(with: Data(definition.utf8)),
    ]
    let limited = try found {
      $0["parameters"] = [
        ["vhost": "congvan", "component": "operator_policy", "name": "x", "value": value]
      ]
    }
    #expect(limited["delivery limit"]?.first?.contains("after 5 failed") == true)
  }

  @Test func anArgumentOfMinusOneIsDeadlyOn3AndHarmlessOn4() throws {
    func change(_ export: inout Export) {
      Self.edit(
        &export, "queues", 0, "arguments", ["x-queue-type": "quorum", "x-delivery-limit": -1])
    }
    #expect(try found("4.0.5", change) == [:])
    let problems = try found("3.10.8", change)
    #expect(problems["delivery limit"]?.first?.contains("at its first redelivery") == true)
  }

  @Test(arguments: [
    ("queues", "name", #""congvan.ordinary.X""#, "queues"),
    ("queues", "durable", "false", "queues"),
    ("queues", "arguments", #"{"x-queue-type": "classic"}"#, "queues"),
    ("queues", "arguments", #"{"x-queue-type": "quorum", "x-message-ttl": 1}"#, "queues"),
    ("queues", "arguments", #"{"x-queue-type": "quorum", "x-expires": 1}"#, "queues"),
    (
      "queues", "arguments", #"{"x-queue-type": "quorum", "x-overflow": "drop-head"}"#,
      "full queues"
    ),
    ("exchanges", "name", #""other""#, "routes"), ("exchanges", "type", #""fanout""#, "routes"),
    ("exchanges", "durable", "false", "routes"),
    ("exchanges", "arguments", #"{"alternate-exchange": "x"}"#, "routes"),
    ("bindings", "routing_key", #""x""#, "routes"),
    ("users", "name", #""x""#, "users and rights"),
    ("permissions", "write", #"".*""#, "users and rights"),
    ("permissions", "configure", #"".*""#, "users and rights"),
    ("permissions", "vhost", #""/""#, "users and rights"),
    ("vhosts", "name", #""/""#, "virtual host"),
  ])
  func aDifferenceIsFound(_ member: String, key: String, json: String, part: String) throws {
    let value = try JSONSerialization.jsonObject(with: Data(json.utf8), options: .fragmentsAllowed)
    let problems = try found { Self.edit(&$0, member, 0, key, value) }
    #expect(problems[part]?.isEmpty == false, "\(problems)")
  }

  @Test func whatDeletesTheOldestOrAfterATimeIsFound() throws {
    #expect(
      try found { Self.policy(&$0, "overflow", "drop-head") }.keys.sorted() == ["full queues"])
    #expect(try found { Self.policy(&$0, "message-ttl", 1000) }.keys.sorted() == ["queues"])
    #expect(try found { $0["policies"] = [] }.keys.sorted() == ["delivery limit", "full queues"])
  }

  @Test func aCatchAllBindingIsFound() throws {
    let extra: Export = [
      "vhost": "congvan", "source": "congvan.hub", "destination": "congvan.express.CDCS.BETA",
      "destination_type": "queue", "routing_key": "#",
    ]
    let problems = try found { $0["bindings"] = ($0["bindings"] as? [Export] ?? []) + [extra] }
    #expect(problems["routes"] == ["congvan.express.CDCS.BETA also gets congvan.hub with key “#”"])
  }

  @Test(arguments: ["", "no JSON", "[]", "{}", "{\"queues\": 5, \"vhosts\": []}", "{\"a\": {"])
  func whatIsNoExportIsNotRead(text: String) {
    #expect(BrokerAudit(Data(text.utf8), virtualHost: "congvan") == nil)
  }
}
