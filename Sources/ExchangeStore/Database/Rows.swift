import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension Database {

  /// True when the content is here and `sender` brought it, now or earlier.
  func hasContent(_ digest: SHA256Digest, from sender: UnitID) throws -> Bool {
    try one(
      """
      SELECT 1 FROM contentSource JOIN blob USING (sha256)
      WHERE contentSource.sender = ? AND sha256 = ?
      """, [sender.rawValue, digest.bytes]) != nil
  }

  /// True when the sender declared secrecy for a document with this content (Điều 5), and no document
  /// of it without that mark names it.
  func isSecret(_ digest: SHA256Digest, from sender: UnitID) throws -> Bool {
    try one(
      """
      SELECT 1 FROM secretContent WHERE sender = ?1 AND sha256 = ?2
        AND NOT EXISTS (SELECT 1 FROM attachment a JOIN document ON document.key = a.document
          WHERE a.sha256 = ?2 AND document.sender = ?1)
      """, [sender.rawValue, digest.bytes]) != nil
  }

  func hasTransfer(_ digest: SHA256Digest, from sender: UnitID, size: Int64) throws -> Bool {
    try one(
      "SELECT 1 FROM transfer WHERE sender = ? AND sha256 = ? AND size = ?",
      [sender.rawValue, digest.bytes, size]) != nil
  }

  func hasBlob(_ digest: SHA256Digest) throws -> Bool {
    try one("SELECT 1 FROM blob WHERE sha256 = ?", [digest.bytes]) != nil
  }

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
  func record(
    _ subject: String, _ key: Int64, document: Int64?, from: String?, to: String, act: Int64? = nil,
    cause: String, detail: String? = nil
  ) throws {
    // Kept for ever, and a peer may have a say in it.
    let detail = detail.map { $0.utf8.count > 500 ? TextRules.fitting($0, maximum: 500) : $0 }
    try run(
      """
      INSERT INTO history (at, subject, subjectKey, document, fromState, toState, actor, cause,
        detail, act) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      [time.microseconds, subject, key, document, from, to, actor.name, cause, detail, act])
  }

  /// As `record`, for a received message. Its arrival is written with the first change of its state:
  /// what is dropped leaves no history.
  func recordReceived(
    _ key: Int64, document: Int64?, from: IncomingState, to: IncomingState,
    cause: String, detail: String? = nil
  ) throws {
    try run(
      """
      INSERT INTO history (at, subject, subjectKey, toState, actor, cause)
      SELECT receivedAt, 'received', key, 'received', ?, 'arrived' FROM received WHERE key = ?2
        AND NOT EXISTS (SELECT 1 FROM history WHERE subject = 'received' AND subjectKey = ?2)
      """, [Actor.daemon.name, key])
    guard try database.mayRecord(key, to: to) else { return }
    try record(
      "received", key, document: document, from: from.rawValue, to: to.rawValue, cause: cause, detail: detail)
  }

  /// `sender` is the unit whose pieces brought it, nil for content of this unit.
  func insert(
    _ content: StoredContent, from sender: UnitID?,
    act: Int64? = nil
  ) throws {
    let bytes: Data? = if case .inline(let data, _) = content { data } else { nil }
    try run(
      """
      INSERT INTO blob (sha256, size, content, sender, createdAt, checkedAt, isUnnamed)
      VALUES (?1, ?, ?, ?4, ?5, ?5,
        ?4 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attachment WHERE sha256 = ?1))
      ON CONFLICT DO NOTHING
      """,
      [
        content.sha256.bytes, content.size, bytes, sender?.rawValue, time.microseconds,
      ])
    if changesCount == 1 {
      try run("DELETE FROM spoiled WHERE sha256 = ?", [content.sha256.bytes])
      try note(
        content.sha256, cause: "content whole again", detail: nil, act: act)
    }
    if let sender { try insertSource(sender, content.sha256, size: content.size) }
  }

  /// Records that `sender` has shown that it has a content which is here.
  func insertSource(_ sender: UnitID, _ digest: SHA256Digest, size: Int64)
    throws
  {
    try run(
      """
      INSERT INTO contentSource (sender, sha256, size, isNamed, createdAt)
      VALUES (?1, ?2, ?3, EXISTS (SELECT 1 FROM attachment a
        JOIN document ON document.key = a.document WHERE a.sha256 = ?2 AND document.sender = ?1), ?4)
      ON CONFLICT DO NOTHING
      """, [sender.rawValue, digest.bytes, size, time.microseconds])
    // Nobody's pieces are removed as too old while another's are young.
    try run(
      "UPDATE blob SET createdAt = max(createdAt, ?) WHERE sha256 = ? AND isUnnamed = 1",
      [time.microseconds, digest.bytes])
    try run(
      "DELETE FROM spoiled WHERE sender = ? AND sha256 = ?", [sender.rawValue, digest.bytes])
  }

  /// Stores the record and the attachments of a manifest; returns the document's key. `sender` is
  /// whom the broker vouches for: the manifest may call the same unit by an alias.
  func insertDocument(
    direction: String, sender: String, manifest: Manifest, digest: SHA256Digest, signed: Data
  ) throws -> Int64 {
    try run(
      """
      INSERT INTO document (direction, id, sender, manifestSha256, signed, codeNumber,
        codeSeparator, codeNotation, issuedDate, typeName, subject, urgency, createdAt)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      [
        direction, manifest.documentID.rawValue, sender, digest.bytes,
        signed, manifest.number.codeNumber, manifest.number.separator.rawValue,
        manifest.number.codeNotation, manifest.issuedDate.rawValue, manifest.typeName,
        manifest.subject, manifest.urgency.rawValue, time.microseconds,
      ])
    let key = lastInsertedRowID
    for (position, attachment) in manifest.attachments.enumerated() {
      try run(
        """
        INSERT INTO attachment (document, position, name, mediaType, size, sha256)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
        [
          key, position, attachment.name, attachment.mediaType, attachment.size,
          attachment.sha256.bytes,
        ])
    }
    return key
  }

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

  /// Marks a document as taken back or replaced; the first mark stays. A document that is not here
  /// yet is marked when it comes.
  func freeze(document id: RecordID, of sender: UnitID, because: String) throws
  {
    try run(
      "UPDATE document SET frozen = ?, frozenAt = ? WHERE sender = ? AND id = ? AND frozen IS NULL",
      [because, time.microseconds, sender.rawValue, id.rawValue])
    guard changesCount == 0 else { return }
    try run(
      """
      INSERT INTO frozenAhead (sender, id, because) SELECT ?1, ?2, ?3
      WHERE NOT EXISTS (SELECT 1 FROM document WHERE sender = ?1 AND id = ?2)
      ON CONFLICT DO NOTHING
      """, [sender.rawValue, id.rawValue, because])
  }

  /// Cancels what is left to send of a document of ours.
  func cancelUnsent(
    _ id: RecordID, of unit: UnitID, cause: String, detail: String?, act: Int64? = nil
  ) throws {
    let rows = try all(
      """
      SELECT d.key FROM delivery d JOIN document ON document.key = d.document
      WHERE document.id = ? AND document.sender = ?
        AND d.state IN ('queued', 'retrying', 'suspended')
      """, [id.rawValue, unit.rawValue])
    for row in rows {
      try cancel(delivery: row["key"], cause: cause, detail: detail, act: act)
    }
  }

  func cancel(
    delivery key: Int64, cause: String, detail: String?,
    act: Int64? = nil
  ) throws {
    guard let row = try one("SELECT document, state FROM delivery WHERE key = ?", [key]) else {
      return
    }
    try run(
      "UPDATE delivery SET state = 'cancelled', nextAt = NULL, updatedAt = ? WHERE key = ?",
      [time.microseconds, key])
    try record(
      "delivery", key, document: row["document"], from: row["state"], to: "cancelled", act: act, cause: cause, detail: detail)
  }

  /// A message that was judged before came again: it is judged as if it had arrived now. What was
  /// believed keeps its first arrival, so that a clock that is wrong today does not disbelieve it.
  /// `header`: type and version of this copy, where what was quarantined may have come with wrong ones.
  func judgeAnew(
    _ key: Int64, from state: IncomingState, document: Int64?, body: Data?,
    header: (type: String, version: Int64?)? = nil
  ) throws {
    try run(
      """
      UPDATE received SET state = 'received', outcome = NULL, detail = NULL, hasBody = ?1,
        type = coalesce(?4, type), version = CASE WHEN ?4 IS NULL THEN version ELSE ?5 END,
        receivedAt = CASE WHEN state = 'accepted' THEN receivedAt ELSE ?2 END,
        notBefore = CASE WHEN state = 'accepted' THEN notBefore END, updatedAt = ?2
      WHERE key = ?3
      """, [body != nil, time.microseconds, key, header?.type, header?.version])
    if let body { try keep(body, ofReceived: key) }
    guard try database.mayRecord(key, to: .received) else { return }
    try record(
      "received", key, document: document, from: state.rawValue, to: "received", cause: "arrived again")
  }

  /// Keeps the body of a message. Another copy of the same manifest may be signed with other bytes.
  func keep(_ body: Data, ofReceived key: Int64) throws {
    try run(
      """
      INSERT INTO receivedBody (received, body) VALUES (?, ?)
      ON CONFLICT DO UPDATE SET body = excluded.body WHERE body <> excluded.body
      """, [key, body])
  }

  /// Sends the stored statuses about a received message again, byte for byte. Those that were signed
  /// with other certificates than now the judge says anew too.
  func requeueStatuses(ofReceived key: Int64) throws {
    try run(
      """
      UPDATE notice SET state = 'queued', nextAt = NULL, updatedAt = ?
      WHERE state <> 'queued' AND status IN (SELECT status.key FROM status
        WHERE status.received = ? AND \(StatusOrder.isCurrent("status")))
      """,
      [time.microseconds, key])
    try noteRestatements("said.received = ?3", key)
  }
}

extension Row {
  var trouble: Trouble {
    Trouble(
      failures: self["failures"], failingFor: .microseconds(self["failingFor"] as Int64),
      failedAt: optionalTime("failedAt"))
  }
}
