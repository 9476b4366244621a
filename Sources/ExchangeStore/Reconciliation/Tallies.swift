package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase

/// A tally or an answer of ours with its signature.
package struct SignedTally: Sendable {
  package let tally: Tally
  package let signed: Data

  package init(tally: Tally, signed: Data) {
    self.tally = tally
    self.signed = signed
  }
}

package struct SignedAnswer: Sendable {
  package let answer: TallyAnswer
  package let signed: Data

  package init(answer: TallyAnswer, signed: Data) {
    self.answer = answer
    self.signed = signed
  }
}

/// How things stand between this unit and another, from this unit's side.
package struct Reconciliation: Sendable {
  package let unit: UnitID
  /// Deliveries to the unit that the broker took, without those that were taken back before they
  /// arrived.
  package let sent: Int
  package let receipts: Int
  package let lastTally: Timestamp?
  package let answeredAt: Timestamp?
  /// What the unit lacked according to its last answer and was queued again at once.
  package let missing: Int?
}

extension RelayLedger {
  /// What tallies to `unit` say: every delivery without a receipt, and those that ended since
  /// `since`, oldest first. All of them: what a unit lost that was restored from a backup is the
  /// newest. Cancelled and expired ones may have arrived all the same, and so may what was taken back
  /// or replaced.
  package func tallyEntries(for unit: UnitID, since: Timestamp) throws -> [Tally.Entry] {
    try read { database in
      try database.all(
        """
        SELECT d.sequence, d.state, document.id, document.manifestSha256,
          (SELECT count(*) FROM status WHERE status.document = d.document
            AND direction = 'received' AND fromUnit = d.recipient) AS statuses,
          (SELECT id FROM status WHERE status.document = d.document
            AND direction = 'received' AND fromUnit = d.recipient
            ORDER BY \(StatusOrder.latestFirstInTallies("status")) LIMIT 1) AS lastStatus,
          CASE document.frozen WHEN 'recalled' THEN (
            SELECT id FROM status WHERE status.document = d.document AND direction = 'sent'
              AND toUnit = d.recipient AND code = '13' ORDER BY key DESC LIMIT 1) END AS takeBack
        FROM delivery d
        JOIN document ON document.key = d.document
        WHERE d.recipient = ?1 AND (d.state = 'published'
          OR (d.state IN ('delivered', 'refused', 'expired', 'cancelled') AND d.updatedAt >= ?2))
        ORDER BY d.state = 'published' DESC, d.sequence
        """, [unit.rawValue, since.microseconds]
      ).map { row in
        let hasAnswer = [.delivered, .refused].contains(try row.outgoingState("state"))
        return Tally.Entry(
          sequence: row["sequence"], documentId: try row.recordID("id"),
          manifestSha256: try row.digest("manifestSha256"), statuses: row["statuses"],
          lastStatus: try row.optionalRecordID("lastStatus"), awaiting: hasAnswer ? nil : true,
          takeBack: try row.optionalRecordID("takeBack"))
      }
    }
  }

  /// Units to which something went out and no tally since `before`; with nothing new since `window`,
  /// no tally since then. Deliveries younger than `before` are given time for their receipt. What lies
  /// after `now` was written while the clock was wrong.
  package func unitsWithoutTally(since before: Timestamp, window: Timestamp, now: Timestamp) throws
    -> [UnitID]
  {
    try read { database in
      try database.all(
        """
        -- From unit to unit along the index, and each only until the first delivery that asks for it:
        -- there are years of deliveries.
        WITH RECURSIVE pair (unit) AS (
          SELECT min(recipient) FROM delivery
          UNION ALL SELECT (SELECT min(recipient) FROM delivery WHERE recipient > pair.unit)
          FROM pair WHERE pair.unit IS NOT NULL)
        SELECT unit FROM pair
        WHERE unit IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM tally WHERE tally.unit = pair.unit AND direction = 'sent'
            AND at BETWEEN ?1 AND ?3)
          AND (EXISTS (SELECT 1 FROM delivery WHERE recipient = pair.unit AND state = 'published'
              AND (createdAt < ?1 OR createdAt > ?3))
            OR EXISTS (SELECT 1 FROM delivery WHERE recipient = pair.unit
              AND state IN ('delivered', 'refused', 'expired', 'cancelled') AND updatedAt >= ?2
              AND (createdAt < ?1 OR createdAt > ?3))
            OR (EXISTS (SELECT 1 FROM delivery WHERE recipient = pair.unit
                AND state = 'delivered' AND updatedAt < ?2)
              AND NOT EXISTS (SELECT 1 FROM tally WHERE tally.unit = pair.unit
                AND direction = 'sent' AND at BETWEEN ?2 AND ?3)))
        UNION SELECT unit FROM tallyDue WHERE at <= ?3
        LIMIT 1000
        """, [before.microseconds, window.microseconds, now.microseconds]
      ).map { try $0.unit("unit") }
    }
  }
}

