import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension WriteTransaction {
  /// Stores a status in the log. Returns its key, or nil when (sender, id) is already there.
  func insertStatus(
    _ status: SignedStatus, direction: String, document: Int64?, received: Int64?,
    replaces: Int64? = nil
  ) throws -> Int64? {
    let statement = status.statement
    try run(
      """
      INSERT INTO status (direction, id, document, received, documentID, fromUnit, toUnit, code,
        at, reasonCode, note, arrivalNumber, staff, signed, recordedAt, signer, replaces)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fromUnit, id) DO NOTHING
      """,
      [
        direction, statement.statusID.rawValue, document, received,
        statement.documentID.rawValue, statement.from.organId.rawValue, statement.to.rawValue,
        statement.code.rawValue, statement.timestamp.microseconds, statement.reasonCode,
        statement.note, statement.arrivalNumber, statement.staff, status.signed,
        time.microseconds, status.signer, replaces,
      ])
    return changesCount == 1 ? lastInsertedRowID : nil
  }

  /// Stores a status of ours and queues it in the same transaction. `replaces`: the statement of ours
  /// that this one says anew.
  func enqueueStatus(
    _ status: SignedStatus, document: Int64?, received: Int64?, lane: Lane = .express,
    replaces: Int64? = nil
  ) throws {
    let statement = status.statement
    guard
      let key = try insertStatus(
        status, direction: "sent", document: document, received: received, replaces: replaces)
    else { return }
    try run(
      """
      INSERT INTO notice (status, type, messageID, correlationID, toUnit, lane, state, updatedAt)
      VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)
      """,
      [
        key, MessageKind.status.rawValue, statement.statusID.rawValue,
        statement.documentID.rawValue, statement.to.rawValue, lane.rawValue,
        time.microseconds,
      ])
  }

  /// Queues notices again, byte for byte. `which` narrows the rows of `notice`, with `arguments`.
  func requeueNotices(_ which: String, _ arguments: StatementArguments) throws {
    try run(
      """
      UPDATE notice SET state = 'queued', nextAt = NULL, updatedAt = ?
      WHERE state <> 'queued' AND \(which)
      """, [time.microseconds] + arguments)
  }

  /// Sends the stored statuses about a received message again, byte for byte. Those that were signed
  /// with other certificates than now the review says anew too.
  func requeueStatuses(ofReceived key: Int64) throws {
    try requeueNotices(
      """
      status IN (SELECT status.key FROM status
        WHERE status.received = ? AND \(StatusOrder.isCurrent("status")))
      """, [key])
    try noteRestatements("said.received = ?3", key)
  }
}
