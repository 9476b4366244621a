package import Foundation

/// A statement of this unit with its signature.
package struct SignedStatus: Sendable {
  package let statement: StatusStatement
  package let signed: Data
  /// The certificates that it is signed with (`DocumentSigner.identity`), when the signer knows.
  package let signer: String?

  package init(statement: StatusStatement, signed: Data, signer: String? = nil) {
    self.statement = statement
    self.signed = signed
    self.signer = signer
  }
}

/// Makes and signs the statuses of one unit: the node's own (01, refusals) and those of people.
package struct StatusSigner: Sendable {
  private let unit: Organ
  private let signer: any DocumentSigner
  private let clock: any WallClock

  package init(unit: Organ, signer: any DocumentSigner, clock: any WallClock) {
    self.unit = unit
    self.signer = signer
    self.clock = clock
  }

  /// Makes and signs a status of this unit. Its timestamp is later than `previous`, whatever the clock
  /// says, also in the milliseconds that cross the wire. A longer `note` is cut at 500 characters.
  package func sign(
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

  /// Signs a statement that is complete. `time` becomes the signing time.
  package func sign(_ statement: StatusStatement, at time: Timestamp) throws -> SignedStatus {
    SignedStatus(
      statement: statement, signed: try signer.sign(StatusCodec.encode(statement), at: time),
      signer: signer.identity)
  }
}
