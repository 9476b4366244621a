package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase

/// A stored message that waits for the review.
package struct UnjudgedMessage: Sendable {
  package let key: Int64
  package let sender: String
  package let messageID: String
  package let correlationID: String?
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

/// A document whose details are only in its CMS.
package struct UndetailedDocument: Sendable {
  package let key: Int64
  package let sender: UnitID
  /// The stored CMS.
  package let signed: Data
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
  /// Not here, or not from this sender.
  package let missing: [SHA256Digest]
  /// Of those: came altered from the sender, and have not come again since.
  package let spoiled: [SHA256Digest]
  /// All pieces of the missing ones are here and only have to be put together.
  package let isArrived: Bool
  /// A content that is here and has another size than the manifest says.
  package let contradiction: String?
}

/// The messages of one sender that wait in one lane, the oldest first.
package struct WaitingMessages: Sendable {
  package let sender: String
  package var messages: [(key: Int64, type: String)]
}

extension ReviewLedger {
  /// What waits for the review in `lane`, sender by sender: up to `units` senders that come after
  /// `last` by identifier, and of each up to `count` messages. Costs an index seek a sender, whatever
  /// any of them has piled up. `aside` are keys that are not looked at.
  package func waiting(
    _ lane: Lane, after last: String, units: Int, count: Int, now: Timestamp, aside: Set<Int64>
  ) throws -> [WaitingMessages] {
    let keys = "[" + aside.map(String.init).joined(separator: ",") + "]"
    return try read { database in
      var senders: Set<String> = []
      for condition in ["notBefore IS NULL", "notBefore IS NOT NULL"] {
        let step = """
          SELECT min(sender) FROM received WHERE lane = ?1 AND state = 'received' AND \(condition)
            AND sender >
          """
        let rows = try database.all(
          """
          WITH RECURSIVE turn (sender) AS (
            \(step) ?2 UNION ALL SELECT (\(step) turn.sender) FROM turn
            WHERE turn.sender IS NOT NULL LIMIT ?3)
          SELECT sender FROM turn WHERE sender IS NOT NULL
          """, [lane.rawValue, last, units])
        senders.formUnion(rows.map { $0["sender"] })
      }
      return try senders.sorted().prefix(units).map { sender in
        let rows = try database.all(
          """
          SELECT key, type FROM (
            SELECT key, type, notBefore FROM received WHERE lane = ?1 AND sender = ?2
              AND state = 'received' AND notBefore IS NOT NULL AND notBefore <= ?3
              AND key NOT IN (SELECT value FROM json_each(?4)) ORDER BY notBefore LIMIT ?5)
          UNION ALL
          SELECT key, type FROM (
            SELECT key, type FROM received WHERE lane = ?1 AND sender = ?2
              AND state = 'received' AND notBefore IS NULL
              AND key NOT IN (SELECT value FROM json_each(?4)) ORDER BY key LIMIT ?5)
          """, [lane.rawValue, sender, now.microseconds, keys, count])
        return WaitingMessages(
          sender: sender, messages: rows.map { (key: $0["key"], type: $0["type"]) })
      }
    }
  }

  /// One message that waits for the review; nil when it does no longer.
  package func unjudged(key: Int64) throws -> UnjudgedMessage? {
    try messages(where: "received.key = ? AND received.state = 'received'", [key], limit: 1).first
  }

  func messages(
    where condition: String, _ arguments: StatementArguments = [],
    by order: String = "received.lane, received.key", limit: Int
  ) throws -> [UnjudgedMessage] {
    try read { database in
      try database.all(
        """
        SELECT received.key, received.sender, messageID, correlationID, type, version, receivedAt, notBefore,
          received.document, coalesce(body, document.signed, x'') AS body
        FROM received LEFT JOIN receivedBody ON receivedBody.received = received.key
        LEFT JOIN document ON document.key = received.document
        WHERE \(condition) ORDER BY \(order) LIMIT \(limit)
        """, arguments
      ).map { row in
        UnjudgedMessage(
          key: row["key"], sender: row["sender"], messageID: row["messageID"],
          correlationID: row["correlationID"], type: row["type"], version: row["version"],
          body: row["body"], receivedAt: row.time("receivedAt"),
          notBefore: row.optionalTime("notBefore"), document: row["document"])
      }
    }
  }

  /// Documents that were stored before their details had columns, oldest first.
  package func undetailed(limit: Int) throws -> [UndetailedDocument] {
    try read { database in
      try database.all(
        "SELECT key, sender, signed FROM document WHERE isDetailed = 0 ORDER BY key LIMIT ?",
        [limit]
      ).map {
        UndetailedDocument(key: $0["key"], sender: try $0.unit("sender"), signed: $0["signed"])
      }
    }
  }

  /// Stores the details of such documents. A manifest of nil cannot be read: it is not tried again.
  package func detail(_ manifests: [(document: Int64, manifest: Manifest?)], at time: Timestamp)
    throws
  {
    try write(as: .daemon, at: time) { tx in
      for (key, manifest) in manifests {
        if let manifest {
          try tx.detail(document: key, as: manifest)
        } else {
          try tx.run("UPDATE document SET isDetailed = 1 WHERE key = ?", [key])
        }
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

  /// True when this unit has asked `unit` to give the document back (13), or has replaced it: only then
  /// there is something to answer with 15 or 16.
  package func hasAskedBack(document: Int64, of unit: UnitID) throws -> Bool {
    try read { database in
      try database.one(
        """
        SELECT 1 WHERE EXISTS (SELECT 1 FROM status WHERE document = ?1 AND toUnit = ?2
            AND code = '13' AND direction = 'sent')
          OR EXISTS (SELECT 1 FROM document WHERE key = ?1 AND frozen = 'replaced')
        """, [document, unit.rawValue]) != nil
    }
  }

  /// Compares the attachments of a manifest from `sender` with what is here. Content counts only when
  /// its pieces came from this sender, now or earlier: otherwise a receipt would tell a stranger who
  /// knows a digest that the file is here.
  package func look(for attachments: [Attachment], from sender: UnitID) throws -> AttachmentState {
    try read { database in
      var contradiction: String?
      var missing: [SHA256Digest] = []
      for attachment in attachments {
        let row = try database.one(
          """
          SELECT source.size FROM contentSource source JOIN blob USING (sha256)
          WHERE source.sender = ? AND source.sha256 = ?
          """, [sender.rawValue, attachment.sha256.bytes])
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

/// True when the content `a.sha256` is here and `sender` brought it.
func isHere(_ sender: String) -> String {
  """
  (EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = a.sha256)
    AND EXISTS (SELECT 1 FROM contentSource c WHERE c.sha256 = a.sha256 AND c.sender = \(sender)))
  """
}
