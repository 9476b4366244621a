package import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension RelayLedger {
  /// Ends deliveries whose time to live is over. Returns how many.
  package func expire(at time: Timestamp) throws -> Int {
    let isDue = try read { database in
      try database.one(
        """
        SELECT 1 FROM delivery WHERE expiresAt <= ?
          AND state IN ('queued', 'retrying', 'published') LIMIT 1
        """, [time.microseconds]) != nil
    }
    guard isDue else { return 0 }
    return try write(as: .daemon, at: time) { tx in
      let rows = try tx.all(
        """
        SELECT key, expiresAt FROM delivery
        WHERE expiresAt <= ? AND state IN ('queued', 'retrying', 'published') LIMIT 1000
        """, [time.microseconds])
      for row in rows {
        try tx.move(
          delivery: row["key"], to: .expired,
          setting: "nextAt = NULL, lastError = 'EXPIRED', lastErrorText = ?",
          ["no receipt until \(row.time("expiresAt").shown)"], cause: "EXPIRED")
      }
      return rows.count
    }
  }
}
