package import ExchangeCore
import Foundation
import GRDB
import NodeDatabase
import Synchronization

extension ReviewLedger {
  /// What a refusal of `message` about the document `id` would be: one that is stored, one that has to
  /// be signed, or none, because `sender` got one about this document between `since` and `now`, or
  /// because so much of this sender is in quarantine that nothing more is kept.
  package func refusal(
    of message: Int64, about id: RecordID, to sender: UnitID, _ outcome: OutcomeCode,
    since: Timestamp, now: Timestamp, quota: PeerQuota
  ) throws -> RefusalState {
    try read { database in
      if let stored = try database.one(
        """
        SELECT key FROM status WHERE received = ? AND code = '02' AND reasonCode IS ?
        ORDER BY key DESC LIMIT 1
        """, [message, outcome.rawValue])
      {
        return .stored(stored["key"])
      }
      // A person's refusal is no answer to a message.
      let recent = try database.one(
        """
        SELECT 1 FROM status WHERE direction = 'sent' AND code = '02' AND documentID = ?
          AND toUnit = ? AND recordedAt > ? AND recordedAt <= ?
          AND reasonCode IS NOT 'REFUSED-BY-PERSON'
        """, [id.rawValue, sender.rawValue, since.microseconds, now.microseconds])
      let held = try database.holding(of: sender.rawValue, .quarantined)
      return recent != nil || held.items >= quota.quarantineItems ? .withheld : .due
    }
  }

  /// Applies decisions in one transaction: documents with their receipts, or quarantine with its
  /// refusal. A message that changed state meanwhile (a person acted) is left alone. Of each sender no
  /// more than `quota` is kept.
  ///
  /// One that cannot be applied (a row with impossible values, a broken constraint) is undone alone,
  /// stays as it was and is returned with the reason; trouble of the whole database is thrown.
  @discardableResult
  package func apply(_ decisions: [ReviewDecision], at time: Timestamp, quota: PeerQuota) throws
    -> [Int64: any Error]
  {
    guard !decisions.isEmpty else { return [:] }
    var failures: [Int64: any Error] = [:]
    let discarded = try write(
      as: .daemon, at: time, around: (.judgeBeforeCommit, .judgeAfterCommit)
    ) { tx in
      failures = [:]
      var discarded: [DiscardedContent] = []
      for decided in decisions {
        do {
          var own: [DiscardedContent] = []
          try tx.database.inSavepoint {
            own = try tx.apply(decided, quota: quota)
            return .commit
          }
          discarded += own
        } catch let error where tx.database.isInsideTransaction && Self.isOfOneRow(error) {
          failures[decided.message] = (error as? DatabaseError).map { StoreError($0) } ?? error
        }
      }
      return discarded
    }
    if !discarded.isEmpty {
      store.discarded.withLock { $0 += discarded }
      try removeDiscarded(waits: false)
    }
    return failures
  }

  /// True when an error says nothing about other rows.
  private static func isOfOneRow(_ error: any Error) -> Bool {
    if let error = error as? DatabaseError {
      return [.SQLITE_CONSTRAINT, .SQLITE_MISMATCH, .SQLITE_TOOBIG, .SQLITE_RANGE]
        .contains(error.resultCode)
    }
    // A column with an impossible value, and what was expected and is not there.
    return error is StoreError || error is RowDecodingError
  }

  /// Removes the files of contents that must not stay (Điều 5) and whose rows are gone. While content
  /// is taken in, which may last as long as a copy from a slow disk, it waits, or with `waits` false
  /// leaves it to the next call. A process that ends before removes them at its next start
  /// (`sweepContent`).
  package func removeDiscarded(waits: Bool) throws {
    guard store.discarded.withLock({ !$0.isEmpty }) else { return }
    _ = try files.removing(waits: waits) {
      while let content = store.discarded.withLock({ $0.popLast() }) {
        do {
          try remove(content)
        } catch {
          store.discarded.withLock { $0.append(content) }
          throw error
        }
      }
    }
  }

