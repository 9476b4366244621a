package import ExchangeCore
import Foundation
import GRDB
import NodeDatabase
import Synchronization

extension ContentLedger {
  /// Up to `limit` transfers of which every piece is in the spool: one of each sender, then a second of
  /// each, and so on.
  package func completeTransfers(limit: Int = 1_000) throws -> [Transfer] {
    try read { database in
      try database.all(
        """
        SELECT * FROM (
          SELECT *, row_number() OVER (PARTITION BY sender ORDER BY key) AS turn FROM transfer
          WHERE pieces * \(WireLimits.pieceBytes) >= size)
        ORDER BY turn, key LIMIT ?
        """, [limit]
      ).map(Transfer.init)
    }
  }

  /// Forgets a transfer whose spool file is gone or cannot be read any more: its pieces have to come
  /// again, which the tally asks for. Nothing is said about who sent it.
  package func lose(_ transfer: Transfer, at time: Timestamp) throws {
    try files.removing {
      let wasHere = try write(as: .daemon, at: time) { try $0.remove(transfer) }
      guard wasHere else { return }
      files.remove(
        files.spoolName(sender: transfer.sender, sha256: transfer.sha256, size: transfer.size))
    }
  }

  /// Forgets transfers whose spool files are not there, as after a restore: `spool/` is in no backup.
  func loseTransfersWithoutBytes(at time: Timestamp) throws {
    let transfers = try read { database in
      try database.all(
        "SELECT *, pieces * ? >= size AS isComplete FROM transfer", [WireLimits.pieceBytes]
      ).map { (try Transfer($0), $0["isComplete"] as Bool) }
    }
    let lost = transfers.filter { transfer, isComplete in
      let name = files.spoolName(
        sender: transfer.sender, sha256: transfer.sha256, size: transfer.size)
      return !files.hasBytes(of: name, digest: isComplete ? transfer.sha256 : nil)
    }.map(\.0)
    for transfer in lost { try lose(transfer, at: time) }
  }

  /// Ends a transfer: its blob is on disk, or (`isIntact` false) its content was not what its
  /// digest said, and every piece has to come again.
  package func finish(_ transfer: Transfer, isIntact: Bool, at time: Timestamp) throws {
    store.spoolLock.lock()
    defer { store.spoolLock.unlock() }
    var isSpoiled = false
    let unwanted = try write(
      as: .daemon, at: time, around: (.assembleBeforeCommit, .assembleAfterCommit)
    ) {
      tx -> DiscardedContent? in
      let wasHere = try tx.remove(transfer)
      guard isIntact else {
        // Removed meanwhile (Điều 5, never named): then its bytes were not looked at.
        if wasHere { try tx.spoil(transfer.sender, transfer.sha256) }
        isSpoiled = wasHere
        return nil
      }
      // Declared secret while it was put together.
      guard try !tx.database.isSecret(transfer.sha256, from: transfer.sender) else {
        return DiscardedContent(digest: transfer.sha256, sender: transfer.sender, spooled: nil)
      }
      try tx.insert(
        .file(transfer.sha256, size: transfer.size), from: transfer.sender)
      return nil
    }
    // After the commit: a transfer without its file would be taken for one that became the blob.
    if isSpoiled {
      files.remove(
        files.spoolName(sender: transfer.sender, sha256: transfer.sha256, size: transfer.size))
    }
    if let unwanted { store.discarded.withLock { $0.append(unwanted) } }
  }

  /// Removes leftovers of crashes from the content folders. Run by the daemon at its start. A file
  /// that a document names may be one that a person has put back: it stays and is looked at.
  package func sweepContent(at time: Timestamp) throws {
    try loseTransfersWithoutBytes(at: time)
    try files.removing {
      let transfers = try read {
        try Row.fetchAll($0, sql: "SELECT sender, sha256, size FROM transfer")
      }
      let known = try transfers.map { row in
        files.spoolName(
          sender: try row.unit("sender"), sha256: try row.digest("sha256"), size: row["size"]
        ).fileName
      }
      // A crash may have come between the blob of a transfer and its row.
      let assembled = Set(try transfers.map { try $0.digest("sha256") })
      try files.sweep(
        isKnownBlob: { digest in
          try assembled.contains(digest)
            || read { try $0.hasBlob(digest) || $0.isNamed(digest) }
        },
        knownSpool: Set(known))
      try files.sweepDamaged { digest in try read { try $0.hasBlob(digest) } }
    }
  }
}

extension WriteTransaction {
  /// False when it is gone. The key alone may be another transfer's by now.
  fileprivate func remove(_ transfer: Transfer) throws -> Bool {
    try run(
      "DELETE FROM transfer WHERE key = ? AND sender = ? AND sha256 = ? AND size = ?",
      [transfer.key, transfer.sender.rawValue, transfer.sha256.bytes, transfer.size])
    return changesCount == 1
  }
}