extension Joining {

  /// Logs a tally and queues it. It travels in the ordinary lane, behind the documents it counts.
  /// `actor` is who asked for it; only a person's asking is an act.
  package func send(_ tally: SignedTally, at time: Timestamp, by actor: Actor = .daemon) throws {
    try write(as: actor, at: time) { tx in
      try tx.act(.reconcile, about: .unit(tally.tally.to))
      try tx.run(
        "INSERT INTO tally (direction, id, unit, entries, at) VALUES ('sent', ?, ?, ?, ?)",
        [
          tally.tally.id.rawValue, tally.tally.to.rawValue, tally.tally.entries.count,
          time.microseconds,
        ])
      try tx.run("DELETE FROM tallyDue WHERE unit = ?", [tally.tally.to.rawValue])
      try tx.enqueueNotice(
        tally: tx.lastInsertedRowID, .tally, id: tally.tally.id, about: nil,
        to: tally.tally.to, signed: tally.signed)
    }
  }
}

extension ExchangeReader {

  package func reconciliations(with unit: UnitID?) throws -> [Reconciliation] {
    try read { database in
      try database.all(
        """
        SELECT d.recipient, count(*) AS sent,
          sum(d.state IN ('delivered', 'refused')) AS receipts, t.at, t.answeredAt, t.missing
        FROM delivery d LEFT JOIN (
          -- The tallies of one round have the same time.
          SELECT unit, at, sum(missing) AS missing,
            CASE WHEN count(answeredAt) = count(*) THEN max(answeredAt) END AS answeredAt
          FROM tally WHERE direction = 'sent' GROUP BY unit, at
        ) t ON t.unit = d.recipient AND t.at = (SELECT at FROM tally
          WHERE unit = d.recipient AND direction = 'sent' ORDER BY key DESC LIMIT 1)
        WHERE d.state IN ('published', 'delivered', 'refused') AND (?1 IS NULL OR d.recipient = ?1)
        GROUP BY d.recipient ORDER BY d.recipient
        """, [unit?.rawValue]
      ).map { row in
        Reconciliation(
          unit: try row.unit("recipient"), sent: row["sent"], receipts: row["receipts"],
          lastTally: row.optionalTime("at"), answeredAt: row.optionalTime("answeredAt"),
          missing: row["missing"])
      }
    }
  }
}

extension WriteTransaction {

  func enqueueNotice(
    tally: Int64, _ kind: MessageKind, id: RecordID, about: RecordID?, to unit: UnitID,
    signed: Data
  ) throws {
    try run(
      """
      INSERT INTO notice (tally, type, messageID, correlationID, toUnit, lane, signed, state,
        updatedAt) VALUES (?, ?, ?, ?, ?, 'ordinary', ?, 'queued', ?)
      """,
      [
        tally, kind.rawValue, id.rawValue, about?.rawValue, unit.rawValue, signed,
        time.microseconds,
      ])
  }

  /// Logs a tally that came in with its answer; a tally that is known gets the stored answer again.
  func answer(
    _ tally: Tally, owed: [Int64], with answer: SignedAnswer
  ) throws {
    for key in owed {
      try requeueNotices("status = ?", [key])
      try noteRestatements("said.key = ?3", key)
    }
    try run(
      """
      INSERT INTO tally (direction, id, unit, entries, missing, at, answeredAt)
      VALUES ('received', ?, ?, ?, ?, ?, ?5) ON CONFLICT DO NOTHING
      """,
      [
        tally.id.rawValue, tally.from.organId.rawValue, tally.entries.count,
        answer.answer.missing.count, time.microseconds,
      ])
    if changesCount == 1 {
      try enqueueNotice(
        tally: lastInsertedRowID, .tallyAnswer, id: answer.answer.id, about: tally.id,
        to: answer.answer.to, signed: answer.signed)
      try forgetTallies(beyond: Self.keptTallies, of: tally.from.organId)
    } else {
      try requeueNotices(
        "tally = (SELECT key FROM tally WHERE direction = 'received' AND unit = ? AND id = ?)",
        [tally.from.organId.rawValue, tally.id.rawValue])
    }
  }

