package import ExchangeCore
import GRDB
import NodeDatabase

/// A delivery without a receipt that somebody should look at.
package struct OutstandingDelivery: Sendable {
  package let document: RecordID
  package let to: UnitID
  package let publishedAt: Timestamp?
  package let expiresAt: Timestamp?
}

extension RelayLedger {
  /// Deliveries that became overdue or about to expire, each once: it is noted that they were said.
  /// A later publication, as after a resend, begins anew. At most `limit` of each kind at a time.
  package func warnOutstanding(_ watch: ReceiptWatch, limit: Int = 10_000, at time: Timestamp)
    throws
    -> (overdue: [OutstandingDelivery], expiring: [OutstandingDelivery])
  {
    let isDue = try read { database in
      let overdue = try database.unwarned(overdueSQL, watch.overdueBefore, limit: 1, at: time)
      let expiring = try database.unwarned(expiringSQL, watch.expiringBefore, limit: 1, at: time)
      return !(overdue.isEmpty && expiring.isEmpty)
    }
    guard isDue else { return ([], []) }
    return try write(as: .daemon, at: time) { tx in
      let overdue = try tx.database.unwarned(
        overdueSQL, watch.overdueBefore, limit: limit, at: time)
      let expiring = try tx.database.unwarned(
        expiringSQL, watch.expiringBefore, limit: limit, at: time)
      for row in overdue + expiring {
        try tx.run(
          "UPDATE delivery SET warnedAt = ? WHERE key = ?",
          [time.microseconds, row["key"] as Int64])
      }
      return (
        try overdue.map(OutstandingDelivery.init), try expiring.map(OutstandingDelivery.init)
      )
    }
  }
}

/// ?1 now, ?2 the moment of the watch, ?3 limit. Compared with the moment at which the delivery
/// became so, and not only with "never": one delivery can be overdue and later about to expire.
private let overdueSQL = """
  SELECT d.*, document.id FROM delivery d JOIN document ON document.key = d.document
  WHERE d.state = 'published' AND d.publishedAt <= ?2
    AND (d.warnedAt IS NULL OR d.warnedAt < d.publishedAt + (?1 - ?2))
  ORDER BY d.publishedAt LIMIT ?3
  """
private let expiringSQL = """
  SELECT d.*, document.id FROM delivery d JOIN document ON document.key = d.document
  WHERE d.expiresAt IS NOT NULL AND d.state IN ('queued', 'retrying', 'published')
    AND d.expiresAt <= ?2
    AND (d.warnedAt IS NULL OR d.warnedAt < d.expiresAt + (?1 - ?2))
  ORDER BY d.expiresAt LIMIT ?3
  """

extension Database {
  fileprivate func unwarned(_ sql: String, _ moment: Timestamp, limit: Int, at time: Timestamp)
    throws -> [Row]
  {
    try all(sql, [time.microseconds, moment.microseconds, limit])
  }
}

extension OutstandingDelivery {
  fileprivate init(_ row: Row) throws {
    self.init(
      document: try row.recordID("id"), to: try row.unit("recipient"),
      publishedAt: row.optionalTime("publishedAt"), expiresAt: row.optionalTime("expiresAt"))
  }
}
