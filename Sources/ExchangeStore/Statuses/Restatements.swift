package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase

/// A statement of ours that somebody asked for again and that has to be signed anew, because it was
/// signed with other certificates than those in use now, or ahead of the clock: perhaps it was never
/// believed.
package struct DueRestatement: Sendable {
  package let key: Int64
  /// The stored CMS.
  package let signed: Data
  /// The certificates that it was signed with; nil when nobody wrote it down.
  package let signer: String?
  package let at: Timestamp
  let document: Int64?
  let received: Int64?
  let lane: Lane
}

extension ReviewLedger {
  /// Says with which certificates this node signs from now on.
  package func announce(signer: String, at time: Timestamp) throws {
    let known = try read { try $0.nodeValue("signer") }
    if known != signer { try store.setNodeValue(signer, for: "signer", at: time) }
  }

  /// What is due, by document and in the order in which it was said.
  package func dueRestatements(limit: Int) throws -> [DueRestatement] {
    try read { database in
      try database.all(
        """
        SELECT status.*, coalesce(notice.lane, 'express') AS lane
        FROM (SELECT status AS due FROM restatement ORDER BY status LIMIT ?)
        JOIN status ON status.key = due
        LEFT JOIN notice ON notice.status = status.key
        ORDER BY status.documentID, status.at, status.id
        """, [limit]
      ).map { row in
        DueRestatement(
          key: row["key"], signed: row["signed"], signer: row["signer"], at: row.time("at"),
          document: row["document"], received: row["received"], lane: try row.lane("lane"))
      }
    }
  }

  /// Logs and queues the new statements beside the old ones, which stay. Nil: nothing is to be said
  /// anew after all. A statement is said anew once; what is said next takes the new one's place.
  package func restate(
    _ statements: [(old: DueRestatement, new: SignedStatus?)], at time: Timestamp
  )
    throws
  {
    try write(as: .daemon, at: time) { tx in
      for (old, new) in statements {
        try tx.run("DELETE FROM restatement WHERE status = ?", [old.key])
        guard let new, try tx.database.isCurrent(status: old.key) else { continue }
        try tx.enqueueStatus(
          new, document: old.document, received: old.received, lane: old.lane, replaces: old.key)
      }
    }
  }
}

extension Database {
  func nodeValue(_ key: String) throws -> String? {
    try one("SELECT value FROM node WHERE key = ?", [key])?["value"]
  }

  fileprivate func isCurrent(status key: Int64) throws -> Bool {
    try one(
      "SELECT 1 FROM status WHERE key = ? AND \(StatusOrder.isCurrent("status"))", [key]) != nil
  }
}

extension WriteTransaction {

  /// Notes which statements of ours the review has to sign anew, because somebody asks for them: those
  /// signed with other certificates than now, or dated ahead of the clock. `which` narrows the rows of
  /// `said`; its only argument is `?3`. No more than one for each change of certificates.
  ///
  /// Not: an automatic refusal of what was accepted since, and an answer to an earlier take-back.
  func noteRestatements(_ which: String, _ argument: Int64) throws {
    try run(
      """
      INSERT INTO restatement (status, askedAt)
      SELECT said.key, ?1 FROM status said
      WHERE \(which) AND said.direction = 'sent' AND \(StatusOrder.isCurrent("said"))
        AND (said.at > ?2 OR EXISTS (SELECT 1 FROM node
          WHERE node.key = 'signer' AND node.value IS NOT said.signer))
        AND NOT (said.code = '02' AND said.reasonCode IS NOT 'REFUSED-BY-PERSON'
          AND EXISTS (SELECT 1 FROM status proof WHERE proof.received = said.received
            AND proof.direction = 'sent' AND proof.code = '01'))
        AND NOT (said.code IN ('15', '16') AND EXISTS (SELECT 1 FROM status asked
          WHERE asked.document = said.document AND asked.direction = 'received'
            AND asked.code = '13' AND asked.key > said.key))
      ON CONFLICT DO NOTHING
      """,
      [
        time.microseconds, time.advanced(by: StatementTimes.clockSkew).microseconds, argument,
      ])
  }
}
