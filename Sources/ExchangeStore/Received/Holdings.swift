package import ExchangeCore
import GRDB
import NodeDatabase

/// What one peer may have here (schemas/README.md section 8). Sums are kept by triggers of the
/// database, so that asking costs the same however much there is.
package struct PeerQuota: Sendable, Hashable {
  /// Messages in quarantine. Beyond this number or these bytes a message is counted, not kept, and
  /// not answered.
  package var quarantineItems: Int64
  package var quarantineBytes: Int64
  /// Bytes of messages that wait for the clock. What comes beyond is refused.
  package var postponedBytes: Int64
  /// Documents that wait for their attachments, and the bytes of their manifests.
  package var waitingItems: Int64
  package var waitingBytes: Int64
  /// Messages that wait for the review. What comes beyond is counted, not kept: the sender's tally
  /// brings it again.
  package var backlogItems: Int64
  package var backlogBytes: Int64
  /// Take-backs of documents that are not here.
  package var aheadItems: Int64

  package init(
    quarantineItems: Int64 = 10_000, quarantineBytes: Int64 = 256 << 20,
    postponedBytes: Int64 = 256 << 20, waitingItems: Int64 = 2_000,
    waitingBytes: Int64 = 256 << 20,
    backlogItems: Int64 = 100_000, backlogBytes: Int64 = 1 << 30, aheadItems: Int64 = 10_000
  ) {
    self.quarantineItems = quarantineItems
    self.quarantineBytes = quarantineBytes
    self.postponedBytes = postponedBytes
    self.waitingItems = waitingItems
    self.waitingBytes = waitingBytes
    self.backlogItems = backlogItems
    self.backlogBytes = backlogBytes
    self.aheadItems = aheadItems
  }

  /// Every message counts with this beside its body: its rows.
  static let rowBytes: Int64 = 1024
}

/// Messages of one sender that were counted and not kept.
package struct DroppedMessages: Sendable, Hashable {
  /// The broker-asserted sender, or `?`.
  package let sender: String
  /// Outcome code, or `BACKLOG` for what came while too much of the sender waited for the review.
  package let outcome: String
  package let count: Int64
  package let firstAt: Timestamp
  package let lastAt: Timestamp
}

/// What a sum is about; raw values are stored.
enum HoldingKind: String {
  case unjudged, postponed, waiting, quarantined, unnamed
}

extension ExchangeReader {
  /// What was counted and not kept, the latest first.
  package func dropped() throws -> [DroppedMessages] {
    try read { database in
      try database.all("SELECT * FROM dropped ORDER BY lastAt DESC, sender, outcome").map { row in
        DroppedMessages(
          sender: row["sender"], outcome: row["outcome"], count: row["items"],
          firstAt: row.time("firstAt"), lastAt: row.time("lastAt"))
      }
    }
  }
}

extension Database {
  func holding(of sender: String, _ kind: HoldingKind) throws -> (items: Int64, bytes: Int64) {
    let row = try one(
      "SELECT items, bytes FROM holding WHERE sender = ? AND kind = ?", [sender, kind.rawValue])
    return (row?["items"] ?? 0, row?["bytes"] ?? 0)
  }
}

extension WriteTransaction {

  /// Counts a message that is not kept.
  func countDropped(_ sender: String, _ outcome: String) throws {
    try run(
      """
      INSERT INTO dropped (sender, outcome, items, firstAt, lastAt) VALUES (?, ?, 1, ?, ?3)
      ON CONFLICT DO UPDATE SET items = items + 1, lastAt = excluded.lastAt
      """, [sender, outcome, time.microseconds])
  }
}