  private func remove(_ content: DiscardedContent) throws {
    // What a document names is not a sender's to remove, damaged or not.
    let isNeeded = try read { try $0.hasBlob(content.digest) || $0.isNamed(content.digest) }
    if !isNeeded { files.remove(content.digest) }
    // A piece may have come since: then the transfer has begun anew.
    if let size = content.spooled,
      try !read({ try $0.hasTransfer(content.digest, from: content.sender, size: size) })
    {
      files.remove(files.spoolName(sender: content.sender, sha256: content.digest, size: size))
    }
  }
}

/// A content that must not stay (Điều 5), with the size of the sender's transfer of it, if any.
struct DiscardedContent {
  let digest: SHA256Digest
  let sender: UnitID
  let spooled: Int64?
}

extension Database {

  /// True when these very bytes are in the log: only what can be shown later may have an effect.
  fileprivate func isStored(_ statement: StatusStatement, signed: Data) throws -> Bool {
    try one(
      "SELECT 1 FROM status WHERE fromUnit = ? AND id = ? AND signed = ?",
      [statement.from.organId.rawValue, statement.statusID.rawValue, signed]) != nil
  }

  /// True when the unit's word about the document is of the statement's kind (it arrived, or it is
  /// refused), whatever has come in which order.
  fileprivate func decides(_ statement: StatusStatement, about document: Int64) throws -> Bool {
    let which = "said.document = ? AND said.direction = 'received' AND said.fromUnit = ?"
    let row = try one(
      "SELECT \(StatusOrder.decidingCode(which)) AS code",
      [document, statement.from.organId.rawValue])
    guard let code = (row?["code"] as String?).flatMap({ StatusCode($0) }) else { return false }
    return code.provesArrival == statement.code.provesArrival
  }

  /// False when so many documents of the sender wait for attachments that no other may. One that waits
  /// already (`document`) goes on waiting.
  fileprivate func mayWait(_ sender: String, _ quota: PeerQuota, in document: Int64?) throws -> Bool
  {
    guard document == nil else { return true }
    let held = try holding(of: sender, .waiting)
    return held.items < quota.waitingItems && held.bytes < quota.waitingBytes
  }

  /// False when so many take-backs of the sender wait for their documents that no other may.
  fileprivate func mayWaitAhead(_ sender: String, _ quota: PeerQuota) throws -> Bool {
    let held = try one("SELECT count(*) AS n FROM frozenAhead WHERE sender = ?", [sender])
    return (held?["n"] ?? 0) < quota.aheadItems
  }
}

