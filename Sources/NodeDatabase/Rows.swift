package import ExchangeCore
import Foundation
package import GRDB

/// Typed reading of columns. A value that does not parse means a damaged file, never a trap.
extension Row {
  package func unit(_ column: String) throws -> UnitID {
    try parsed(column) { (text: String) in UnitID(text) }
  }

  package func recordID(_ column: String) throws -> RecordID {
    try parsed(column) { (text: String) in RecordID(text) }
  }

  package func optionalRecordID(_ column: String) throws -> RecordID? {
    try (self[column] as String?).map { _ in try recordID(column) }
  }

  package func digest(_ column: String) throws -> SHA256Digest {
    try parsed(column) { (bytes: Data) in SHA256Digest(bytes: bytes) }
  }

  package func outgoingState(_ column: String) throws -> OutgoingState {
    try parsed(column) { (text: String) in OutgoingState(rawValue: text) }
  }

  package func incomingState(_ column: String) throws -> IncomingState {
    try parsed(column) { (text: String) in IncomingState(rawValue: text) }
  }

  package func lane(_ column: String) throws -> Lane {
    try parsed(column) { (text: String) in Lane(rawValue: text) }
  }

  package func urgency(_ column: String) throws -> Urgency {
    try parsed(column) { (number: Int) in Urgency(rawValue: number) }
  }

  package func time(_ column: String) -> Timestamp { Timestamp(microseconds: self[column]) }

  package func optionalTime(_ column: String) -> Timestamp? {
    (self[column] as Int64?).map(Timestamp.init(microseconds:))
  }

  private func parsed<Stored: DatabaseValueConvertible, Value>(
    _ column: String, _ parse: (Stored) -> Value?
  ) throws -> Value {
    guard let stored = self[column] as Stored?, let value = parse(stored) else {
      throw StoreError(.corrupt, "database: column \(column) has an impossible value")
    }
    return value
  }
}

extension Database {
  /// Runs a cached statement; the cache keeps hot transactions from compiling SQL again.
  package func run(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws {
    try cachedStatement(sql: sql).execute(arguments: arguments)
  }

  package func one(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws
    -> Row?
  {
    try Row.fetchOne(try cachedStatement(sql: sql), arguments: arguments)
  }

  package func all(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws
    -> [Row]
  {
    try Row.fetchAll(try cachedStatement(sql: sql), arguments: arguments)
  }
}
