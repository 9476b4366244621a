package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase

/// A signed document ready to be sent.
package struct IssuedDocument: Sendable {
  package let manifest: Manifest
  /// SHA-256 of the manifest's JSON.
  package let digest: SHA256Digest
  /// CMS, DER: the bytes of every send and resend.
  package let signed: Data
  package let contents: [StoredContent]
  /// When its deliveries end although no receipt came; nil for never.
  package var expiresAt: Timestamp?
  /// Under which it is issued, so that it is issued once; stored in the same transaction.
  package var key: IssueKey?

  package init(
    manifest: Manifest, digest: SHA256Digest, signed: Data, contents: [StoredContent]
  ) {
    self.manifest = manifest
    self.digest = digest
    self.signed = signed
    self.contents = contents
  }
}

extension Joining {
  /// Stores documents with one delivery per recipient, all or nothing: the daemon may send from
  /// the moment this returns. One act each: `.issue`, or `.import` for what was issued before. Throws
  /// `IssueKeyTaken` when a document's key is used already.
  package func issue(
    _ documents: [IssuedDocument], as verb: ActVerb = .issue, at time: Timestamp, by actor: Actor
  ) throws {
    try write(as: actor, at: time, around: (.issueBeforeCommit, .issueAfterCommit)) { tx in
      for document in documents {
        for content in document.contents { try tx.insert(content, from: nil) }
        let key = try tx.insertDocument(
          direction: "outgoing", sender: document.manifest.from.organId.rawValue,
          manifest: document.manifest, digest: document.digest, signed: document.signed)
        let act = try tx.act(
          verb, about: .document(key, document.manifest.documentID))
        if let issueKey = document.key {
          try tx.insert(issueKey, document: key)
        }
        for replaced in document.manifest.replaces {
          try tx.freeze(
            document: replaced, of: document.manifest.from.organId, because: "replaced")
          try tx.cancelUnsent(
            replaced, of: document.manifest.from.organId, cause: "replaced", detail: nil, act: act)
        }
        for organ in document.manifest.to {
          try tx.run(
            """
            INSERT INTO delivery (document, recipient, sequence, urgency, state, expiresAt,
              createdAt, updatedAt)
            VALUES (?1, ?2, (SELECT coalesce(max(sequence), 0) + 1 FROM delivery
              WHERE recipient = ?2), ?3, 'queued', ?4, ?5, ?5)
            """,
            [
              key, organ.organId.rawValue, document.manifest.urgency.rawValue,
              document.expiresAt?.microseconds, time.microseconds,
            ])
          try tx.record(
            "delivery", tx.lastInsertedRowID, document: key, from: nil, to: "queued", act: act,
            cause: "issued")
        }
        // Taken in again after what replaces it.
        let id = document.manifest.documentID
        let unit = document.manifest.from.organId
        let ahead = try tx.one(
          "DELETE FROM frozenAhead WHERE sender = ? AND id = ? RETURNING because",
          [unit.rawValue, id.rawValue])
        guard let because: String = ahead?["because"] else { continue }
        try tx.freeze(document: id, of: unit, because: because)
        try tx.cancelUnsent(
          id, of: unit, cause: because, detail: nil, act: act)
      }
    }
  }

  /// A person refuses an accepted document: the signed 02 is logged and queued.
  package func refuse(
    document: Int64, with status: SignedStatus, at time: Timestamp, by actor: Actor
  ) throws {
    let statement = status.statement
    try write(as: actor, at: time) { tx in
      guard try tx.database.incomingDocument(key: document)?.status != StatusCode.refused.rawValue
      else { throw StoreError(.changed, "document \(statement.documentID) was refused meanwhile") }
      let received = try tx.one("SELECT key FROM received WHERE document = ?", [document])
      try tx.act(
        .refuse, about: .document(document, statement.documentID), reason: statement.note)
      try tx.enqueueStatus(
        status, document: document, received: received?["key"])
    }
  }

  /// Takes a document back: freezes it, cancels what was not sent, and queues the signed 13 to each
  /// recipient in the document's own lane, so that it cannot overtake the document.
  package func recall(
    document key: Int64, statements: [SignedStatus], reason: String, at time: Timestamp,
    by actor: Actor
  ) throws {
    try write(as: actor, at: time) { tx in
      guard
        let row = try tx.one(
          "SELECT id, sender, urgency, frozen FROM document WHERE key = ?", [key])
      else { throw StoreError(.notFound, "document \(key)") }
      if let frozen: String = row["frozen"] {
        throw StoreError(.changed, "document \(row["id"] as String) was \(frozen) meanwhile")
      }
      let act = try tx.act(
        .takeBack, about: .document(key, try row.recordID("id")), reason: reason)
      try tx.freeze(
        document: try row.recordID("id"), of: try row.unit("sender"), because: "recalled")
      try tx.cancelUnsent(
        try row.recordID("id"), of: try row.unit("sender"), cause: "recalled", detail: reason,
        act: act)
      // Named in the tallies of the time to come, however old the delivery is: the 13 may get lost.
      try tx.run(
        """
        UPDATE delivery SET updatedAt = ? WHERE document = ?
          AND state IN ('published', 'delivered', 'refused', 'expired')
        """, [time.microseconds, key])
      for status in statements {
        try tx.enqueueStatus(
          status, document: key, received: nil, lane: try row.urgency("urgency").lane)
      }
    }
  }

  /// Answers a take-back: agreed, the document stays frozen; declined, it is in force again.
  package func answerRecall(
    document key: Int64, with status: SignedStatus, isAgreed: Bool, at time: Timestamp,
    by actor: Actor
  ) throws {
    try write(as: actor, at: time) { tx in
      guard try tx.database.incomingDocument(key: key)?.hasOpenTakeBack == true else {
        throw StoreError(
          .changed, "the take-back of \(status.statement.documentID) was answered meanwhile")
      }
      let received = try tx.one("SELECT key FROM received WHERE document = ?", [key])
      if !isAgreed {
        try tx.run(
          "UPDATE document SET frozen = NULL, frozenAt = NULL WHERE key = ? AND frozen = 'recalled'",
          [key])
      }
      try tx.act(
        isAgreed ? .agree : .decline, about: .document(key, status.statement.documentID),
        reason: status.statement.note)
      try tx.enqueueStatus(
        status, document: key, received: received?["key"])
    }
  }
}
