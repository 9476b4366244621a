import AMQPTransport
import ExchangeCore
import ExchangeNode
import ExchangeStore
import Foundation
import NodeDatabase
import Yams

/// Why the configuration cannot be used.
typealias ConfigError = Failure<ConfigErrorCode>

enum ConfigErrorCode: String, FailureCode {
  case missing = "CONFIG-MISSING"
  case unreadable = "CONFIG-UNREADABLE"
  case unknownKey = "CONFIG-UNKNOWN-KEY"
  case badValue = "CONFIG-BAD-VALUE"
  case missingKey = "CONFIG-MISSING-KEY"
  case secretUnreadable = "CONFIG-SECRET-UNREADABLE"
  case secretExposed = "CONFIG-SECRET-EXPOSED"
  case noFolder = "CONFIG-NO-FOLDER"
  case denied = "PERMISSION-DENIED"
  case unitChanged = "UNIT-CHANGED"
  case exists = "CONFIG-EXISTS"

  var hint: String {
    switch self {
    case .missing:
      "Name the node's folder with --dir DIR or CONGVAN_DIR, or make one with: congvan init --unit ID "
        + "--name NAME --dir DIR"
    case .unreadable: "Correct congvan.yaml at the named line; check with: congvan config check"
    case .unknownKey, .badValue, .missingKey:
      "Correct congvan.yaml, then run: congvan config check"
    case .secretUnreadable: "Check the path and that this user may read the file."
    case .secretExposed: "Make the file private: chmod 600 FILE"
    case .denied: "Run the command as the user that owns the node's folder: sudo -u USER congvan …"
    case .unitChanged: "Set unit.id back; a unit with another id needs a node folder of its own."
    case .noFolder: "Name the node's folder with --dir DIR or in CONGVAN_DIR."
    case .exists: "Choose another folder; an existing node is never overwritten."
    }
  }
}

/// The node's configuration: `congvan.yaml` in its folder, each key overridable by an environment
/// variable. Paths are relative to the folder.
struct Settings: Sendable {
  static let fileName = "congvan.yaml"

  /// Every key with its default; nil means that it must be given, "" that it may be absent.
  static let keys: [(name: String, fallback: String?)] = [
    ("unit.id", nil), ("unit.name", nil),
    ("broker.host", "localhost"), ("broker.port", "5671"), ("broker.virtualHost", "congvan"),
    ("broker.user", ""), ("broker.authentication", "external"), ("broker.passwordFile", ""),
    ("broker.tls", "true"), ("broker.caFile", "ca.crt"), ("broker.certificateFile", "unit.crt"),
    ("broker.keyFile", "unit.key"), ("broker.heartbeatSeconds", "15"),
    ("signing.certificateFile", "unit.crt"), ("signing.keyFile", "unit.key"),
    ("signing.pkcs12File", ""), ("signing.passphraseFile", ""),
    ("trust.anchorsFile", "ca.crt"), ("trust.crlFile", ""), ("trust.signingTimeWindowDays", "45"),
    ("directory.file", "directory.json"), ("limits.documentBytes", "1073741824"),
    ("limits.freeBytes", "209715200"), ("attachments.legacyFormats", "true"),
    ("retry.horizonHours", "72"), ("reconcile.intervalHours", "24"),
    ("reconcile.windowDays", "30"), ("receipt.overdueHours", "72"),
    ("receipt.expiryWarningHours", "24"), ("log.level", "info"),
  ]

  /// Keys whose value may be a YAML list; otherwise, and in the environment, commas separate.
  private static let listKeys = ["broker.host"]

  let folder: String
  /// Where each value came from: `file`, `environment` or `default`.
  private(set) var sources: [String: String] = [:]
  private var values: [String: String] = [:]