extension WriteTransaction {
  /// Returns the contents whose rows are gone and whose files must go too.
  fileprivate func apply(_ decided: ReviewDecision, quota: PeerQuota) throws
    -> [DiscardedContent]
  {
    let key = decided.message
    guard
      let row = try one("SELECT state, sender, document, size FROM received WHERE key = ?", [key])
    else { return [] }
    let state = try row.incomingState("state")
    guard [.received, .verified, .incomplete].contains(state) else { return [] }
    var document: Int64? = row["document"]

    /// False when another message of the same batch brought a document with this id: the message
    /// stays as it is and is judged again, knowing that one.
    func believe(_ manifest: Manifest, _ digest: SHA256Digest) throws -> Bool {
      guard document == nil else { return true }
      let known = try one(
        "SELECT 1 FROM document WHERE sender = ? AND id = ?",
        [row["sender"] as String, manifest.documentID.rawValue])
      guard known == nil else { return false }
      document = try insertDocument(
        direction: "incoming", sender: row["sender"], manifest: manifest, digest: digest,
        signed: database.body(ofReceived: key) ?? Data())
      // The same content without a mark: it may come again.
      try run(
        """
        DELETE FROM secretContent WHERE sender = ?
          AND sha256 IN (SELECT sha256 FROM attachment WHERE document = ?)
        """, [row["sender"] as String, document])
      let ahead = try one(
        "DELETE FROM frozenAhead WHERE sender = ? AND id = ? RETURNING because",
        [row["sender"] as String, manifest.documentID.rawValue])
      if let because: String = ahead?["because"] {
        try freeze(
          document: manifest.documentID, of: try row.unit("sender"), because: because)
      }
      return true
    }
    /// The body is kept in the document from here on.
    func advance(from: IncomingState, to: IncomingState, cause: String, detail: String?) throws {
      try move(
        received: key, of: document, from: from, to: to,
        setting: "document = ?, hasBody = hasBody AND ?", [document, document == nil],
        cause: cause, detail: detail)
    }

    switch decided.decision {
    case .accept(let manifest, let digest, let receipt):
      // Content may have been removed or set aside since it was looked at: then it is judged again.
      let sender = try row.unit("sender")
      guard
        try manifest.attachments.allSatisfy({ try database.hasContent($0.sha256, from: sender) })
      else { return [] }
      guard try believe(manifest, digest) else { return [] }
      if state == .received {
        try advance(
          from: state, to: .verified, cause: "signature valid", detail: decided.evidence)
      } else if state == .incomplete {
        try advance(from: state, to: .verified, cause: "attachments arrived", detail: nil)
      }
      try advance(from: .verified, to: .accepted, cause: "whole", detail: nil)
      for replaced in manifest.replaces {
        try freeze(
          document: replaced, of: try row.unit("sender"), because: "replaced")
      }
      try enqueueStatus(receipt, document: document, received: key)
    case .wait(let manifest, let digest, let isArrived):
      guard state == .received else { return [] }
      guard try database.mayWait(row["sender"], quota, in: document) else {
        try quarantine(
          key, from: state, document: document, outcome: .tooLarge,
          detail: "too many documents of this unit wait for their attachments already",
          quota: quota)
        return []
      }
      guard try believe(manifest, digest) else { return [] }
      try advance(from: state, to: .verified, cause: "signature valid", detail: decided.evidence)
      if !isArrived {
        try advance(from: .verified, to: .incomplete, cause: "attachments missing", detail: nil)
      }
    case .postpone(let until, let detail):
      guard state == .received else { return [] }
      let held = try database.holding(of: row["sender"], .postponed)
      guard held.bytes + row["size"] <= quota.postponedBytes else {
        try quarantine(
          key, from: state, document: document, outcome: OutcomeCode(.signedInFuture),
          detail: "\(detail); too much of this unit waits for the clock already",
          quota: quota)
        return []
      }
      try run(
        "UPDATE received SET notBefore = ?, updatedAt = ? WHERE key = ?",
        [until.microseconds, time.microseconds, key])
    case .duplicate(let original):
      let first = try one(
        "UPDATE received SET duplicates = duplicates + 1 WHERE key = ? RETURNING state, document",
        [original])
      switch try first?.incomingState("state") {
      case .accepted: try requeueStatuses(ofReceived: original)
      case .quarantined:
        try reviewAnew(
          original, from: .quarantined, document: first?["document"],
          body: database.body(ofReceived: key))
      case .received, .verified, .incomplete, .discarded, nil: break
      }
      try finish(
        key, from: state, cause: "duplicate of message \(original)", evidence: nil)
    case .quarantine(let outcome, let detail, let refusal, let discard):
      try quarantine(
        key, from: state, document: document, outcome: outcome, detail: detail,
        quota: quota, isAnswered: refusal != nil)
      if let claim = decided.claim { try note(claim, of: key, from: row["sender"]) }
      if let refusal { try refuse(key, document: document, refusal) }
      guard !discard.isEmpty else { return [] }
      let sender = try row.unit("sender")
      return try discard.map { digest in
        try run(
          """
          INSERT INTO secretContent (sender, sha256, at) VALUES (?, ?, ?)
          ON CONFLICT DO UPDATE SET at = excluded.at
          """, [sender.rawValue, digest.bytes, time.microseconds])
        return try removeUnused(digest, from: sender)
      }
    case .tally(let tally, let owed, let answer):
      try self.answer(tally, owed: owed, with: answer)
      try finish(key, from: state, cause: "tally answered", evidence: decided.evidence)
    case .tallyAnswer(let answer, let sender):
      try settle(answer, from: sender)
      try finish(key, from: state, cause: "tally settled", evidence: decided.evidence)
    case .status(let statement, let about, let effect):
      if about == nil, statement.code == .takeBack, try !database.mayWaitAhead(row["sender"], quota)
      {
        try quarantine(
          key, from: state, document: nil, outcome: .statusUnmatched,
          detail: "too many take-backs of documents that are not here", quota: quota)
        return []
      }
      let signed = try database.body(ofReceived: key) ?? Data()
      let inserted = try insertStatus(
        SignedStatus(statement: statement, signed: signed), direction: "received",
        document: about, received: nil)
      try move(
        received: key, of: about, from: state, to: .accepted, setting: "hasBody = 0",
        cause: "status \(statement.code)", detail: decided.evidence)
      if inserted != nil, effect == nil, statement.code == .takeBack {
        try freeze(
          document: statement.documentID, of: try row.unit("sender"), because: "recalled")
      }
      // A status that is known already comes again after a resend, and then counts again.
      if let effect, let about,
        try inserted != nil || database.isStored(statement, signed: signed),
        try database.decides(statement, about: about)
      {
        try affect(delivery: effect.delivery, effect.to)
      }
      if inserted != nil, let about, [.changeRefused, .refused].contains(statement.code) {
        try endRecall(document: about)
      }
    }
    return []
  }

