package import ExchangeCore
import GRDB
import NodeDatabase

/// A status, tally or answer of this unit that the broker has not taken yet.
package struct NoticeSummary: Sendable {
  package let id: String
  /// As the wire calls it: `congvan.status`, …
  package let type: String
  /// Business code of a status.
  package let code: String?
  package let to: UnitID
  /// The document of a status, the tally of an answer; nil for a tally.
  package let about: String?
  package let state: String
  package let attempts: Int
  package let lastError: String?
  package let lastErrorText: String?
  package let nextAt: Timestamp?
  package let updatedAt: Timestamp
}

extension ExchangeReader {
  /// Notices that wait, oldest first; with `refused` only those that the broker would not take so
  /// far, also when they have been queued again since.
  package func openNotices(refused: Bool, limit: Int) throws -> [NoticeSummary] {
    try read { database in
      try database.all(
        """
        SELECT n.*, status.code FROM notice n LEFT JOIN status ON status.key = n.status
        WHERE n.state <> 'published' \(refused ? "AND n.lastError IS NOT NULL" : "")
        ORDER BY n.key LIMIT ?
        """, [limit]
      ).map { row in
        NoticeSummary(
          id: row["messageID"], type: row["type"], code: row["code"], to: try row.unit("toUnit"),
          about: row["correlationID"], state: row["state"], attempts: row["attempts"],
          lastError: row["lastError"], lastErrorText: row["lastErrorText"],
          nextAt: row.optionalTime("nextAt"), updatedAt: row.time("updatedAt"))
      }
    }
  }
}

extension RelayLedger {
  /// Queues statuses, tallies and answers again that the broker refused for good before `before`: no
  /// person sees them in a list, and what was wrong (a right, an exchange) may have been repaired.
  /// Returns how many.
  package func reviveNotices(suspendedBefore before: Timestamp, at time: Timestamp) throws -> Int {
    let isDue = try read { database in
      try database.one(
        """
        SELECT 1 FROM notice WHERE state = 'suspended' AND (updatedAt <= ?1 OR updatedAt > ?2)
        LIMIT 1
        """, [before.microseconds, time.microseconds]) != nil
    }
    guard isDue else { return 0 }
    return try write(as: .daemon, at: time) { tx in
      try tx.all(
        """
        UPDATE notice SET state = 'queued', failures = 0, failingFor = 0, failedAt = NULL,
          updatedAt = ?1 WHERE state = 'suspended' AND (updatedAt <= ?2 OR updatedAt > ?1)
        RETURNING key
        """, [time.microseconds, before.microseconds]
      ).count
    }
  }
}