  /// Reads `folder/congvan.yaml` and the environment; every key and value is checked for form.
  init(folder: String, environment: [String: String]) throws {
    self.folder = folder
    let path = "\(folder)/\(Self.fileName)"
    let data = try Self.contents(path, folder: folder)
    let text = String(decoding: data, as: UTF8.self)
    var given: [String: String] = [:]
    do {
      if let root = try Yams.compose(yaml: text) {
        guard case .mapping = root else {
          throw ConfigError(.unreadable, "\(path): line 1: is not “key: value”")
        }
        try Self.flatten(root, "", into: &given)
      }
    } catch let error as YamlError {
      throw ConfigError(.unreadable, "\(path): \(error)")
    }
    let known = Self.keys.map(\.name)
    for key in given.keys.sorted() where !known.contains(key) {
      let near = known.min { Spelling.distance($0, key) < Spelling.distance($1, key) } ?? ""
      throw ConfigError(.unknownKey, "\(path): unknown key “\(key)” — did you mean “\(near)”?")
    }
    let variables = Dictionary(uniqueKeysWithValues: known.map { (Self.variable($0), $0) })
    for name in environment.keys.sorted()
    where Self.prefixes.contains(where: name.hasPrefix) && variables[name] == nil
      && !Self.secretVariables.contains(name)
    {
      let near =
        variables.keys.min { Spelling.distance($0, name) < Spelling.distance($1, name) } ?? ""
      throw ConfigError(
        .unknownKey, "environment: unknown “\(name)” — did you mean “\(near)”?",
        next: "Correct or unset the variable, then run: congvan config check")
    }
    for (name, fallback) in Self.keys {
      if let value = environment[Self.variable(name)] {
        (values[name], sources[name]) = (value, "environment")
      } else if let value = given[name] {
        (values[name], sources[name]) = (value, "file")
      } else if let fallback {
        (values[name], sources[name]) = (fallback, "default")
      } else {
        throw ConfigError(.missingKey, "\(path): “\(name)” is missing")
      }
    }
    try checkForms()
  }

  private static func contents(_ path: String, folder: String) throws -> Data {
    if let problem = PathProblem.readingFile(path) {
      let code: ConfigErrorCode =
        switch problem.kind {
        case .denied: .denied
        case .missing: .missing
        case .other: .unreadable
        }
      throw ConfigError(
        code, problem.reason,
        next: problem.next ?? (code == .unreadable ? "Give the path of a node folder." : nil))
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ConfigError(
        .unreadable, "“\(path)”: cannot be read", next: "Look at the disk: dmesg, df")
    }
    return data
  }

  private static let prefixes = [
    "CONGVAN_UNIT_", "CONGVAN_BROKER_", "CONGVAN_SIGNING_", "CONGVAN_TRUST_", "CONGVAN_DIRECTORY_",
    "CONGVAN_LIMITS_", "CONGVAN_ATTACHMENTS_", "CONGVAN_RETRY_", "CONGVAN_RECONCILE_",
    "CONGVAN_RECEIPT_", "CONGVAN_LOG_",
  ]
  /// Secrets may come from the environment itself, for service managers that keep them there.
  private static let secretVariables = ["CONGVAN_BROKER_PASSWORD", "CONGVAN_SIGNING_PASSPHRASE"]

  /// `broker.passwordFile` → `CONGVAN_BROKER_PASSWORD_FILE`.
  static func variable(_ key: String) -> String {
    var text = "CONGVAN_"
    for character in key {
      if character == "." {
        text.append("_")
      } else {
        if character.isUppercase { text.append("_") }
        text.append(character.uppercased())
      }
    }
    return text
  }

  private static func flatten(
    _ node: Yams.Node, _ path: String, into values: inout [String: String]
  )
    throws
  {
    switch node {
    case .mapping(let mapping):
      for (key, value) in mapping {
        let name = key.string ?? ""
        try flatten(value, path.isEmpty ? name : "\(path).\(name)", into: &values)
      }
    case .scalar(let scalar): values[path] = scalar.string
    case .sequence(let items) where listKeys.contains(path):
      values[path] = try items.map { item in
        guard let text = item.string else {
          throw ConfigError(.badValue, "“\(path)”: a list of plain values is expected here")
        }
        return text
      }.joined(separator: ", ")
    case .sequence, .alias:
      throw ConfigError(.badValue, "“\(path)”: a list is not expected here")
    }
  }

  private func checkForms() throws {
    _ = try unit
    _ = try (
      brokerHosts, documentBytes, signingTimeWindow, horizon, heartbeat, reconciliation, freeBytes
    )
    _ = try (usesTLS, usesPassword, formats)
    guard ["trace", "debug", "info", "notice", "warning", "error"].contains(self["log.level"])
    else {
      throw ConfigError(
        .badValue,
        "log.level: “\(self["log.level"])” is not trace, debug, info, notice, warning or error")
    }
  }

  // MARK: Values

