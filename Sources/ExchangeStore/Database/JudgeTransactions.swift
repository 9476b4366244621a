package import ExchangeCore
package import Foundation
import GRDB
import Synchronization

/// A statement of ours with its signature.
package struct SignedStatus: Sendable {
  package let statement: StatusStatement
  package let signed: Data

  package init(statement: StatusStatement, signed: Data) {
    self.statement = statement
    self.signed = signed
  }
}

/// The judge's decision about one message, applied by `apply` in one transaction.
package struct Judgement: Sendable {
  package enum Decision: Sendable {
    /// Believed and whole: the document exists from now on, with its receipt.
    case accept(Manifest, SHA256Digest, receipt: SignedStatus)
    /// Believed; attachments are missing, or (`isArrived`) here and being put together.
    case wait(Manifest, SHA256Digest, isArrived: Bool)
    /// Signed ahead of this machine's clock: judged then, not before.
    case postpone(until: Timestamp, detail: String)
    /// Another message already brought this very document.
    case duplicate(of: Int64)
    /// `discard` names content that must not stay here (Điều 5) unless another document has it.
    case quarantine(
      OutcomeCode, detail: String, refusal: SignedStatus?, discard: [SHA256Digest] = [])
    /// A status of another unit, with what it means for our delivery.
    case status(StatusStatement, about: Int64?, effect: (delivery: Int64, to: DeliveryEffect)?)
    /// A tally, with the messages whose statuses its sender lacks and our answer.
    case tally(Tally, owed: [Int64], answer: SignedAnswer)
    /// The answer to a tally of ours, from `sender`.
    case tallyAnswer(TallyAnswer, from: UnitID)
  }

  package let message: Int64
  package let decision: Decision
  /// Who signed, for the history.
  package let evidence: String?

  package var isWaiting: Bool { if case .wait = decision { true } else { false } }

  package init(message: Int64, decision: Decision, evidence: String? = nil) {
    self.message = message
    self.decision = decision
    self.evidence = evidence
  }
}

/// What a verified status does to a delivery.
package enum DeliveryEffect: Sendable, Hashable {
  case delivered(code: String)
  case refused(code: String, reason: String)
  case suspended(code: String, reason: String)

  var state: OutgoingState {
    switch self {
    case .delivered: .delivered
    case .refused: .refused
    case .suspended: .suspended
    }
  }
}

extension Store {
  /// Applies decisions in one transaction: documents with their receipts, or quarantine with its
  /// refusal. A message that changed state meanwhile (a person acted) is left alone. Of each sender at
  /// most `quarantineBytes` of bodies are kept in quarantine.
  package func apply(_ judgements: [Judgement], at time: Timestamp, quarantineBytes: Int64) throws {
    guard !judgements.isEmpty else { return }
    let discarded = try write((.judgeBeforeCommit, .judgeAfterCommit)) { database in
      try judgements.flatMap {
        try database.apply($0, at: time, quarantineBytes: quarantineBytes)
      }
    }
    guard !discarded.isEmpty else { return }
    self.discarded.withLock { $0 += discarded }
    try removeDiscarded(waits: false)
  }

