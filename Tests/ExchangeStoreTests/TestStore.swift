import DocumentSigning
import ExchangeCore
import ExchangeStore
import ExchangeTestKit
import Foundation
import GRDB
import NodeDatabase

/// A store in a folder of its own, and a second connection to look behind it.
final class TestStore: Sendable {
  let folder: TemporaryFolder
  let store: Store
  let clock = ManualClock()

  static let own = unit("LDLD.ALPHA")
  static let beta = unit("CDCS.BETA")
  static let gamma = unit("CDCS.GAMMA")

  init() throws {
    folder = try TemporaryFolder()
    store = try Store(folder: folder.url.path, hashing: OpenSSLHashing(), create: true)
  }

  var databasePath: String { folder.path(DatabaseFile.name) }

  /// Opens the same folder again, as another process would.
  func reopened() throws -> Store {
    try Store(folder: folder.url.path, hashing: OpenSSLHashing())
  }

  // MARK: Behind the store's back

  @discardableResult
  func sql(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws -> [Row] {
    try DatabaseQueue(path: databasePath).write {
      try Row.fetchAll($0, sql: sql, arguments: arguments)
    }
  }

  /// First column of every row, as text.
  func texts(_ sql: String) throws -> [String] {
    try self.sql(sql).map { row in
      let value: DatabaseValue = row[0]
      return String.fromDatabaseValue(value) ?? "\(value)"
    }
  }

  func count(_ table: String, _ condition: String = "1") throws -> Int {
    try sql("SELECT count(*) FROM \(table) WHERE \(condition)")[0][0]
  }

  /// What waits for the review, the ordinary lane first.
  func unjudged() throws -> [UnjudgedMessage] {
    try Lane.allCases.flatMap { lane in
      try store.review.waiting(lane, after: "", units: 10, count: 10, now: clock.now, aside: [])
        .flatMap(\.messages)
    }.compactMap { try store.review.unjudged(key: $0.key) }
  }

  // MARK: Values

  static func unit(_ text: String) -> UnitID {
    guard let unit = UnitID(text) else { fatalError("a test names the impossible unit “\(text)”") }
    return unit
  }

  static func hash(_ data: Data) -> SHA256Digest { OpenSSLHashing().sha256(data) }

  /// A document that was never signed: the store does not look.
  func document(
    to recipients: [UnitID] = [beta], content: Data = Data("%PDF-1.7".utf8),
    urgency: Urgency = .normal
  ) throws -> IssuedDocument {
    let stored = try store.files.ingest(content)
    let manifest = Manifest(
      documentID: RecordID(at: clock.now), createdAt: clock.now,
      from: Organ(organId: Self.own), to: recipients.map { Organ(organId: $0) },
      number: try ReferenceNumber("1/CV-LĐLĐ"), issuedDate: CalendarDate(clock.now),
      typeName: "Công văn", subject: "Thử", urgency: urgency,
      attachments: [
        Attachment(
          name: "a.pdf", mediaType: "application/pdf", size: stored.size, sha256: stored.sha256)
      ])
    let json = try ManifestCodec.encode(manifest)
    return IssuedDocument(
      manifest: manifest, digest: Self.hash(json), signed: json, contents: [stored])
  }

  /// Issues a document and returns the keys of its deliveries.
  @discardableResult
  func issue(
    to recipients: [UnitID] = [beta], content: Data = Data("%PDF-1.7".utf8),
    urgency: Urgency = .normal
  ) throws -> [Int64] {
    let document = try document(to: recipients, content: content, urgency: urgency)
    try store.joining.issue([document], at: clock.now, by: Actor("văn thư"))
    var filter = DeliveryFilter()
    filter.documents = [document.manifest.documentID]
    return try store.reader.deliveries(filter).map(\.key)
  }

  func delivery(_ key: Int64) throws -> DeliverySummary? {
    try store.reader.deliveries(DeliveryFilter()).first { $0.key == key }
  }

  /// A message as the intake hands it over.
  func message(
    _ body: String, id: String = "m-1", from sender: UnitID = beta,
    fault: (outcome: OutcomeCode, detail: String)? = nil
  ) -> ReceivedMessage {
    ReceivedMessage(
      sender: sender.rawValue, messageID: id, bodyDigest: Self.hash(Data(body.utf8)),
      type: MessageKind.document.rawValue, version: 1, lane: .ordinary,
      body: fault == nil ? Data(body.utf8) : nil, size: Int64(body.utf8.count), fault: fault)
  }
}