  /// When a unit that owes more statuses is asked for the rest.
  private static let nextTallyAfter = Duration.seconds(120)
  /// Beyond that a unit's word that it owes more brings no further tally.
  private static let talliesPerDay = 40
  /// Tallies of one unit that are kept with their answers. An older one that comes again is answered
  /// anew.
  private static let keptTallies = 100

  private func forgetTallies(beyond count: Int, of unit: UnitID) throws {
    let old = """
      SELECT key FROM tally WHERE direction = 'received' AND unit = ?1 ORDER BY key DESC LIMIT -1 OFFSET ?2
      """
    let arguments: StatementArguments = [unit.rawValue, count]
    try run("DELETE FROM notice WHERE tally IN (\(old))", arguments)
    try run("DELETE FROM tally WHERE key IN (\(old))", arguments)
  }

  /// Takes in an answer to a tally of ours: what the other unit lacks goes out again by itself. Not
  /// what was taken back or replaced before it arrived: its delivery is over. And not what was taken
  /// back after that; a replaced document belongs to the other unit's records.
  func settle(_ answer: TallyAnswer, from sender: UnitID) throws {
    let tally = try one(
      "SELECT key, at FROM tally WHERE direction = 'sent' AND unit = ? AND id = ? AND answeredAt IS NULL",
      [sender.rawValue, answer.tallyID.rawValue])
    guard let tally else { return }
    var sentAgain = 0
    for id in answer.missing {
      guard
        let row = try one(
          """
          SELECT d.key, d.document, d.state, d.finishedAt, document.frozen FROM delivery d
          JOIN document ON document.key = d.document
          WHERE document.id = ? AND document.direction = 'outgoing' AND d.recipient = ?
            AND (d.state = 'published'
              OR (d.state = 'delivered' AND document.frozen IS NOT 'recalled'))
            -- What has changed since the tally is for the next one to review.
            AND (d.updatedAt <= ? OR d.updatedAt > ?)
          """,
          [id.rawValue, sender.rawValue, tally["at"] as Int64, time.microseconds])
      else { continue }
      let key: Int64 = row["key"]
      // A time to live that a receipt had ended begins no second time. What waits for a receipt does
      // not begin to wait anew: it becomes overdue, however often it goes out.
      try move(
        delivery: key, to: .queued,
        setting: """
          progress = 0, expiresAt = CASE WHEN state = 'published' THEN expiresAt END,
          publishedAt = CASE WHEN state = 'published' THEN publishedAt END,
          warnedAt = CASE WHEN state = 'published' THEN warnedAt END
          """, cause: "reconciled", detail: "“\(sender)” does not have it")
      if let frozen: String = row["frozen"],
        frozen == "recalled" || row["finishedAt"] as Int64? == nil
      {
        try move(delivery: key, to: .cancelled, cause: frozen)
        try endRecall(document: row["document"])
      } else {
        sentAgain += 1
      }
    }
    for id in answer.missingTakeBacks {
      try requeueNotices(
        """
        status = (SELECT key FROM status WHERE fromUnit = ? AND id = ?
          AND direction = 'sent' AND code = '13' AND toUnit = ?)
        """, [answer.to.rawValue, id.rawValue, sender.rawValue])
      // It may have come and not been believed.
      let asked = try one(
        """
        SELECT key FROM status WHERE fromUnit = ? AND id = ? AND direction = 'sent' AND code = '13'
          AND toUnit = ?
        """, [answer.to.rawValue, id.rawValue, sender.rawValue])
      if let key: Int64 = asked?["key"] { try noteRestatements("said.key = ?3", key) }
    }
    if answer.hasMore {
      try run(
        """
        INSERT INTO tallyDue (unit, at) SELECT ?1, ?2 WHERE (SELECT count(*) FROM tally
          WHERE unit = ?1 AND direction = 'sent' AND at > ?3) < ?4
        ON CONFLICT DO NOTHING
        """,
        [
          sender.rawValue, time.advanced(by: Self.nextTallyAfter).microseconds,
          time.advanced(by: .seconds(-86_400)).microseconds, Self.talliesPerDay,
        ])
    }
    try run(
      "UPDATE tally SET answeredAt = ?, missing = ? WHERE key = ?",
      [time.microseconds, sentAgain, tally["key"] as Int64])
  }
}