  subscript(key: String) -> String { values[key] ?? "" }

  /// The path of a file key, or nil when the key is empty.
  func path(_ key: String) -> String? {
    let value = self[key]
    guard !value.isEmpty else { return nil }
    return value.hasPrefix("/") ? value : "\(folder)/\(value)"
  }

  /// Throws when this user may not read the files of these keys; what else may be wrong with them is
  /// for their readers to say.
  func requireAccess(_ keys: String...) throws {
    for key in keys {
      guard let path = path(key), let problem = PathProblem.reading(path), problem.kind == .denied
      else { continue }
      throw ConfigError(.denied, "\(key): \(problem.reason)", next: problem.next)
    }
  }

  var unit: Organ {
    get throws {
      guard let id = UnitID(self["unit.id"]) else {
        throw ConfigError(.badValue, "unit.id: 1 to 35 characters of A-Z a-z 0-9 . _ -")
      }
      let name = TextRules.normalized(self["unit.name"])
      do {
        try TextRules.check(name, field: "unit.name", maximum: Organ.maximumNameLength)
      } catch {
        throw ConfigError(.badValue, error.reason)
      }
      return Organ(organId: id, organName: name)
    }
  }

  /// The brokers of `broker.host`; `broker.port` is for those without a port of their own.
  var brokerHosts: [BrokerHost] {
    get throws {
      let port = try number("broker.port", 1...65_535)
      var hosts: [BrokerHost] = []
      for part in self["broker.host"].split(separator: ",", omittingEmptySubsequences: false) {
        let text = part.trimmingCharacters(in: .whitespaces)
        guard let host = BrokerHost(text, defaultPort: port) else {
          throw ConfigError(
            .badValue, "broker.host: “\(text)” is not a host name, with :PORT after it if need be")
        }
        guard !hosts.contains(host) else {
          throw ConfigError(.badValue, "broker.host: “\(text)” is named twice")
        }
        hosts.append(host)
      }
      return hosts
    }
  }
  var heartbeat: Int { get throws { try number("broker.heartbeatSeconds", 5...60) } }
  var usesTLS: Bool { get throws { try choice("broker.tls", ["true", "false"]) == "true" } }
  var usesPassword: Bool {
    get throws { try choice("broker.authentication", ["external", "password"]) == "password" }
  }
  var documentBytes: Int64 {
    get throws { Int64(try number("limits.documentBytes", 1...Int(WireLimits.documentBytes))) }
  }
  var freeBytes: Int64 {
    get throws { Int64(try number("limits.freeBytes", 0...(1 << 50))) }
  }
  var formats: FormatPolicy {
    get throws {
      FormatPolicy(
        takesLegacy: try choice("attachments.legacyFormats", ["true", "false"]) == "true")
    }
  }
  var signingTimeWindow: Duration {
    get throws { .seconds(86_400 * (try number("trust.signingTimeWindowDays", 1...3650))) }
  }
  var horizon: Duration {
    get throws { .seconds(3600 * (try number("retry.horizonHours", 1...8760))) }
  }

  var reconciliation: Upkeep.Policy {
    get throws {
      var policy = Upkeep.Policy(
        interval: .seconds(3600 * (try number("reconcile.intervalHours", 1...8760))),
        window: .seconds(86_400 * (try number("reconcile.windowDays", 1...3650))))
      policy.receipts = try receipts
      return policy
    }
  }

  var receipts: ReceiptPolicy {
    get throws {
      ReceiptPolicy(
        overdueAfter: .seconds(3600 * (try number("receipt.overdueHours", 1...8760))),
        expiryWarning: .seconds(3600 * (try number("receipt.expiryWarningHours", 0...8760))))
    }
  }

