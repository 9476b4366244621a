import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension Database {
  /// The message as it came; nil when it is kept no longer.
  func body(ofReceived key: Int64) throws -> Data? {
    try one("SELECT body FROM receivedBody WHERE received = ?", [key])?["body"]
  }

  /// Of a message that comes again and again the history tells the beginning: a peer must not be able
  /// to write without end what is never deleted. That a document was accepted stands there always.
  fileprivate func mayRecord(_ key: Int64, to state: IncomingState) throws -> Bool {
    try one(
      """
      SELECT 1 WHERE (SELECT count(*) FROM (
          SELECT 1 FROM history WHERE subject = 'received' AND subjectKey = ?1 LIMIT 50)) < 50
        OR (?2 AND EXISTS (SELECT 1 FROM received WHERE key = ?1 AND document IS NOT NULL))
      """, [key, state == .accepted]) != nil
  }
}

extension WriteTransaction {
  /// The one place where a received message changes its state: its row, and its line in the history,
  /// with its arrival before the first: what is dropped leaves no history. `columns` are further
  /// assignments in SQL with their `arguments`. What a person does is always logged.
  func move(
    received key: Int64, of document: Int64?, from before: IncomingState, to state: IncomingState,
    setting columns: String, _ arguments: StatementArguments = [], act: Int64? = nil, cause: String,
    detail: String? = nil
  ) throws {
    try run(
      "UPDATE received SET \(columns), state = ?, updatedAt = ? WHERE key = ?",
      arguments + [state.rawValue, time.microseconds, key])
    try run(
      """
      INSERT INTO history (at, subject, subjectKey, toState, actor, cause)
      SELECT receivedAt, 'received', key, 'received', ?, 'arrived' FROM received WHERE key = ?2
        AND NOT EXISTS (SELECT 1 FROM history WHERE subject = 'received' AND subjectKey = ?2)
      """, [Actor.daemon.name, key])
    guard try actor != .daemon || database.mayRecord(key, to: state) else { return }
    try record(
      "received", key, document: document, from: before.rawValue, to: state.rawValue, act: act,
      cause: cause, detail: detail)
  }

  /// A message that was judged before came again: it is judged as if it had arrived now. What was
  /// believed keeps its first arrival, so that a clock that is wrong today does not disbelieve it.
  /// `header`: type and version of this copy, where what was quarantined may have come with wrong ones.
  func reviewAnew(
    _ key: Int64, from state: IncomingState, document: Int64?, body: Data?,
    header: (type: String, version: Int64?)? = nil
  ) throws {
    if let body { try keep(body, ofReceived: key) }
    try move(
      received: key, of: document, from: state, to: .received,
      setting: """
        outcome = NULL, detail = NULL, hasBody = ?, type = coalesce(?, type),
        version = CASE WHEN ? THEN ? ELSE version END,
        receivedAt = CASE WHEN state = 'accepted' THEN receivedAt ELSE ? END,
        notBefore = CASE WHEN state = 'accepted' THEN notBefore END
        """,
      [body != nil, header?.type, header != nil, header?.version, time.microseconds],
      cause: "arrived again")
  }

  /// Keeps the body of a message. Another copy of the same manifest may be signed with other bytes.
  func keep(_ body: Data, ofReceived key: Int64) throws {
    try run(
      """
      INSERT INTO receivedBody (received, body) VALUES (?, ?)
      ON CONFLICT DO UPDATE SET body = excluded.body WHERE body <> excluded.body
      """, [key, body])
  }
}
