import AMQPTransport
import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import Foundation
import Logging
import NodeDatabase
import NodeOperations
import UnitOffice

#if canImport(Glibc)
  import Glibc
#endif

/// The composition root: the only place that knows which adapter implements which port.
struct Assembly {
  let settings: Settings
  let hashing = OpenSSLHashing()

  /// The node's database. Throws when this process is not the owner's, or when the database is
  /// another unit's than `unit.id`.
  func store() throws -> Store {
    try NodeOwner.requireOwner(of: settings.folder)
    let store = try Store(folder: settings.folder, hashing: hashing)
    let unit = try settings.unit.organId
    if let known = try store.unit(), known != unit {
      throw ConfigError(
        .unitChanged,
        "unit.id: “\(unit)” in the configuration, but the database is that of “\(known)”",
        next: "Set unit.id back to “\(known)”; for “\(unit)” make a node folder of its own with: "
          + "congvan init --unit \(unit) --name NAME --dir DIR")
    }
    return store
  }

  func directory(log: Logger? = nil) throws -> DirectoryFile {
    guard let path = settings.path("directory.file") else {
      throw ConfigError(.missingKey, "directory.file: is empty")
    }
    try settings.requireAccess("directory.file")
    return try DirectoryFile(path: path, hashing: hashing, log: log) {
      CertificateInfo.problem(ofDER: $0)
    }
  }

  /// The key with all issuers that go along, also those that only the anchors' file has.
  func signingKey(_ trust: TrustStore) throws -> SigningKey {
    try signingKey().completed(by: trust)
  }

  func signingKey() throws -> SigningKey {
    try settings.requireAccess(
      "signing.passphraseFile", "signing.pkcs12File", "signing.keyFile", "signing.certificateFile")
    let passphrase = try settings.secret(
      "signing.passphraseFile", variable: "CONGVAN_SIGNING_PASSPHRASE")
    if let pkcs12 = try settings.keyPath("signing.pkcs12File") {
      return try SigningKey.load(pkcs12: pkcs12, passphrase: passphrase)
    }
    guard let key = try settings.keyPath("signing.keyFile"),
      let certificate = settings.path("signing.certificateFile")
    else { throw ConfigError(.missingKey, "signing.keyFile, signing.certificateFile: are empty") }
    return try SigningKey.load(key: key, certificate: certificate, passphrase: passphrase)
  }

  /// `revocationLists` instead of those of the configuration.
  func trust(revocationLists: String? = nil) throws -> TrustStore {
    guard let anchors = settings.path("trust.anchorsFile") else {
      throw ConfigError(.missingKey, "trust.anchorsFile: is empty")
    }
    try settings.requireAccess("trust.anchorsFile", "trust.crlFile")
    return try TrustStore.load(
      anchors: anchors, revocationLists: revocationLists ?? settings.path("trust.crlFile"))
  }

  func verifier(_ directory: any DirectorySource, _ trust: TrustStore) throws -> CMSVerifier {
    CMSVerifier(
      trust: { trust }, directory: { directory.current },
      times: TimeRules(signingWindow: try settings.signingTimeWindow))
  }

  /// What the node's context and the office's have in common, beside the database.
  private struct ContextParts {
    let unit: Organ
    let directory: DirectoryFile
    let trust: TrustStore
    let verifier: CMSVerifier
  }

  private func parts(log: Logger? = nil) throws -> ContextParts {
    let directory = try directory(log: log)
    let unit = try settings.unit
    guard directory.current.unit(unit.organId) != nil else {
      throw NodeError(.notAUnit, "unit.id: “\(unit.organId)” is not in the directory")
    }
    let trust = try trust()
    return ContextParts(
      unit: unit, directory: directory, trust: trust, verifier: try verifier(directory, trust))
  }

  /// Signs with the unit's key what other units would believe.
  private func signer(_ parts: ContextParts) throws -> BelievedSigner {
    BelievedSigner(
      CMSSigner(key: try signingKey(parts.trust)), unit: parts.unit.organId,
      verifier: parts.verifier, directory: parts.directory)
  }

  func context(log: Logger? = nil, store: Store? = nil) throws -> NodeContext {
    let parts = try parts(log: log)
    let signer = try signer(parts)
    return NodeContext(
      unit: parts.unit, store: try store ?? self.store(), signer: signer,
      verifier: parts.verifier, hashing: hashing, directory: parts.directory, clock: SystemClock())
  }

