package import ExchangeCore
package import Foundation

/// A private RabbitMQ for tests, booted through `deploy/broker`; of another system when
/// `CONGVAN_TEST_BROKER_ROOT` names its root.
///
/// `shared` serves all tests that leave the broker as it is and isolates them by fresh unit ids;
/// tests that kill it or raise alarms boot one of their own. A helper process waits for the end of
/// the test process, however it ends, and then removes the broker.
package final class TestBroker: Sendable {
  private static let started = Result { try TestBroker() }

  /// Boots at the first use, about eight seconds.
  package static var shared: TestBroker { get throws { try started.get() } }

  /// The name in the broker's certificate.
  package let host = "localhost"
  /// Plain TCP.
  package let port: Int
  /// TLS; demands a client certificate.
  package let tlsPort: Int
  /// The management pages.
  package let httpPort: Int
  /// Vouches for the broker and for `clientCertificate`.
  package let certificates: TestCertificates

  private let folder: String
  private let script: String

  /// Boots a broker for the caller alone; about eight seconds.
  package init() throws {
    script = Self.deployFolder + "/broker"
    folder = FileManager.default.temporaryDirectory.path + "/congvan-test-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: "\(folder)/tls", withIntermediateDirectories: true)
    try Self.removeAtExit(script: script, folder: folder)
    certificates = try TestCertificates(folder: "\(folder)/tls")
    let server = try certificates.issue("localhost", dnsName: "localhost")
    try Command.run([
      script, "start", "\(folder)/broker", "--tls-ca", certificates.caFile, "--tls-cert",
      server.certificateFile, "--tls-key", server.keyFile,
    ])
    let addresses = try String(contentsOfFile: "\(folder)/broker/broker.env", encoding: .utf8)
    port = try Self.number("CONGVAN_BROKER_PORT", in: addresses)
    tlsPort = try Self.number("CONGVAN_BROKER_TLS_PORT", in: addresses)
    httpPort = try Self.number("CONGVAN_BROKER_HTTP_PORT", in: addresses)
  }

  // MARK: Units

  /// A unit with its user, exchange and queues on the broker.
  package struct Unit: Sendable {
    /// Also the name of the broker's user.
    package let id: UnitID
    /// For PLAIN.
    package let password: String

    /// Names a unit without provisioning it.
    package init(id: UnitID, password: String) {
      self.id = id
      self.password = password
    }
  }

  /// Provisions `count` units with random ids. `limit` bounds their queues' length.
  package func units(_ count: Int, limit: Int? = nil, queueType: String = "quorum") throws
    -> [Unit]
  {
    var random = SystemRandomNumberGenerator()
    let units = try (0..<count).map { _ in
      let number = UInt64.random(in: 0...UInt64.max, using: &random)
      guard let id = UnitID("U" + String(number, radix: 36)) else { throw Missing(what: "unit id") }
      return Unit(id: id, password: "p" + String(number % 99_991))
    }
    let file = "\(folder)/definitions-\(units.first?.id.rawValue ?? "").json"
    try JSONSerialization.data(
      withJSONObject: TestTopology.definitions(units, limit: limit, queueType: queueType)
    )
    .write(to: URL(fileURLWithPath: file))
    try Command.run([script, "import", "\(folder)/broker", file])
    return units
  }

  // MARK: Faults and questions

  /// Calls the HTTP API as administrator; `path` begins with `/api/`.
  @discardableResult
  package func api(_ method: String, _ path: String, _ body: Any? = nil) throws -> Data {
    let arguments = [script, "api", "\(folder)/broker", method, path]
    guard let body else { return try Command.run(arguments) }
    return try Command.run(
      arguments + ["-"], input: try JSONSerialization.data(withJSONObject: body))
  }

  /// 3 or 4, for what the versions do differently.
  package func majorVersion() throws -> Int {
    let overview = try JSONSerialization.jsonObject(with: try api("GET", "/api/overview"))
    let version = (overview as? [String: Any])?["rabbitmq_version"] as? String
    guard let major = version?.split(separator: ".").first.flatMap({ Int($0) }) else {
      throw Missing(what: "rabbitmq_version")
    }
    return major
  }

  /// Runs rabbitmqctl, about a second; prefer `api`.
  @discardableResult
  package func ctl(_ arguments: String...) throws -> Data {
    try Command.run([script, "ctl", "\(folder)/broker"] + arguments)
  }

  /// SIGKILL, as a power cut would be.
  package func kill() throws { try Command.run([script, "kill", "\(folder)/broker"]) }

  /// Boots again with the same data and ports.
  package func restart() throws { try Command.run([script, "start", "\(folder)/broker"]) }

  /// Blocks all publishers of this broker, or lets them go on.
  package func setMemoryAlarm(_ isOn: Bool) throws {
    try ctl("set_vm_memory_high_watermark", isOn ? "0.00001" : "0.4")
  }

  /// Its consumers are cancelled.
  package func deleteQueue(_ name: String) throws { try api("DELETE", "/api/queues/%2F/\(name)") }

  /// Removes what is ready, not what is unacknowledged.
  package func purgeQueue(_ name: String) throws {
    try api("DELETE", "/api/queues/%2F/\(name)/contents")
  }

  /// Lets `unit` publish only with routing keys that match `pattern`; others cost it its channel.
  package func restrictTopics(of unit: Unit, to pattern: String) throws {
    try api(
      "PUT", "/api/topic-permissions/%2F/\(unit.id)",
      ["exchange": Topology.outExchange(of: unit.id), "write": pattern, "read": ".*"])
  }

  /// Ends all connections of `unit`.
  package func closeConnections(of unit: Unit) throws {
    try api("DELETE", "/api/connections/username/\(unit.id)")
  }

  /// Publishes as the administrator: no unit vouches for such a message.
  package func publish(
    _ payload: Data, to exchange: String, routingKey: String, properties: [String: Any] = [:]
  ) throws {
    try api(
      "POST", "/api/exchanges/%2F/\(exchange)/publish",
      [
        "properties": properties, "routing_key": routingKey,
        "payload": payload.base64EncodedString(), "payload_encoding": "base64",
      ])
  }

  /// Stops it and deletes its files; `shared` is removed by itself.
  package func remove() throws { try Command.run([script, "remove", "\(folder)/broker"]) }

  // MARK: Plumbing

  private struct Missing: Error { let what: String }

  private static func number(_ name: String, in addresses: String) throws -> Int {
    for line in addresses.split(separator: "\n") where line.hasPrefix(name + "=") {
      if let number = Int(line.dropFirst(name.count + 1)) { return number }
    }
    throw Missing(what: name)
  }

  /// `CONGVAN_DEPLOY`, or `deploy` beside `Tests`.
  private static var deployFolder: String {
    ProcessInfo.processInfo.environment["CONGVAN_DEPLOY"]
      ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("deploy").path
  }

  /// In a session of its own, so that an interrupt from the terminal does not take it along, and
  /// without our pipes, so that nobody who reads our output waits for it.
  private static func removeAtExit(script: String, folder: String) throws {
    let helper = Process()
    helper.executableURL = URL(fileURLWithPath: "/usr/bin/setsid")
    helper.arguments = [
      "sh", "-c",
      "tail --pid=$1 -f /dev/null; \"$2\" remove \"$3/broker\"; rm -rf -- \"$3\"",
      "sh", String(ProcessInfo.processInfo.processIdentifier), script, folder,
    ]
    helper.standardInput = FileHandle.nullDevice
    helper.standardOutput = FileHandle.nullDevice
    helper.standardError = FileHandle.nullDevice
    try helper.run()
  }
}
