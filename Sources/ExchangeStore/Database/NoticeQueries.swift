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

extension Store {
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
