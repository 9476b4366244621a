package import ExchangeCore
import GRDB
import NodeDatabase

/// What a status that was not believed says it is about. Nothing of it was verified.
package struct StatementClaim: Sendable, Hashable {
  package let documentID: RecordID
  /// Two digits; nil when the content could not be read and only the message's `correlation-id` names
  /// the document.
  package let code: StatusCode?
  package let at: Timestamp?

  package init(documentID: RecordID, code: StatusCode? = nil, at: Timestamp? = nil) {
    self.documentID = documentID
    self.code = code
    self.at = at
  }

  package init(_ statement: StatusStatement) {
    self.init(
      documentID: statement.documentID, code: statement.code, at: statement.timestamp)
  }
}

/// A status about a document that came and was not believed.
package struct UnbelievedStatus: Sendable {
  /// The message's id in the quarantine.
  package let message: Int64
  /// Whom the broker vouches for.
  package let from: UnitID
  /// What it claims, unverified.
  package let code: String?
  package let claimedAt: Timestamp?
  package let receivedAt: Timestamp
  /// Outcome code.
  package let outcome: String
  package let detail: String?
}

extension ExchangeReader {
  /// Statuses about a document that came and were not believed, the latest first.
  package func unbelieved(document: Int64, limit: Int = 100) throws -> [UnbelievedStatus] {
    try read { database in
      try database.all(
        """
        SELECT claim.code, claim.at, claim.unit, r.key, r.outcome, r.detail, r.receivedAt
        FROM claim JOIN received r ON r.key = claim.received
        WHERE claim.document = ? AND r.state = 'quarantined' ORDER BY claim.received DESC LIMIT ?
        """, [document, limit]
      ).map { row in
        UnbelievedStatus(
          message: row["key"], from: try row.unit("unit"), code: row["code"],
          claimedAt: row.optionalTime("at"), receivedAt: row.time("receivedAt"),
          outcome: row["outcome"], detail: row["detail"])
      }
    }
  }
}

extension ReviewLedger {

  /// What the verdicts about signatures rest on, as the review said it last.
  package func trustBasis() throws -> String? { try read { try $0.nodeValue("trust") } }

  package func setTrustBasis(_ basis: String, at time: Timestamp) throws {
    try store.setNodeValue(basis, for: "trust", at: time)
  }

  /// Quarantined statuses that another directory or other anchors may make believable: of each unit
  /// the newest `perUnit`, at most `limit`.
  package func reconsiderable(perUnit: Int, limit: Int) throws -> [Int64] {
    try read { database in
      try database.all(
        """
        SELECT key FROM (SELECT key,
            row_number() OVER (PARTITION BY sender ORDER BY key DESC) AS place
          FROM received WHERE state = 'quarantined' AND type = ?1 AND hasBody
            AND outcome IN ('SENDER-UNKNOWN', 'NOT-ADDRESSED', 'SIGNATURE-UNKNOWN-SIGNER',
              'SIGNATURE-NOT-THIS-UNIT', 'SIGNATURE-NOT-YET-VALID', 'SIGNATURE-EXPIRED',
              'SIGNATURE-REVOKED', 'SIGNATURE-UNTRUSTED', 'SIGNATURE-PROFILE'))
        WHERE place <= ?2 ORDER BY key LIMIT ?3
        """, [MessageKind.status.rawValue, perUnit, limit]
      ).map { $0["key"] }
    }
  }

  /// The kinds and versions of messages that this node could read when it ran last; nil before it said
  /// so for the first time.
  package func readable() throws -> String? { try read { try $0.nodeValue("readable") } }

  package func setReadable(_ readable: String, at time: Timestamp) throws {
    try store.setNodeValue(readable, for: "readable", at: time)
  }

  /// Quarantined messages of a kind or a version that was not known when they arrived: of each unit the
  /// newest `perUnit`, at most `limit`.
  package func unreadable(perUnit: Int, limit: Int) throws -> [Int64] {
    try read { database in
      try database.all(
        """
        SELECT key FROM (SELECT key,
            row_number() OVER (PARTITION BY sender ORDER BY key DESC) AS place
          FROM received WHERE state = 'quarantined' AND hasBody
            AND outcome IN ('VERSION-UNKNOWN', 'MESSAGE-UNKNOWN'))
        WHERE place <= ? ORDER BY place, key LIMIT ?
        """, [perUnit, limit]
      ).map { $0["key"] }
    }
  }

  /// Gives quarantined messages back for review because what decisions rest on has changed. They keep
  /// their arrival. Returns how many there still were.
  package func reconsider(_ keys: [Int64], cause: String, at time: Timestamp) throws -> Int {
    try write(as: .daemon, at: time) { tx in
      var count = 0
      for key in keys {
        let row = try tx.one(
          "SELECT document FROM received WHERE key = ? AND state = 'quarantined'", [key])
        guard let row else { continue }
        try tx.move(
          received: key, of: row["document"], from: .quarantined, to: .received,
          setting: "outcome = NULL, detail = NULL", cause: cause)
        count += 1
      }
      return count
    }
  }
}

extension WriteTransaction {
  /// How many claims of one unit about one document are kept: the newest.
  private static let claimsKept = 16

  /// Keeps what a message that was not believed claims to be about, when that is a document which went
  /// to its sender or came from it.
  func note(_ claim: StatementClaim, of received: Int64, from sender: String) throws {
    let document = try one(
      """
      SELECT key FROM document WHERE id = ?1
        AND CASE direction WHEN 'incoming' THEN sender = ?2
          ELSE EXISTS (SELECT 1 FROM delivery WHERE document = document.key AND recipient = ?2) END
      ORDER BY (direction = 'incoming') = (?3 IS '13') DESC LIMIT 1
      """, [claim.documentID.rawValue, sender, claim.code?.rawValue])
    guard let document: Int64 = document?["key"] else { return }
    try run(
      """
      -- Beyond the sender's quota the message itself was not kept.
      INSERT INTO claim (received, document, unit, code, at)
      SELECT key, ?2, ?3, ?4, ?5 FROM received WHERE key = ?1
      ON CONFLICT DO UPDATE SET document = ?2, unit = ?3, code = ?4, at = ?5
      """, [received, document, sender, claim.code?.rawValue, claim.at?.microseconds])
    try run(
      """
      DELETE FROM claim WHERE document = ?1 AND unit = ?2 AND received <= (
        SELECT received FROM claim WHERE document = ?1 AND unit = ?2
        ORDER BY received DESC LIMIT 1 OFFSET ?3)
      """, [document, sender, Self.claimsKept])
  }
}
