import DocumentSigning
package import ExchangeCore
package import ExchangeNode
package import ExchangeStore
package import ExchangeTestKit
import Foundation
package import GRDB
package import Logging
import NodeDatabase
package import UnitOffice

/// A unit's node without threads: a test moves each of its parts itself.
package final class TestNode: Sendable {
  package let organ: Organ
  package let clock: ManualClock
  package let context: NodeContext
  package let relay: Relay
  package let review: MessageReview
  package let intake: Intake
  package let office: Office
  package let folder: TemporaryFolder

  package var id: UnitID { organ.organId }
  package var store: Store { context.store }

  package init(
    _ organ: Organ, clock: ManualClock = ManualClock(), limits: IntakeLimits = IntakeLimits(),
    policy: RetryPolicy = RetryPolicy(), directory: Directory? = nil,
    folder: TemporaryFolder? = nil, signing: Signing? = nil, log: Logger = .silent
  ) throws {
    let province = try Province.shared.get()
    let directory = directory ?? province.directory
    self.organ = organ
    self.clock = clock
    let folder = try folder ?? TemporaryFolder()
    self.folder = folder
    context = NodeContext(
      unit: organ,
      store: try Store(folder: folder.url.path, hashing: OpenSSLHashing(), create: true),
      signer: try signing?.signer ?? province.signer(organ),
      verifier: signing?.verifier ?? province.verifier, hashing: OpenSSLHashing(),
      directory: signing?.directory ?? FixedDirectory(directory), clock: clock)
    let quarantineLog = QuarantineLog(log: log, clock: clock)
    relay = Relay(store: context.store, clock: clock, policy: policy, log: log)
    review = MessageReview(context: context, limits: limits, log: log, quarantineLog: quarantineLog)
    try review.announce()
    intake = Intake(
      store: context.store, hashing: OpenSSLHashing(), clock: clock, limits: limits,
      isKnown: { [context] in context.directory.current.unit($0) != nil }, events: Quiet(),
      quarantineLog: quarantineLog)
    office = Office(
      context: OfficeContext(
        unit: organ, store: context.store, signer: context.signer, verifier: context.verifier,
        hashing: context.hashing, directory: context.directory, clock: clock),
      actor: Actor("văn thư"),
      limits: OfficeLimits(
        documentBytes: limits.documentBytes, freeBytes: limits.freeBytes, formats: limits.formats))
  }

  /// Another signer, verifier and directory than the province's.
  package struct Signing: Sendable {
    let signer: any DocumentSigner
    let verifier: any SignatureVerifier
    let directory: any DirectorySource

    package init(
      signer: any DocumentSigner, verifier: any SignatureVerifier, directory: any DirectorySource
    ) {
      self.signer = signer
      self.verifier = verifier
      self.directory = directory
    }
  }

  private struct Quiet: IntakeEvents {
    func stored(hasMessages: Bool, hasPieces: Bool) {}
    func deliveredOften(messages: Int, failures: Int64) {}
    func connectionChanged(_ state: LinkState) {}
    func wentIdle() {}
  }

  /// Judges and assembles until nothing changes any more. A bound, because a loop is a bug.
  package func settle() throws {
    for _ in 0..<1000 {
      let reviewed = try review.step(ripe: true)
      if try review.assemble() == 0, reviewed == 0 { return }
    }
    throw Stuck(what: "the review of \(id) never ends")
  }

  package struct Stuck: Error { let what: String }

  /// A second review over the same database, with another signer.
  package func review(signer: any DocumentSigner) -> MessageReview {
    MessageReview(
      context: NodeContext(
        unit: context.unit, store: context.store, signer: signer, verifier: context.verifier,
        hashing: context.hashing, directory: context.directory, clock: clock),
      limits: IntakeLimits(), log: .silent)
  }

  // MARK: Looking inside

  /// Reads the database through a second connection.
  package func query(_ sql: String) throws -> [Row] {
    var configuration = Configuration()
    configuration.readonly = true
    let queue = try DatabaseQueue(
      path: folder.path(DatabaseFile.name), configuration: configuration)
    return try queue.read { try Row.fetchAll($0, sql: sql) }
  }

  /// First column of every row, as text.
  package func texts(_ sql: String) throws -> [String] { try query(sql).map { $0[0] ?? "NULL" } }

  package func numbers(_ sql: String) throws -> [Int] { try query(sql).map { $0[0] } }

  package func count(_ table: String, _ condition: String = "1") throws -> Int {
    try query("SELECT count(*) AS n FROM \(table) WHERE \(condition)")[0]["n"]
  }

  /// State and outcome of every received message, in order of arrival.
  package func verdicts() throws -> [String] {
    try query("SELECT state, outcome FROM received ORDER BY key").map { row in
      let outcome: String? = row["outcome"]
      return [row["state"], outcome].compactMap { $0 }.joined(separator: " ")
    }
  }

  /// Codes of the statuses that this unit sent, in order.
  package func answers() throws -> [String] {
    try query("SELECT code, reasonCode FROM status WHERE direction = 'sent' ORDER BY key").map {
      row in
      let reason: String? = row["reasonCode"]
      return [row["code"], reason].compactMap { $0 }.joined(separator: " ")
    }
  }

  /// What the node has summed up of each peer, and the same counted anew.
  package func holdings() throws -> [String] {
    try texts(
      "SELECT sender || ' ' || kind || ' ' || items || ' ' || bytes FROM holding WHERE items > 0 ORDER BY 1"
    )
  }

  package func countedHoldings() throws -> [String] {
    try texts(
      """
      SELECT sender || ' ' || kind || ' ' || count(*) || ' ' || sum(bytes) FROM (
        SELECT sender, CASE WHEN state = 'received' AND notBefore IS NULL THEN 'unjudged'
            WHEN state = 'received' THEN 'postponed' WHEN state = 'quarantined' THEN 'quarantined'
            ELSE 'waiting' END AS kind,
          1024 + CASE WHEN NOT EXISTS (SELECT 1 FROM receivedBody
            WHERE received = received.key) AND state = 'quarantined' THEN 0 ELSE size END AS bytes
        FROM received WHERE state NOT IN ('accepted', 'discarded')
        UNION ALL SELECT sender, 'unnamed', max(size, 65536) FROM contentSource WHERE isNamed = 0
        UNION ALL SELECT sender, 'unnamed', max(size, 65536) FROM transfer
        UNION ALL SELECT sender, 'unnamed', 65536 FROM spoiled)
      GROUP BY sender, kind ORDER BY 1
      """)
  }

  package func deliveries() throws -> [DeliverySummary] {
    try store.reader.deliveries(DeliveryFilter())
  }
}

/// Carries everything between nodes until nothing moves. Returns when all queues are empty.
package func exchange(_ nodes: [TestNode], through broker: FakeBroker) throws {
  for _ in 0..<1000 {
    var moved = 0
    for node in nodes { moved += try broker.publish(from: node.relay, as: node.id) }
    for node in nodes {
      for lane in Lane.allCases {
        moved += try broker.deliver(.init(node.id, lane), into: node.intake)
      }
      try node.settle()
    }
    if moved == 0 { return }
  }
  throw TestNode.Stuck(what: "messages go round and round")
}

extension Logger {
  /// Says nothing.
  package static let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
}
