package import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension ContentLedger {
  /// Removes content that units sent here and no document named for `patience`: pieces come before their
  /// manifest, and a unit may be off for weeks in between. Should a manifest come for it after all, its
  /// document waits as incomplete, and the tally brings the pieces again. Returns how many contents and
  /// transfers were removed.
  package func collectUnnamed(patience: Duration, at time: Timestamp) throws -> Int {
    let before = time.advanced(by: .zero - patience).microseconds
    let isDue = try read { database in
      try database.one(
        """
        SELECT 1 WHERE EXISTS (SELECT 1 FROM blob WHERE isUnnamed = 1 AND createdAt < ?1)
          OR EXISTS (SELECT 1 FROM contentSource WHERE isNamed = 0 AND createdAt < ?1)
          OR EXISTS (SELECT 1 FROM transfer WHERE createdAt < ?1 AND \(isNamedByNone))
          OR EXISTS (SELECT 1 FROM secretContent WHERE at < ?1)
          OR EXISTS (SELECT 1 FROM spoiled WHERE at < ?1)
        """, [before]) != nil
    }
    guard isDue else { return 0 }
    // While nobody writes pieces or puts them together: who does has the lock of `keeping`.
    return try files.removing {
      let (blobs, transfers) = try write(as: .daemon, at: time) { tx in
        try tx.collect(before: before)
      }
      for digest in blobs { files.remove(digest) }
      for transfer in transfers {
        files.remove(
          files.spoolName(sender: transfer.sender, sha256: transfer.sha256, size: transfer.size))
      }
      return blobs.count + transfers.count
    }
  }
}

private let isNamedByNone = """
  NOT EXISTS (SELECT 1 FROM attachment a JOIN document ON document.key = a.document
    WHERE a.sha256 = transfer.sha256 AND a.size = transfer.size
      AND document.sender = transfer.sender)
  """

extension WriteTransaction {
  fileprivate func collect(before: Int64) throws -> (
    blobs: [SHA256Digest], transfers: [Transfer]
  ) {
    let blobs = try all(
      "DELETE FROM blob WHERE isUnnamed = 1 AND createdAt < ? RETURNING sha256", [before]
    ).map { try $0.digest("sha256") }
    try run("DELETE FROM contentSource WHERE isNamed = 0 AND createdAt < ?", [before])
    // What a document waits for stays: it goes on where it was, however late.
    let transfers = try all(
      """
      DELETE FROM transfer WHERE createdAt < ? AND \(isNamedByNone)
      RETURNING key, sender, sha256, size
      """, [before]
    ).map(Transfer.init)
    // The pieces of that document are no longer on their way by then.
    try run("DELETE FROM secretContent WHERE at < ?", [before])
    try run("DELETE FROM spoiled WHERE at < ?", [before])
    return (blobs, transfers)
  }
}
