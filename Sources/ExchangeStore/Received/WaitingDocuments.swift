package import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

/// Documents whose manifest is believed and whose attachments are awaited. Each watches one content
/// that it lacks (`received.waitsFor`) and is looked at again when that comes: what a unit sends costs
/// no look at all that it lets wait.
extension ReviewLedger {
  /// How many documents one call looks at.
  private static let looks = 128

  /// Documents whose attachments are now all here, or known to be spoiled: one of each sender, then a
  /// second of each, and so on, at most `limit`. `passedOver` are keys that are not looked at.
  /// `isAll` is false when others are still to be looked at.
  package func ripe(limit: Int, passedOver: Set<Int64>, at time: Timestamp) throws
    -> (messages: [UnjudgedMessage], isAll: Bool)
  {
    let keys = "[" + passedOver.map(String.init).joined(separator: ",") + "]"
    let candidates = try read { database in
      try database.all(
        """
        SELECT key, document, sender FROM (
          SELECT key, document, sender, row_number() OVER (PARTITION BY sender ORDER BY key) AS turn
          FROM received WHERE state IN ('verified', 'incomplete') AND waitsFor IS NULL
            AND key NOT IN (SELECT value FROM json_each(?)))
        ORDER BY turn, key LIMIT ?
        """, [keys, Self.looks])
    }
    var ripe: [Int64] = []
    var others: [Row] = []
    for row in candidates where ripe.count < limit {
      if try read({ try $0.lacking(row) }) == nil {
        ripe.append(row["key"])
      } else {
        others.append(row)
      }
    }
    if !others.isEmpty {
      try write(as: .daemon, at: time) { tx in
        // Content may have come since.
        for row in others {
          try tx.run(
            "UPDATE received SET waitsFor = ? WHERE key = ? AND state IN ('verified', 'incomplete')",
            [tx.database.lacking(row)?.bytes, row["key"] as Int64])
        }
      }
    }
    let isAll = candidates.count < Self.looks && ripe.count < limit
    guard !ripe.isEmpty else { return ([], isAll) }
    let found = "[" + ripe.map(String.init).joined(separator: ",") + "]"
    return (
      try messages(
        where: """
          received.key IN (SELECT value FROM json_each(?))
            AND received.state IN ('verified', 'incomplete')
          """, [found], by: "received.key", limit: limit), isAll
    )
  }

  /// Has every waiting document looked at again, as at the start of a node.
  package func lookAgainAtWaiting(at time: Timestamp) throws {
    try write(as: .daemon, at: time) {
      try $0.run("UPDATE received SET waitsFor = NULL WHERE waitsFor IS NOT NULL")
    }
  }
}

extension Database {
  /// A content that a waiting document still waits for, the last of its list, because pieces come in
  /// that order; nil when it waits for none: all are here, or one came altered and has not come again.
  fileprivate func lacking(_ row: Row) throws -> SHA256Digest? {
    let missing = try one(
      """
      SELECT a.sha256 FROM attachment a WHERE a.document = ?1 AND NOT \(isHere("?2"))
      ORDER BY a.position DESC LIMIT 1
      """, [row["document"] as Int64, row["sender"] as String])
    guard let missing else { return nil }
    let isSpoiled = try one(
      """
      SELECT 1 FROM attachment a CROSS JOIN spoiled s ON s.sha256 = a.sha256
      WHERE a.document = ?1 AND s.sender = ?2 AND NOT \(isHere("?2"))
        AND NOT EXISTS (SELECT 1 FROM transfer t WHERE t.sender = s.sender
          AND t.sha256 = s.sha256 AND t.pieces * \(WireLimits.pieceBytes) >= t.size) LIMIT 1
      """, [row["document"] as Int64, row["sender"] as String])
    return isSpoiled == nil ? try missing.digest("sha256") : nil
  }
}
