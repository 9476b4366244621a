package import ExchangeCore
package import ExchangeStore
import Synchronization

/// The current directory. Reading it is cheap; the file behind it may be replaced at any time.
package protocol DirectorySource: Sendable {
  var current: Directory { get }
}

/// A directory that does not change.
package struct FixedDirectory: DirectorySource {
  package let current: Directory
  package init(_ directory: Directory) { current = directory }
}

/// What every service of a node works with.
package struct NodeContext: Sendable {
  package let unit: Organ
  package let store: Store
  package let signer: any DocumentSigner
  package let verifier: any SignatureVerifier
  package let hashing: any ContentHashing
  package let directory: any DirectorySource
  package let clock: any WallClock

  package init(
    unit: Organ, store: Store, signer: any DocumentSigner, verifier: any SignatureVerifier,
    hashing: any ContentHashing, directory: any DirectorySource, clock: any WallClock
  ) {
    self.unit = unit
    self.store = store
    self.signer = signer
    self.verifier = verifier
    self.hashing = hashing
    self.directory = directory
    self.clock = clock
  }

  /// Makes and signs a status of this unit. It is later than `previous`, whatever the clock says,
  /// also in the milliseconds that cross the wire.
  func sign(
    documentID: RecordID, manifestDigest: SHA256Digest, to: UnitID, code: StatusCode,
    reasonCode: OutcomeCode? = nil, note: String? = nil, after previous: Timestamp? = nil
  ) throws -> SignedStatus {
    let now = clock.now
    // What was dated more than a day ahead nobody has believed.
    let previous = previous.flatMap {
      $0 <= now.advanced(by: StatementTimes.patience) ? $0 : nil
    }
    let time = previous.map { max(now, $0.advanced(by: .milliseconds(1))) } ?? now
    let statement = StatusStatement(
      statusID: RecordID(at: now), documentID: documentID, manifestDigest: manifestDigest,
      from: unit, to: to, code: code, timestamp: time, reasonCode: reasonCode?.rawValue,
      note: note.map { TextRules.fitting($0, maximum: 500) })
    return try sign(statement, at: now)
  }

  func sign(_ statement: StatusStatement, at time: Timestamp) throws -> SignedStatus {
    SignedStatus(
      statement: statement, signed: try signer.sign(StatusCodec.encode(statement), at: time),
      signer: signer.identity)
  }
}
