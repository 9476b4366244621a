package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase

/// A message that was not believed, or broke a rule.
package struct QuarantinedMessage: Sendable {
  package let key: Int64
  /// The broker-asserted sender, or `?`.
  package let sender: String
  package let messageID: String
  package let type: String
  /// Outcome code.
  package let outcome: String
  package let detail: String?
  package let size: Int64
  package let duplicates: Int
  package let receivedAt: Timestamp
  /// The message as it came; nil when it was not kept (too long, or Điều 5).
  package let body: Data?
}

extension ExchangeReader {
  /// Messages in quarantine, newest first, at most `limit`, without their bodies. Returns true when
  /// there are more of them.
  package func eachQuarantined(limit: Int, _ body: (QuarantinedMessage) throws -> Void) throws
    -> Bool
  {
    try pages(limit, key: \.key, body) { before, count in
      try read { database in
        try database.all(
          """
          SELECT key, sender, messageID, type, outcome, detail, size, duplicates, receivedAt,
            NULL AS body FROM received WHERE state = 'quarantined' AND key < ?
          ORDER BY key DESC LIMIT ?
          """, [before, count]
        ).map(Self.quarantined)
      }
    }
  }

  /// As `eachQuarantined`, all at once.
  package func quarantined(limit: Int) throws -> [QuarantinedMessage] {
    var messages: [QuarantinedMessage] = []
    _ = try eachQuarantined(limit: limit) { messages.append($0) }
    return messages
  }

  /// How many messages are in quarantine.
  package func quarantinedCount() throws -> Int {
    try read { database in
      try database.one("SELECT count(*) AS count FROM received WHERE state = 'quarantined'")?[
        "count"] ?? 0
    }
  }

  /// One message in quarantine with its body. Throws `.notFound`.
  package func quarantined(key: Int64) throws -> QuarantinedMessage {
    let row = try read { database in
      try database.one(
        """
        SELECT * FROM received LEFT JOIN receivedBody ON receivedBody.received = key
        WHERE key = ? AND state = 'quarantined'
        """, [key])
    }
    guard let row else {
      throw StoreError(
        .notFound, "message \(key) is not in quarantine",
        next: "List what is there with: congvan quarantine")
    }
    return Self.quarantined(row)
  }

  /// What happened to a message of `received`, oldest first.
  package func history(received key: Int64) throws -> [HistoryEntry] {
    try read { database in
      try database.all(
        """
        SELECT h.*, NULL AS recipient FROM history h
        WHERE h.subject = 'received' AND h.subjectKey = ? ORDER BY h.key
        """, [key]
      ).map(HistoryEntry.init)
    }
  }

  private static func quarantined(_ row: Row) -> QuarantinedMessage {
    QuarantinedMessage(
      key: row["key"], sender: row["sender"], messageID: row["messageID"], type: row["type"],
      outcome: row["outcome"], detail: row["detail"], size: row["size"],
      duplicates: row["duplicates"], receivedAt: row.time("receivedAt"), body: row["body"])
  }
}

extension Joining {

  /// Gives a message back to the review, who judges it by the same rules. One that was signed in the
  /// future counts as arrived now: the clock that put it there may have been set right. Throws
  /// `.notFound`, or `.contentMissing` when its body was not kept.
  package func release(quarantined key: Int64, reason: String, at time: Timestamp, by actor: Actor)
    throws
  {
    try move(
      quarantined: key, to: .received, as: .release, reason: reason, at: time, by: actor)
  }

  /// Puts a message aside for good; the row and its history stay.
  package func discard(quarantined key: Int64, reason: String, at time: Timestamp, by actor: Actor)
    throws
  {
    try move(
      quarantined: key, to: .discarded, as: .discard, reason: reason, at: time, by: actor)
  }

  private func move(
    quarantined key: Int64, to state: IncomingState, as verb: ActVerb, reason: String,
    at time: Timestamp, by actor: Actor
  ) throws {
    try write(as: actor, at: time) { tx in
      guard
        let row = try tx.one(
          """
          SELECT received.document, NOT hasBody AND document.signed IS NULL AS isEmpty,
            coalesce(received.document, (SELECT claim.document FROM claim
              WHERE claim.received = received.key)) AS about FROM received
          LEFT JOIN document ON document.key = received.document
          WHERE received.key = ? AND state = 'quarantined'
          """, [key])
      else {
        throw StoreError(
          .notFound, "message \(key) is not in quarantine",
          next: "List what is there with: congvan quarantine")
      }
      if state == .received, row["isEmpty"] == true {
        throw StoreError(
          .contentMissing, "message \(key): its content was not kept, so it cannot be judged anew",
          next: "Ask its sender to send it again: congvan resend, or congvan reconcile there.")
      }
      let act = try tx.act(
        verb, about: .message(key, document: row["about"]), reason: reason)
      try tx.move(
        received: key, of: row["document"], from: .quarantined, to: state,
        setting: """
          outcome = NULL, detail = NULL, notBefore = CASE WHEN ?
              AND outcome IN ('SIGNATURE-TIME-IN-FUTURE', 'STATUS-TIME-IN-FUTURE') THEN ?
            ELSE notBefore END
          """,
        [state == .received, time.microseconds], act: act,
        cause: verb == .release ? "released" : "discarded", detail: reason)
    }
  }
}
