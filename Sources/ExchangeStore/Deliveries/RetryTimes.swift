package import ExchangeCore
import GRDB
import NodeDatabase

/// What a wall clock that was set leaves behind.
extension RelayLedger {
  /// Makes retries due that were set while the clock was ahead: in what is now the future, or
  /// further ahead than any back-off reaches. Returns how many.
  package func hastenRetries(beyond limit: Timestamp, at time: Timestamp) throws -> Int {
    let isAny = try read { database in
      try database.one(
        """
        SELECT 1 WHERE EXISTS (SELECT 1 FROM delivery WHERE state = 'retrying'
            AND (nextAt > ?1 OR (nextAt > ?2 AND updatedAt > ?2)))
          OR EXISTS (SELECT 1 FROM notice WHERE state = 'retrying'
            AND (nextAt > ?1 OR (nextAt > ?2 AND updatedAt > ?2)))
        """, [limit.microseconds, time.microseconds]) != nil
    }
    guard isAny else { return 0 }
    return try write(as: .daemon, at: time) { tx in
      try ["delivery", "notice"].reduce(0) { count, table in
        try tx.run(
          """
          UPDATE \(table) SET nextAt = ?2, updatedAt = ?2
          WHERE state = 'retrying' AND (nextAt > ?1 OR (nextAt > ?2 AND updatedAt > ?2))
          """, [limit.microseconds, time.microseconds])
        return count + tx.changesCount
      }
    }
  }
}

extension ExchangeReader {

  /// The latest time of a status that we gave about a document: a later one must not seem to be
  /// earlier, because the other side goes by these times.
  package func lastStatusTime(document key: Int64) throws -> Timestamp? {
    try read { database in
      try database.one(
        "SELECT max(at) AS at FROM status WHERE document = ? AND direction = 'sent'", [key])?
        .optionalTime("at")
    }
  }
}
