package import ExchangeCore
package import Foundation

/// The RabbitMQ definitions for the directory's units (schemas/README.md section 2): users,
/// exchanges, queues, bindings and permissions. The operator imports them; nodes declare nothing.
package struct BrokerDefinitions {
  package struct Options {
    package var virtualHost = "congvan"
    /// Bytes that wait in one queue before the broker refuses more from the senders.
    package var queueBytes: Int64 = 20 << 30
    /// Messages that wait in one queue before the same happens: bodies of one byte would never reach
    /// `queueBytes`, and RabbitMQ keeps some bytes of memory for each. Both limits are soft: with
    /// publishers that do not wait for confirms a quorum queue takes some hundred messages more.
    package var queueMessages: Int64 = 1_000_000
    /// Connections that one unit may have. A node has 3; those of a broken line stay for two
    /// heartbeats, and a cluster counts over all members.
    package var connections = 100
    /// Password per unit. Units without one get a user that can log in with a certificate only.
    package var passwords: [UnitID: String] = [:]

    package init() {}
  }

  /// Failed deliveries after which a quorum queue deletes a message. From RabbitMQ 4.0 on the default
  /// is 20, which a node with a full disk used up in minutes. RabbitMQ 3.10 refuses an import with a
  /// policy of -1 and, with an argument of -1, deletes a message at its first redelivery: a large
  /// number is what all versions take, and a policy works on queues that exist.
  package static let deliveryLimit: Int64 = 1_000_000_000

  /// JSON for `rabbitmqctl import_definitions` or `load_definitions`.
  package static func json(
    for directory: Directory, options: Options, hashing: some ContentHashing
  ) throws -> Data {
    let vhost = options.virtualHost
    var queues: [Queue] = []
    var exchanges = [Exchange(name: Topology.hub, vhost: vhost)]
    var bindings: [Binding] = []
    var users: [User] = []
    var permissions: [Permission] = []
    for unit in directory.units {
      let out = Topology.outExchange(of: unit.id)
      exchanges.append(Exchange(name: out, vhost: vhost))
      bindings.append(
        Binding(
          source: out, vhost: vhost, destination: Topology.hub, destination_type: "exchange",
          routing_key: "#"))
      for lane in Lane.allCases {
        let queue = Topology.queue(lane, of: unit.id)
        queues.append(
          Queue(name: queue, vhost: vhost, arguments: ["x-queue-type": unit.queueType]))
        bindings.append(
          Binding(
            source: Topology.hub, vhost: vhost, destination: queue, destination_type: "queue",
            routing_key: Topology.routingKey(lane, to: unit.id)))
      }
      users.append(
        User(
          name: unit.id.rawValue,
          password_hash: options.passwords[unit.id].map { passwordHash($0, hashing) } ?? "",
          limits: .init(connections: options.connections, channels: options.connections)))
      let rights = Self.rights(of: unit.id)
      permissions.append(
        Permission(
          user: unit.id.rawValue, vhost: vhost, configure: rights["configure"] ?? "",
          write: rights["write"] ?? "", read: rights["read"] ?? ""))
    }
    let policy = Policy(
      vhost: vhost,
      definition: .init(bytes: options.queueBytes, messages: options.queueMessages))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(
      Definitions(
        vhosts: [VirtualHost(name: vhost)], users: users, permissions: permissions,
        exchanges: exchanges, queues: queues, bindings: bindings, policies: [policy]))
  }

  /// What a unit's user may `configure`, `write` and `read`, as patterns of RabbitMQ.
  static func rights(of unit: UnitID) -> [String: String] {
    let escaped = unit.rawValue.replacing(".", with: "\\.")
    return [
      "configure": "^$", "write": "^congvan\\.out\\.\(escaped)$",
      "read": "^congvan\\.(ordinary|express)\\.\(escaped)$",
    ]
  }

  /// A password of 256 random bits.
  package static func makePassword() -> String {
    var random = SystemRandomNumberGenerator()
    return HexText.encode((0..<32).map { _ in UInt8.random(in: 0...255, using: &random) })
  }

  /// RabbitMQ's `rabbit_password_hashing_sha256`: base64(salt ‖ SHA-256(salt ‖ password)), with a
  /// salt of 4 bytes.
  private static func passwordHash(_ password: String, _ hashing: some ContentHashing) -> String {
    var random = SystemRandomNumberGenerator()
    let salt = Data((0..<4).map { _ in UInt8.random(in: 0...255, using: &random) })
    return (salt + hashing.sha256(salt + Data(password.utf8)).bytes).base64EncodedString()
  }

  // The member names are RabbitMQ's.
  private struct VirtualHost: Encodable { var name: String }
  private struct User: Encodable {
    struct Limits: Encodable {
      var connections: Int
      var channels: Int
      enum CodingKeys: String, CodingKey {
        case connections = "max-connections"
        case channels = "max-channels"
      }
    }
    var name: String
    var password_hash: String
    var hashing_algorithm = "rabbit_password_hashing_sha256"
    var tags: [String] = []
    var limits: Limits
  }
  private struct Permission: Encodable {
    var user: String
    var vhost: String
    var configure: String
    var write: String
    var read: String
  }
  private struct Exchange: Encodable {
    var name: String
    var vhost: String
    var type = "topic"
    var durable = true
    var auto_delete = false
    var `internal` = false
    var arguments: [String: String] = [:]
  }
  private struct Queue: Encodable {
    var name: String
    var vhost: String
    var durable = true
    var auto_delete = false
    var arguments: [String: String]
  }
  private struct Binding: Encodable {
    var source: String
    var vhost: String
    var destination: String
    var destination_type: String
    var routing_key: String
    var arguments: [String: String] = [:]
  }
  private struct Policy: Encodable {
    struct Definition: Encodable {
      var overflow = "reject-publish"
      var bytes: Int64
      var messages: Int64
      var deliveries = BrokerDefinitions.deliveryLimit
      enum CodingKeys: String, CodingKey {
        case overflow
        case bytes = "max-length-bytes"
        case messages = "max-length"
        case deliveries = "delivery-limit"
      }
    }
    var vhost: String
    var name = "congvan-inbox"
    var pattern = "^congvan\\.(ordinary|express)\\."
    var applyTo = "queues"
    var priority = 1
    var definition: Definition
    enum CodingKeys: String, CodingKey {
      case vhost, name, pattern, priority, definition
      case applyTo = "apply-to"
    }
  }
  private struct Definitions: Encodable {
    var vhosts: [VirtualHost]
    var users: [User]
    var permissions: [Permission]
    var exchanges: [Exchange]
    var queues: [Queue]
    var bindings: [Binding]
    var policies: [Policy]
  }
}
