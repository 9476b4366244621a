import Foundation

/// The one province of this test process: a CA, units with node folders and a private broker.
///
/// Every suite has units of its own, so that what one leaves behind does not disturb another.
struct Province: Sendable {
  private static let units = [
    "OFF-A", "OFF-B", "REP-NODE", "REP-CLIENT", "EXP-A", "EXP-B", "BIG-A", "BIG-B", "PY-NODE",
    "PY-CLIENT", "KILL-A", "KILL-B", "STOP-A", "STOP-B", "IDLE-A", "IDLE-B", "CLI-A", "CLI-B",
    "ROUTE-A", "ROUTE-B", "ROUTE-GONE", "REF-A", "REF-B", "ALT-NODE", "ALT-CLIENT", "ACK-A",
    "ACK-B", "LOGIN-A", "LIST-A", "LIST-B", "LOG-A", "LOG-B", "DISK-A", "DISK-B", "HARM-A",
    "HARM-B", "LOSS-A", "LOSS-B", "PAST-A", "PAST-B", "CLOCK-A", "CLOCK-B",
    "FULL-A", "FULL-B",
  ]

  private static let making = Task { try await make() }

  /// Made when the first test asks for it.
  static var shared: Province { get async throws { try await making.value } }

  static func node(_ unit: String) async throws -> NodeFolder {
    let province = try await shared
    return NodeFolder(unit: unit, path: "\(province.path)/\(unit)")
  }

  let path: String
  /// Port of AMQP without TLS.
  let plainPort: String

  private static func make() async throws -> Province {
    say("making a province of \(units.count) units with a broker")
    let path = "\(CleanUp.shared.folder)/province"
    try await Command.require(
      "\(Places.deploy)/province",
      ["make", path, Places.congvan] + units.map { "\($0)|Công đoàn \($0)||" })
    let addresses = Command.text("\(path)/broker/broker.env").split(separator: "\n")
    guard let port = addresses.first(where: { $0.hasPrefix("CONGVAN_BROKER_PORT=") }) else {
      throw CommandFailed(description: "broker.env names no port")
    }
    return Province(path: path, plainPort: String(port.split(separator: "=")[1]))
  }

  func stopBroker() async throws {
    try await Command.require("\(Places.deploy)/province", ["stop", path])
  }

  func startBroker() async throws {
    try await Command.require("\(Places.deploy)/province", ["start", path])
  }

  /// The broker's HTTP API.
  @discardableResult
  func api(_ method: String, _ resource: String, _ body: String? = nil) async throws -> String {
    try await Command.require(
      "\(Places.deploy)/broker",
      ["api", "\(path)/broker", method, "/api/\(resource)"] + (body.map { [$0] } ?? []))
  }

  func passwordFile(of unit: String) -> String { "\(path)/passwords/\(unit).password" }

  /// Settings for a connection without TLS, with the unit's password.
  func plainConnection(of unit: String) -> [String: String] {
    [
      "CONGVAN_BROKER_TLS": "false", "CONGVAN_BROKER_PORT": plainPort,
      "CONGVAN_BROKER_AUTHENTICATION": "password",
      "CONGVAN_BROKER_PASSWORD_FILE": passwordFile(of: unit),
    ]
  }
}
