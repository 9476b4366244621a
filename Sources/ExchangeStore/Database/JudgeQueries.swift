package import ExchangeCore
package import Foundation
import GRDB

/// A stored message that waits for the judge.
package struct UnjudgedMessage: Sendable {
  package let key: Int64
  package let sender: String
  package let messageID: String
  package let type: String
  package let version: Int64?
  package let body: Data
  package let receivedAt: Timestamp
  /// Set when its signing time lay ahead of this machine's clock: it counts as arrived then.
  package let notBefore: Timestamp?
  /// Set when the manifest was believed before and attachments are awaited.
  package let document: Int64?

  /// The arrival that its signature is judged by.
  package var arrival: Timestamp { notBefore.map { max($0, receivedAt) } ?? receivedAt }
}

/// What is known about a document with a given id from a given sender.
package struct KnownDocument: Sendable {
  package let key: Int64
  package let manifestDigest: SHA256Digest
  /// The received message that made it.
  package let received: Int64
}

/// A delivery of ours that a status names.
package struct NamedDelivery: Sendable {
  package let key: Int64
  package let document: Int64
  package let manifestDigest: SHA256Digest
  package let state: OutgoingState
}

/// How far the attachments of a manifest are here.
package struct AttachmentState: Sendable {
  /// Not here.
  package let missing: [SHA256Digest]
  /// Of those: came altered from the sender, and have not come again since.
  package let spoiled: [SHA256Digest]
  /// All pieces of the missing ones are here and only have to be put together.
  package let isArrived: Bool
  /// A content that is here and has another size than the manifest says.
  package let contradiction: String?
}

extension Store {
  /// The express lane first: statuses and urgent documents do not wait for a backlog. A quarter is
  /// kept for the ordinary lane, so that no amount of urgent messages starves it. `aside` are keys that
  /// are not looked at.
  package func unjudged(limit: Int, now: Timestamp, aside: Set<Int64> = []) throws
    -> [UnjudgedMessage]
  {
    let keys = "[" + aside.map(String.init).joined(separator: ",") + "]"
    let isLookedAt = "received.key NOT IN (SELECT value FROM json_each(?))"
    func waiting(_ lane: Lane) throws -> [UnjudgedMessage] {
      let due = try messages(
        where:
          "received.state = 'received' AND received.lane = ? AND notBefore <= ? AND \(isLookedAt)",
        [lane.rawValue, now.microseconds, keys], by: "notBefore", limit: limit)
      let fresh = try messages(
        where:
          "received.state = 'received' AND received.lane = ? AND notBefore IS NULL AND \(isLookedAt)",
        [lane.rawValue, keys], limit: limit - due.count)
      return due + fresh
    }
    let ordinary = try waiting(.ordinary)
    let express = try waiting(.express).prefix(limit - min(ordinary.count, limit / 4))
    return Array(express + ordinary.prefix(limit - express.count))
  }

  /// Messages whose manifest is believed and whose attachments are now all here, or known to be
  /// spoiled, after `last` by key.
  package func ripe(limit: Int, after last: Int64) throws -> [UnjudgedMessage] {
    try messages(
      where: """
        received.key > ? AND received.state IN ('verified', 'incomplete') AND (
          NOT EXISTS (SELECT 1 FROM attachment a WHERE a.document = received.document
            AND NOT EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = a.sha256))
          OR EXISTS (SELECT 1 FROM attachment a CROSS JOIN spoiled s ON s.sha256 = a.sha256
            WHERE a.document = received.document AND s.sender = received.sender
              AND NOT EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = a.sha256)
              AND NOT EXISTS (SELECT 1 FROM transfer t WHERE t.sender = s.sender
                AND t.sha256 = s.sha256 AND t.pieces * \(WireLimits.pieceBytes) >= t.size)))
        """, [last], by: "received.key", limit: limit)
  }

  private func messages(
    where condition: String, _ arguments: StatementArguments = [],
    by order: String = "received.lane, received.key", limit: Int
  ) throws -> [UnjudgedMessage] {
    try read { database in
      try database.all(
        """
        SELECT received.key, received.sender, messageID, type, version, receivedAt, notBefore,
          received.document, coalesce(body, document.signed, x'') AS body
        FROM received LEFT JOIN document ON document.key = received.document
        WHERE \(condition) ORDER BY \(order) LIMIT \(limit)
        """, arguments
      ).map { row in
        UnjudgedMessage(
          key: row["key"], sender: row["sender"], messageID: row["messageID"], type: row["type"],
          version: row["version"], body: row["body"], receivedAt: row.time("receivedAt"),
          notBefore: row.optionalTime("notBefore"), document: row["document"])
      }
    }
  }

  package func incomingDocument(from sender: UnitID, id: RecordID) throws -> KnownDocument? {
    try read { database in
      try database.one(
        """
        SELECT document.key, manifestSha256, received.key AS received FROM document
        JOIN received ON received.document = document.key
        WHERE document.sender = ? AND document.id = ? AND direction = 'incoming'
        """, [sender.rawValue, id.rawValue]
      ).map { row in
        KnownDocument(
          key: row["key"], manifestDigest: try row.digest("manifestSha256"),
          received: row["received"])
      }
    }
  }

  package func delivery(of id: RecordID, issuedBy unit: UnitID, to recipient: UnitID) throws
    -> NamedDelivery?
  {
    try read { database in
      try database.one(
        """
        SELECT delivery.key, delivery.document, manifestSha256, state FROM delivery
        JOIN document ON document.key = delivery.document
        WHERE document.id = ? AND document.sender = ? AND recipient = ?
        """, [id.rawValue, unit.rawValue, recipient.rawValue]
      ).map { row in
        NamedDelivery(
          key: row["key"], document: row["document"],
          manifestDigest: try row.digest("manifestSha256"),
          state: try row.outgoingState("state"))
      }
    }
  }

  /// Compares the attachments of a manifest from `sender` with what is here.
  package func look(for attachments: [Attachment], from sender: UnitID) throws -> AttachmentState {
    try read { database in
      var contradiction: String?
      var missing: [SHA256Digest] = []
      for attachment in attachments {
        let row = try database.one(
          "SELECT size FROM blob WHERE sha256 = ?", [attachment.sha256.bytes])
        if let size: Int64 = row?["size"] {
          guard size != attachment.size else { continue }
          contradiction =
            contradiction ?? "“\(attachment.name)” has \(size) bytes, not \(attachment.size)"
        } else {
          missing.append(attachment.sha256)
        }
      }
      let spoiled = try missing.filter { digest in
        try database.one(
          """
          SELECT 1 FROM spoiled WHERE sender = ?1 AND sha256 = ?2
            AND NOT EXISTS (SELECT 1 FROM transfer
              WHERE sender = ?1 AND sha256 = ?2 AND pieces * ?3 >= size)
          """, [sender.rawValue, digest.bytes, WireLimits.pieceBytes]) != nil
      }
      let isArrived = try missing.allSatisfy { digest in
        try database.one(
          "SELECT 1 FROM transfer WHERE sender = ? AND sha256 = ? AND pieces * ? >= size",
          [sender.rawValue, digest.bytes, WireLimits.pieceBytes]) != nil
      }
      return AttachmentState(
        missing: missing, spoiled: spoiled, isArrived: isArrived, contradiction: contradiction)
    }
  }
}