  /// The acts of people. With `signs: false` the unit's key is not needed, and not read.
  func office(signs: Bool = true) throws -> Office {
    let parts = try parts()
    let signer = signs ? try signer(parts) : nil
    return Office(
      context: OfficeContext(
        unit: parts.unit, store: try store(), signer: signer, verifier: parts.verifier,
        hashing: hashing, directory: parts.directory, clock: SystemClock()),
      actor: Self.actor,
      limits: OfficeLimits(
        documentBytes: try settings.documentBytes, freeBytes: try settings.freeBytes,
        formats: try settings.formats))
  }

  func quarantine() throws -> Quarantine {
    Quarantine(store: try store(), actor: Self.actor, clock: SystemClock())
  }

  private var limits: IntakeLimits {
    get throws {
      IntakeLimits(
        documentBytes: try settings.documentBytes, freeBytes: try settings.freeBytes,
        formats: try settings.formats)
    }
  }

  /// Which deliveries wait too long for their receipt, as of now.
  func receiptWatch() throws -> ReceiptWatch {
    ReceiptWatch(try settings.receipts, now: SystemClock().now)
  }

  /// Every identifier under which something may have gone to what a person names: a unit, an alias,
  /// `@group`, or a unit that the directory does not list any more but that something was sent to.
  func identifiers(named text: String, in store: Store) throws -> [UnitID] {
    let name = TextRules.normalized(text)
    do {
      return try directory().current.resolve(recipient: name).flatMap { [$0.id] + $0.aliases }
    } catch {
      guard let unit = UnitID(name), try store.reader.hasDeliveries(to: unit) else { throw error }
      return [unit]
    }
  }

  /// The person at the keyboard, as the operating system knows them. Under sudo also who called it,
  /// which is what the environment says.
  static var actor: Actor {
    let name = UserName.of(NodeOwner.invoker)
    let caller = ProcessInfo.processInfo.environment["SUDO_USER"].flatMap { text in
      let isName =
        (1...64).contains(text.utf8.count)
        && text.allSatisfy { $0.isLetter || $0.isNumber || "._-@$\\".contains($0) }
      return isName && text != name ? text : nil
    }
    return .operator(Actor.OSUser(name: name, sudoUser: caller))
  }

  func brokerSettings() throws -> BrokerSettings {
    let unit = try settings.unit.organId
    let user = settings["broker.user"].isEmpty ? unit : UnitID(settings["broker.user"])
    guard user == unit else {
      throw ConfigError(.badValue, "broker.user: must be the unit's id “\(unit)”")
    }
    let authentication: BrokerSettings.Authentication
    if try settings.usesPassword {
      guard
        let password = try settings.secret(
          "broker.passwordFile", variable: "CONGVAN_BROKER_PASSWORD")
      else { throw ConfigError(.missingKey, "broker.passwordFile: is empty") }
      authentication = .password(password)
    } else {
      authentication = .external
    }
    var tls: BrokerSettings.TLS?
    var isExternal = false
    if case .external = authentication { isExternal = true }
    if try settings.usesTLS {
      guard let authority = try settings.brokerCertificatePath("broker.caFile") else {
        throw ConfigError(.missingKey, "broker.caFile: is empty")
      }
      tls = BrokerSettings.TLS(
        caFile: authority,
        certificateFile: isExternal
          ? try settings.brokerCertificatePath("broker.certificateFile") : nil,
        keyFile: isExternal ? try settings.brokerKeyPath : nil)
    } else if isExternal {
      throw ConfigError(.badValue, "broker.authentication: external needs broker.tls: true")
    }
    var broker = BrokerSettings(
      hosts: try settings.brokerHosts,
      vhost: settings["broker.virtualHost"], user: unit, authentication: authentication, tls: tls)
    broker.heartbeatSeconds = try settings.heartbeat
    return broker
  }

  func node(untilIdle: Bool, log: Logger) throws -> Node {
    var options = Node.Options()
    options.limits = try limits
    options.policy.horizon = try settings.horizon
    options.upkeep = try settings.reconciliation
    options.untilIdle = untilIdle
    return Node(
      context: try context(log: log),
      transport: RabbitTransport(settings: try brokerSettings()), options: options, log: log)
  }

  func logger() -> Logger {
    var log = Logger(label: "congvan")
    log.logLevel = Logger.Level(rawValue: settings["log.level"]) ?? .info
    return log
  }
}