  /// Removes the files of contents that must not stay (Điều 5) and whose rows are gone. While content
  /// is taken in, which may last as long as a copy from a slow disk, it waits, or with `waits` false
  /// leaves it to the next call. A process that ends before removes them at its next start
  /// (`sweepContent`).
  package func removeDiscarded(waits: Bool) throws {
    guard discarded.withLock({ !$0.isEmpty }) else { return }
    _ = try files.removing(waits: waits) {
      while let content = discarded.withLock({ $0.popLast() }) {
        do {
          try remove(content)
        } catch {
          discarded.withLock { $0.append(content) }
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
  /// Returns the contents whose rows are gone and whose files must go too.
  fileprivate func apply(_ judgement: Judgement, at time: Timestamp, quarantineBytes: Int64) throws
    -> [DiscardedContent]
  {
    let key = judgement.message
    guard
      let row = try one("SELECT state, sender, document, body FROM received WHERE key = ?", [key])
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
        signed: row["body"], at: time)
      let ahead = try one(
        "DELETE FROM frozenAhead WHERE sender = ? AND id = ? RETURNING because",
        [row["sender"] as String, manifest.documentID.rawValue])
      if let because: String = ahead?["because"] {
        try freeze(
          document: manifest.documentID, of: try row.unit("sender"), because: because, at: time)
      }
      return true
    }
    /// The body is kept in the document from here on.
    func move(from: IncomingState, to: IncomingState, cause: String, detail: String?) throws {
      try run(
        """
        UPDATE received SET state = ?, document = ?,
          body = CASE WHEN ?2 IS NULL THEN body END, updatedAt = ? WHERE key = ?
        """, [to.rawValue, document, time.microseconds, key])
      try record(
        "received", key, document: document, from: from.rawValue, to: to.rawValue, at: time,
        by: .daemon, cause: cause, detail: detail)
    }

    switch judgement.decision {
    case .accept(let manifest, let digest, let receipt):
      // Content may have been removed or set aside since it was looked at: then it is judged again.
      guard try manifest.attachments.allSatisfy({ try hasBlob($0.sha256) }) else { return [] }
      guard try believe(manifest, digest) else { return [] }
      if state == .received {
        try move(from: state, to: .verified, cause: "signature valid", detail: judgement.evidence)
      } else if state == .incomplete {
        try move(from: state, to: .verified, cause: "attachments arrived", detail: nil)
      }
      try move(from: .verified, to: .accepted, cause: "whole", detail: nil)
      for replaced in manifest.replaces {
        try freeze(
          document: replaced, of: try row.unit("sender"), because: "replaced", at: time)
      }
      try enqueueStatus(
        receipt.statement, signed: receipt.signed, document: document, received: key, at: time)
    case .wait(let manifest, let digest, let isArrived):
      guard state == .received, try believe(manifest, digest) else { return [] }
      try move(from: state, to: .verified, cause: "signature valid", detail: judgement.evidence)
      if !isArrived {
        try move(from: .verified, to: .incomplete, cause: "attachments missing", detail: nil)
      }
    case .postpone(let until, let detail):
      guard state == .received else { return [] }
      guard try mayPostpone(key, limit: quarantineBytes) else {
        try quarantine(
          key, from: state, document: document, outcome: OutcomeCode(.signedInFuture),
          detail: "\(detail); too much of this unit waits for the clock already",
          limit: quarantineBytes, at: time)
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
      case .accepted: try requeueStatuses(ofReceived: original, at: time)
      case .quarantined:
        try judgeAnew(
          original, from: .quarantined, document: first?["document"],
          body: row["body"], at: time)
      case .received, .verified, .incomplete, .discarded, nil: break
      }
      try run(
        "UPDATE received SET state = 'accepted', body = NULL, updatedAt = ? WHERE key = ?",
        [time.microseconds, key])
      try record(
        "received", key, document: nil, from: state.rawValue, to: "accepted", at: time,
        by: .daemon, cause: "duplicate of message \(original)")
    case .quarantine(let outcome, let detail, let refusal, let discard):
      try quarantine(
        key, from: state, document: document, outcome: outcome, detail: detail,
        limit: quarantineBytes, at: time)
      if let refusal { try refuseOnce(key, document: document, refusal, at: time) }
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
      try self.answer(tally, owed: owed, with: answer, at: time)
      try finish(key, from: state, cause: "tally answered", evidence: judgement.evidence, at: time)
    case .tallyAnswer(let answer, let sender):
      try settle(answer, from: sender, at: time)
      try finish(key, from: state, cause: "tally settled", evidence: judgement.evidence, at: time)
    case .status(let statement, let about, let effect):
      let inserted = try insertStatus(
        statement, direction: "received", signed: row["body"], document: about, received: nil,
        at: time)
      try run(
        "UPDATE received SET state = 'accepted', body = NULL, updatedAt = ? WHERE key = ?",
        [time.microseconds, key])
      try record(
        "received", key, document: about, from: state.rawValue, to: "accepted", at: time,
        by: .daemon, cause: "status \(statement.code)", detail: judgement.evidence)
      if inserted != nil, effect == nil, statement.code == .takeBack {
        try freeze(
          document: statement.documentID, of: try row.unit("sender"), because: "recalled", at: time)
      }
      // A status that is known already comes again after a resend, and then counts again.
      if let effect, let about,
        try inserted != nil || isStored(statement, signed: row["body"]),
        try !isOvertaken(statement, about: about)
      {
        try affect(delivery: effect.delivery, effect.to, at: time)
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
            ORDER BY status.at DESC, status.key DESC LIMIT 1))
      """, [key])
  }

  /// Ends the judging of a message that is no document.
  private func finish(
    _ key: Int64, from state: IncomingState, cause: String, evidence: String?, at time: Timestamp
  ) throws {
    try run(
      "UPDATE received SET state = 'accepted', body = NULL, updatedAt = ? WHERE key = ?",
      [time.microseconds, key])
    try record(
      "received", key, document: nil, from: state.rawValue, to: "accepted", at: time, by: .daemon,
      cause: cause, detail: evidence)
  }

  /// True when these very bytes are in the log: only what can be shown later may have an effect.
  private func isStored(_ statement: StatusStatement, signed: Data) throws -> Bool {
    try one(
      "SELECT 1 FROM status WHERE fromUnit = ? AND id = ? AND signed = ?",
      [statement.from.organId.rawValue, statement.statusID.rawValue, signed]) != nil
  }

  /// True when the unit has said the opposite since, by its own clock: statuses may arrive in any
  /// order. What a program refused is one damaged copy: it never outweighs a proof of arrival, only a
  /// person's refusal does.
  private func isOvertaken(_ statement: StatusStatement, about document: Int64) throws -> Bool {
    let isByPerson =
      OutcomeCode.refusedByPerson.rawValue == statement.reasonCode
      ?? OutcomeCode.refusedByPerson
      .rawValue
    let later = "(status.at, status.key) > (this.at, this.key)"
    let opposite =
      if statement.code.provesArrival {
        later + " AND status.code = '02'"
          + " AND coalesce(status.reasonCode, 'REFUSED-BY-PERSON') = 'REFUSED-BY-PERSON'"
      } else {
        (isByPerson ? later + " AND " : "") + "status.code IN ('01', '03', '04', '05', '06')"
      }
    return try one(
      """
      SELECT 1 FROM status JOIN status this ON this.fromUnit = status.fromUnit AND this.id = ?
      WHERE status.document = ? AND status.direction = 'received' AND status.fromUnit = ?
        AND \(opposite)
      """,
      [statement.statusID.rawValue, document, statement.from.organId.rawValue]) != nil
  }

  /// Removes the rows of a content that this sender brought, unless a document names it, and the
  /// sender's transfer of it. What another unit brought is not the sender's to remove.
  private func removeUnused(_ digest: SHA256Digest, from sender: UnitID) throws
    -> DiscardedContent
  {
    let transfer = try one(
      "DELETE FROM transfer WHERE sha256 = ? AND sender = ? RETURNING size",
      [digest.bytes, sender.rawValue])
    try run(
      """
      DELETE FROM blob WHERE sha256 = ?1 AND sender = ?2
        AND NOT EXISTS (SELECT 1 FROM attachment WHERE sha256 = ?1)
      """, [digest.bytes, sender.rawValue])
    return DiscardedContent(digest: digest, sender: sender, spooled: transfer?["size"])
  }

  /// False when what the message's sender has waiting here for the clock takes up its room.
  private func mayPostpone(_ key: Int64, limit: Int64) throws -> Bool {
    try one(
      """
      SELECT 1 FROM received WHERE key = ?1 AND size + (SELECT coalesce(sum(size), 0)
        FROM received waiting WHERE waiting.state = 'received' AND waiting.notBefore IS NOT NULL
          AND waiting.sender = received.sender AND waiting.key <> ?1) <= ?2
      """, [key, limit]) != nil
  }

  private func quarantine(
    _ key: Int64, from state: IncomingState, document: Int64?, outcome: OutcomeCode,
    detail: String, limit: Int64, at time: Timestamp
  ) throws {
    // Điều 5: what declares secrecy is not kept, only that it came and why it went.
    try run(
      """
      UPDATE received SET state = 'quarantined', outcome = ?1, detail = ?2,
        body = CASE WHEN ?1 = 'DIEU5' OR ?5 < size + (SELECT coalesce(sum(size), 0)
          FROM received kept WHERE kept.state = 'quarantined' AND kept.body IS NOT NULL
            AND kept.sender = received.sender) THEN NULL ELSE body END, updatedAt = ?3
      WHERE key = ?4
      """, [outcome.rawValue, detail, time.microseconds, key, limit])
    try record(
      "received", key, document: document, from: state.rawValue, to: "quarantined", at: time,
      by: .daemon, cause: outcome.rawValue, detail: detail)
  }

  /// Sends a refusal; when the same refusal was given before, that stored one goes out again.
  private func refuseOnce(
    _ key: Int64, document: Int64?, _ refusal: SignedStatus, at time: Timestamp
  ) throws {
    let before = try one(
      "SELECT key FROM status WHERE received = ? AND code = '02' AND reasonCode IS ?",
      [key, refusal.statement.reasonCode])
    if let before {
      try run(
        """
        UPDATE notice SET state = 'queued', nextAt = NULL, updatedAt = ?
        WHERE status = ? AND state <> 'queued'
        """, [time.microseconds, before["key"] as Int64])
    } else {
      try enqueueStatus(
        refusal.statement, signed: refusal.signed, document: document, received: key, at: time)
    }
  }

  private func affect(delivery key: Int64, _ effect: DeliveryEffect, at time: Timestamp) throws {
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
    try run(
      """
      UPDATE delivery SET state = ?1, nextAt = NULL, lastError = ?2, lastErrorText = ?3,
        finishedAt = CASE WHEN ?1 = 'delivered' THEN ?4 ELSE finishedAt END, updatedAt = ?4
      WHERE key = ?5
      """,
      [effect.state.rawValue, error?.code, error?.reason, time.microseconds, key])
    try record(
      "delivery", key, document: row["document"], from: state.rawValue, to: effect.state.rawValue,
      at: time, by: .daemon, cause: cause, detail: error?.reason)
  }
}
