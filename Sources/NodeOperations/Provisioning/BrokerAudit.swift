package import ExchangeCore
package import Foundation

/// Compares what a broker really has with what the directory's units need: the answer to what no
/// node can see, because its login may ask for nothing but its own queues.
///
/// Reads the export of the broker's definitions (`rabbitmqctl export_definitions -`). Only what makes
/// messages disappear, go astray or never arrive is a problem; what an operator may have chosen
/// (other limits of length, more users, more virtual hosts) is not.
package struct BrokerAudit {
  /// One part of the check, as a line for the operator.
  package struct Part: Sendable, Hashable {
    package let name: String
    /// What is wrong, each a sentence; empty when nothing is.
    package let problems: [String]
    /// What was looked at, for the line that says that it is right.
    package let summary: String
  }

  /// At fewer failed deliveries than this a receiver that is down for a day may lose messages.
  static let leastDeliveries: Int64 = 1_000_000

  /// `RabbitMQ 4.0.5`; empty when the export does not say.
  package let broker: String
  private let major: Int
  private let host: String
  private let hasHost: Bool
  private let users: Set<String>
  private let permissions: [String: Row]
  private let queues: [String: Row]
  private let exchanges: [String: Row]
  private let bindings: [String: [Binding]]
  private let policies: [Policy]
  private let operatorPolicies: [Policy]

  /// `json` is the export, with or without the line that rabbitmqctl prints before it. Nil when it is
  /// not an export of definitions.
  package init?(_ json: Data, virtualHost: String) {
    guard let start = json.firstIndex(of: UInt8(ascii: "{")),
      let export = try? JSONSerialization.jsonObject(with: json[start...]) as? [String: Any],
      export["queues"] is [Any], export["vhosts"] is [Any]
    else { return nil }
    func rows(_ member: String) -> [Row] { export[member] as? [Row] ?? [] }
    func here(_ member: String) -> [Row] {
      rows(member).filter { $0["vhost"] as? String == virtualHost }
    }
    func byName(_ rows: [Row], _ key: String = "name") -> [String: Row] {
      Dictionary(rows.map { ($0[key] as? String ?? "", $0) }) { first, _ in first }
    }
    host = virtualHost
    hasHost = byName(rows("vhosts"))[virtualHost] != nil
    users = Set(byName(rows("users")).keys)
    permissions = byName(here("permissions"), "user")
    queues = byName(here("queues"))
    exchanges = byName(here("exchanges"))
    bindings = Dictionary(grouping: here("bindings").map(Binding.init), by: \.destination)
    policies = here("policies").compactMap(Policy.init)
    // Operator policies are exported as parameters.
    operatorPolicies = here("parameters")
      .filter { $0["component"] as? String == "operator_policy" }
      .compactMap { ($0["value"] as? Row).flatMap(Policy.init) }
    let version = export["rabbitmq_version"] as? String ?? export["rabbit_version"] as? String
    broker = version.map { "RabbitMQ \($0)" } ?? ""
    major = version?.split(separator: ".").first.flatMap { Int($0) } ?? 0
  }

  /// All parts, in the order in which an operator would look.
  package func parts(for directory: Directory) -> [Part] {
    guard hasHost else {
      return [Part(name: "virtual host", problems: ["“\(host)” does not exist"], summary: "")]
    }
    let units = directory.units
    return [
      Part(name: "virtual host", problems: [], summary: host),
      Part(
        name: "queues", problems: units.flatMap(queueProblems), summary: "\(2 * units.count)"),
      Part(
        name: "delivery limit", problems: units.flatMap(deliveryProblems),
        summary: "messages that were not acknowledged stay"),
      Part(
        name: "full queues", problems: units.flatMap(overflowProblems),
        summary: "refuse what they cannot take"),
      Part(
        name: "routes", problems: routeProblems(units),
        summary: "\(units.count) exchanges, one queue per key"),
      Part(
        name: "users and rights", problems: units.flatMap(rightProblems),
        summary: "\(units.count), each its own exchange and queues"),
    ]
  }

  // MARK: Reading

  private typealias Row = [String: Any]

  private func arguments(_ row: Row?) -> Row { row?["arguments"] as? Row ?? [:] }

  private func type(_ queue: Row?) -> String {
    arguments(queue)["x-queue-type"] as? String ?? queue?["type"] as? String ?? "classic"
  }

  private struct Policy {
    let kind: String
    let pattern: NSRegularExpression
    let priority: Int64
    let definition: Row

    init?(_ row: Row) {
      guard let pattern = row["pattern"] as? String,
        let expression = try? NSRegularExpression(pattern: pattern)
      else { return nil }
      kind = row["apply-to"] as? String ?? "all"
      self.pattern = expression
      priority = BrokerAudit.number(row["priority"]) ?? 0
      definition = Self.definition(row["definition"])
    }

    /// RabbitMQ 3.10 and 4.0 export that of an operator policy as a list of pairs.
    private static func definition(_ value: Any?) -> Row {
      if let row = value as? Row { return row }
      let pairs = (value as? [[Any]] ?? []).filter { $0.count == 2 }
      return Dictionary(pairs.map { ($0[0] as? String ?? "", $0[1]) }) { first, _ in first }
    }

    func fits(_ queue: String, type: String) -> Bool {
      ["all", "queues", "\(type)_queues"].contains(kind)
        && pattern.firstMatch(in: queue, range: NSRange(queue.startIndex..., in: queue)) != nil
    }
  }

  /// The definition that is in force for a queue: one policy applies, that of the highest priority.
  private func policy(for queue: String, type: String) -> Row {
    Self.strongest(policies, queue, type)
  }

  private func operatorPolicy(for queue: String, type: String) -> Row {
    Self.strongest(operatorPolicies, queue, type)
  }

  private static func strongest(_ policies: [Policy], _ queue: String, _ type: String) -> Row {
    policies.filter { $0.fits(queue, type: type) }.max { $0.priority < $1.priority }?.definition
      ?? [:]
  }

  private static func number(_ value: Any?) -> Int64? { (value as? NSNumber)?.int64Value }

  private func names(of unit: Directory.Unit) -> [String] {
    Lane.allCases.map { Topology.queue($0, of: unit.id) }
  }

  // MARK: Parts

  private func queueProblems(_ unit: Directory.Unit) -> [String] {
    names(of: unit).flatMap { name -> [String] in
      guard let queue = queues[name] else { return ["\(name) does not exist"] }
      var problems: [String] = []
      if queue["durable"] as? Bool != true { problems.append("\(name) is not durable") }
      let found = type(queue)
      if found != unit.queueType {
        problems.append("\(name) is of type \(found), the directory says \(unit.queueType)")
      }
      let settings =
        [arguments(queue), policy(for: name, type: found)]
        + [operatorPolicy(for: name, type: found)]
      for key in ["message-ttl", "expires"]
      where settings.contains(where: { $0[key] != nil || $0["x-\(key)"] != nil }) {
        problems.append("\(name) has \(key): what waits there is deleted after that time")
      }
      return problems
    }
  }

  private func deliveryProblems(_ unit: Directory.Unit) -> [String] {
    names(of: unit).compactMap { name in
      guard let queue = queues[name], type(queue) == "quorum" else { return nil }
      if let argument = Self.number(arguments(queue)["x-delivery-limit"]), argument < 0, major < 4 {
        return "\(name) has the argument x-delivery-limit \(argument): RabbitMQ \(major) deletes "
          + "a message at its first redelivery; delete the queue when it is empty, then import"
      }
      let limits = [
        Self.number(arguments(queue)["x-delivery-limit"]),
        Self.number(policy(for: name, type: "quorum")["delivery-limit"]),
        Self.number(operatorPolicy(for: name, type: "quorum")["delivery-limit"]),
      ].compactMap { $0 }
      if let least = limits.filter({ $0 >= 0 }).min() {
        guard least < Self.leastDeliveries else { return nil }
        return "\(name): a message is deleted after \(least) failed deliveries"
      }
      if !limits.isEmpty && major >= 4 { return nil }
      return major >= 4
        ? "\(name): no delivery limit is set, so a message is deleted after 20 failed deliveries"
        : "\(name): no delivery limit is set; from RabbitMQ 4.0 on that means 20 failed deliveries"
    }
  }

  private func overflowProblems(_ unit: Directory.Unit) -> [String] {
    names(of: unit).compactMap { name in
      guard let queue = queues[name] else { return nil }
      let argument = arguments(queue)["x-overflow"] as? String
      let found = argument ?? policy(for: name, type: type(queue))["overflow"] as? String
      guard found != "reject-publish" else { return nil }
      let limited = [arguments(queue), policy(for: name, type: type(queue))].contains { row in
        ["max-length", "max-length-bytes"].contains { row[$0] != nil || row["x-\($0)"] != nil }
      }
      return limited
        ? "\(name): overflow is \(found ?? "drop-head"), which deletes the oldest messages"
        : "\(name): no limit of length is set, so it can fill the broker's disk"
    }
  }

  private func routeProblems(_ units: [Directory.Unit]) -> [String] {
    var problems: [String] = []
    for name in [Topology.hub] + units.map({ Topology.outExchange(of: $0.id) }) {
      guard let exchange = exchanges[name] else {
        problems.append("exchange \(name) does not exist")
        continue
      }
      if exchange["type"] as? String != "topic" || exchange["durable"] as? Bool != true {
        problems.append("exchange \(name) is not a durable topic exchange")
      }
      if arguments(exchange)["alternate-exchange"] != nil {
        problems.append("exchange \(name) has an alternate exchange: a missing unit is not noticed")
      }
    }
    for unit in units {
      let out = Topology.outExchange(of: unit.id)
      var wanted = [Binding(source: out, destination: Topology.hub, key: "#")]
      for lane in Lane.allCases {
        let key = Topology.routingKey(lane, to: unit.id)
        let queue = Topology.queue(lane, of: unit.id)
        wanted.append(Binding(source: Topology.hub, destination: queue, key: key))
        for other in bindings[queue] ?? [] where other != wanted.last {
          problems.append("\(queue) also gets \(other.source) with key “\(other.key)”")
        }
      }
      for binding in wanted where bindings[binding.destination]?.contains(binding) != true {
        problems.append(
          "no binding from \(binding.source) to \(binding.destination) with key “\(binding.key)”")
      }
    }
    return problems
  }

  private struct Binding: Equatable {
    let source: String
    let destination: String
    let key: String

    init(source: String, destination: String, key: String) {
      (self.source, self.destination, self.key) = (source, destination, key)
    }

    init(_ row: [String: Any]) {
      source = row["source"] as? String ?? ""
      destination = row["destination"] as? String ?? ""
      key = row["routing_key"] as? String ?? ""
    }
  }

  private func rightProblems(_ unit: Directory.Unit) -> [String] {
    let name = unit.id.rawValue
    guard users.contains(name) else { return ["user \(name) does not exist"] }
    guard let found = permissions[name] else {
      return ["user \(name) has no rights in \(host)"]
    }
    let wanted = BrokerDefinitions.rights(of: unit.id)
    return wanted.sorted { $0.key < $1.key }.compactMap { right, pattern in
      found[right] as? String == pattern
        ? nil : "user \(name): the right to \(right) is not \(pattern)"
    }
  }
}