  /// A take-back that every unit which has the document declined (16) is over: the document is in
  /// force on both sides. As long as one has agreed or may still, it stays frozen here. An answer to an
  /// earlier take-back is none to the last.
  func endRecall(document key: Int64) throws {
    try run(
      """
      UPDATE document SET frozen = NULL, frozenAt = NULL
      WHERE key = ?1 AND frozen = 'recalled' AND direction = 'outgoing'
        AND NOT EXISTS (SELECT 1 FROM delivery WHERE document = ?1
          AND state NOT IN ('cancelled', 'refused')
          AND '16' IS NOT (SELECT code FROM status WHERE status.document = ?1
            AND direction = 'received' AND fromUnit = delivery.recipient AND code IN ('15', '16')
            AND status.key > (SELECT max(key) FROM status asked WHERE asked.document = ?1
              AND asked.direction = 'sent' AND asked.code = '13'
              AND asked.toUnit = delivery.recipient)
            ORDER BY \(StatusOrder.latestFirst("status")) LIMIT 1))
      """, [key])
  }

  /// Ends the judging of a message that leaves nothing behind: a tally, its answer, another copy. Its
  /// row goes, unless something refers to it; should it come again, it is judged again.
  private func finish(
    _ key: Int64, from state: IncomingState, cause: String, evidence: String?
  ) throws {
    try run(
      """
      DELETE FROM received WHERE key = ?1 AND document IS NULL
        AND NOT EXISTS (SELECT 1 FROM status WHERE received = ?1)
        AND NOT EXISTS (SELECT 1 FROM history WHERE subject = 'received' AND subjectKey = ?1)
      """, [key])
    guard changesCount == 0 else { return }
    try move(
      received: key, of: nil, from: state, to: .accepted, setting: "hasBody = 0", cause: cause,
      detail: evidence)
  }