  private func number(_ key: String, _ range: ClosedRange<Int>) throws -> Int {
    guard let number = Int(self[key]), range.contains(number) else {
      throw ConfigError(
        .badValue,
        "\(key): “\(self[key])” is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  private func choice(_ key: String, _ choices: [String]) throws -> String {
    guard choices.contains(self[key]) else {
      throw ConfigError(
        .badValue, "\(key): “\(self[key])” is not one of \(choices.joined(separator: ", "))")
    }
    return self[key]
  }

  /// A secret from the environment variable, or from the file that `key` names; nil when neither is
  /// given. A file that others may read is refused.
  func secret(_ key: String, variable: String) throws -> String? {
    if let value = ProcessInfo.processInfo.environment[variable] { return value }
    return try path(key).map { try SecretFile.read($0, named: key) }
  }

  /// The path of a private key, or nil when `key` is empty. A key that others may read is refused; a
  /// missing file is for its reader to report.
  func keyPath(_ key: String) throws -> String? {
    guard let path = path(key) else { return nil }
    try SecretFile.check(path, named: key)
    return path
  }

  /// The key of the broker's connection. The AMQP library reads it by itself and would ask for a pass
  /// phrase on the terminal, so it must not have one.
  var brokerKeyPath: String? {
    get throws {
      guard let path = try keyPath("broker.keyFile") else { return nil }
      let text = FileManager.default.contents(atPath: path) ?? Data()
      guard text.first != 0x30 else {
        throw ConfigError(
          .badValue, "broker.keyFile: “\(path)” is not PEM, which the broker's library needs",
          next:
            "Convert it: (umask 077; openssl pkey -inform DER -in '\(path)' -out '\(path).pem'), "
            + "and name the new file in broker.keyFile.")
      }
      guard text.firstRange(of: Data("ENCRYPTED".utf8)) == nil else {
        throw ConfigError(
          .badValue,
          "broker.keyFile: “\(path)” has a pass phrase; use a separate key and certificate without "
            + "one for the broker, or broker.authentication: password")
      }
      return path
    }
  }

  /// The path of a certificate for the broker's connection. The AMQP library reads PEM only.
  func brokerCertificatePath(_ key: String) throws -> String? {
    guard let path = path(key) else { return nil }
    let bytes = FileManager.default.contents(atPath: path) ?? Data()
    guard bytes.first != 0x30, bytes.firstRange(of: Data("-----BEGIN PKCS7".utf8)) == nil else {
      let isSequence = bytes.first == 0x30
      throw ConfigError(
        .badValue, "\(key): “\(path)” is DER or PKCS#7; the broker's library needs PEM",
        next: "Convert it: openssl x509 -inform DER -in '\(path)' -out '\(path).pem', or a .p7b: "
          + "openssl pkcs7 \(isSequence ? "-inform DER " : "")-print_certs -in '\(path)' -out "
          + "'\(path).pem'; then name the new file in \(key).")
    }
    return path
  }

  /// The commented file that `congvan init` writes.
  static func template(unit: Organ) -> String {
    """
    # Configuration of a congvan node. Every key may be overridden by an environment variable:
    # broker.passwordFile is CONGVAN_BROKER_PASSWORD_FILE. Relative paths start at this folder.
    # Check it with: congvan config check

    unit:
      id: "\(unit.organId)"
      name: "\((unit.organName ?? "").replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))"

    broker:
      # A DNS name in the broker's certificate. Members of a cluster: mq1.example, mq2.example:5671
      host: localhost
      port: 5671               # of a host that names none
      virtualHost: congvan
      # user: ""               # the unit's id when empty
      authentication: external # external: client certificate; password: passwordFile
      # passwordFile: broker.password
      tls: true
      caFile: ca.crt           # who issued the broker's certificate
      certificateFile: unit.crt
      keyFile: unit.key
      heartbeatSeconds: 15

    signing:
      certificateFile: unit.crt  # with intermediates after it, if any
      keyFile: unit.key
      # pkcs12File: unit.p12     # instead of certificateFile and keyFile
      # passphraseFile: unit.passphrase

    trust:
      anchorsFile: ca.crt
      # crlFile: ca.crl
      signingTimeWindowDays: 45  # how far back a claimed signing time is believed

    directory:
      file: directory.json

    limits:
      documentBytes: 1073741824  # sum of a document's attachments, in and out
      freeBytes: 209715200       # of the disk; below, messages stay in the queue

    attachments:
      legacyFormats: true        # send and accept DOC, XLS, PPT, RTF, RAR and 7Z too

    retry:
      horizonHours: 72           # how long the broker may refuse before a person is asked

    reconcile:
      intervalHours: 24          # how often units compare what was sent with what arrived
      windowDays: 30             # how far back

    receipt:
      overdueHours: 72           # how long a receipt may take before the delivery is shown as overdue
      expiryWarningHours: 24     # how long before its end (send --expires) a delivery is shown

    log:
      level: info                # trace, debug, info, notice, warning, error

    """
  }
}