  /// Removes the rows of a content that only this sender brought, unless a document names it, and the
  /// sender's transfer of it. What another unit brought is not the sender's to remove.
  private func removeUnused(_ digest: SHA256Digest, from sender: UnitID) throws
    -> DiscardedContent
  {
    let transfer = try one(
      """
      DELETE FROM transfer WHERE sha256 = ?1 AND sender = ?2
        AND NOT EXISTS (SELECT 1 FROM attachment a JOIN document ON document.key = a.document
          WHERE a.sha256 = ?1 AND document.sender = ?2)
      RETURNING size
      """, [digest.bytes, sender.rawValue])
    try run(
      "DELETE FROM contentSource WHERE sha256 = ? AND sender = ? AND isNamed = 0",
      [digest.bytes, sender.rawValue])
    try run(
      """
      DELETE FROM blob WHERE sha256 = ?1 AND sender IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM attachment WHERE sha256 = ?1)
        AND NOT EXISTS (SELECT 1 FROM contentSource WHERE sha256 = ?1)
      """, [digest.bytes])
    return DiscardedContent(digest: digest, sender: sender, spooled: transfer?["size"])
  }

  /// Keeps a message that is not believed; beyond the sender's quota only its digest and the reason,
  /// and beyond the number of messages only the count. `isAnswered`: a refusal will refer to it.
  private func quarantine(
    _ key: Int64, from state: IncomingState, document: Int64?, outcome: OutcomeCode,
    detail: String, quota: PeerQuota, isAnswered: Bool = false
  ) throws {
    let row = try one("SELECT sender, size FROM received WHERE key = ?", [key])
    let sender: String = row?["sender"] ?? ""
    let held = try database.holding(of: sender, .quarantined)
    if held.items >= quota.quarantineItems, !isAnswered {
      try run(
        """
        DELETE FROM received WHERE key = ?1 AND document IS NULL
          AND NOT EXISTS (SELECT 1 FROM status WHERE received = ?1)
          AND NOT EXISTS (SELECT 1 FROM history WHERE subject = 'received' AND subjectKey = ?1)
        """, [key])
      if changesCount == 1 { return try countDropped(sender, outcome.rawValue) }
    }
    // Điều 5: what declares secrecy is not kept, only that it came and why it went.
    let isKept =
      outcome != .dieu5 && held.bytes + (row?["size"] ?? 0) <= quota.quarantineBytes
    try move(
      received: key, of: document, from: state, to: .quarantined,
      setting: "outcome = ?, detail = ?, hasBody = hasBody AND ?",
      [outcome.rawValue, detail, isKept], cause: outcome.rawValue, detail: detail)
  }

  /// Queues a refusal: a new one, or the stored one again, an hour after it went out last.
  private func refuse(
    _ key: Int64, document: Int64?, _ refusal: Refusal
  ) throws {
    switch refusal {
    case .new(let status):
      try enqueueStatus(
        status, document: document, received: key)
    case .again(let status):
      try run(
        """
        UPDATE notice SET state = 'retrying', updatedAt = ?1,
          nextAt = CASE WHEN updatedAt > ?1 THEN ?1 ELSE max(updatedAt + 3600000000, ?1) END
        WHERE status = ?2 AND state NOT IN ('queued', 'retrying')
        """, [time.microseconds, status])
      // Signed with other certificates, it may never have been believed.
      try noteRestatements("said.key = ?3", status)
    }
  }

  private func affect(delivery key: Int64, _ effect: DeliveryEffect) throws {
    guard let row = try one("SELECT state, document FROM delivery WHERE key = ?", [key]) else {
      return
    }
    let state = try row.outgoingState("state")
    guard state.canBecome(effect.state) else { return }
    let error: (code: String, reason: String?)?
    let cause: String
    switch effect {
    case .delivered(let code):
      error = nil
      cause = "receipt \(code)"
    case .refused(let code, let reason), .suspended(let code, let reason):
      error = (code, reason)
      cause = code
      if code == OutcomeCode.attachmentAltered.rawValue {
        try distrustContent(ofDocument: row["document"])
      }
    }
    try move(
      delivery: key, to: effect.state,
      setting: """
        nextAt = NULL, lastError = ?, lastErrorText = ?,
        finishedAt = CASE WHEN ? THEN ? ELSE finishedAt END
        """,
      [error?.code, error?.reason, effect.state == .delivered, time.microseconds], cause: cause,
      detail: error?.reason)
  }
}
