package import ExchangeCore
import Foundation
import GRDB

extension Store {
  /// Removes content that units sent here and no document names: after `patience`, because pieces come
  /// before their manifest and a unit may be off for weeks in between, and soon (`secretPatience`)
  /// when it belongs to a document with a secrecy mark (Điều 5), whose pieces may come after its
  /// refusal. Should a manifest come for it after all, its document waits as incomplete, and the tally
  /// brings the pieces again. Returns how many contents and transfers were removed.
  package func collectUnnamed(
    patience: Duration, secretPatience: Duration, at time: Timestamp
  ) throws -> Int {
    let before = time.advanced(by: .zero - patience).microseconds
    let secretBefore = time.advanced(by: .zero - secretPatience).microseconds
    let isDue = try read { database in
      try database.one(
        """
        SELECT 1 WHERE EXISTS (SELECT 1 FROM blob WHERE isUnnamed = 1 AND createdAt < ?1)
          OR EXISTS (SELECT 1 FROM transfer WHERE createdAt < ?1 AND \(isNamedByNone))
          OR EXISTS (SELECT 1 FROM secretContent WHERE at < ?1)
          OR EXISTS (SELECT 1 FROM spoiled WHERE at < ?1)
          OR EXISTS (SELECT 1 FROM secretContent s JOIN blob USING (sender, sha256)
            WHERE s.at < ?2 AND isUnnamed = 1 AND createdAt < ?2)
          OR EXISTS (SELECT 1 FROM secretContent s JOIN transfer USING (sender, sha256)
            WHERE s.at < ?2 AND transfer.createdAt < ?2)
        """, [before, secretBefore]) != nil
    }
    guard isDue else { return 0 }
    // While nobody writes pieces or puts them together: who does has the lock of `keeping`.
    return try files.removing {
      let (blobs, transfers) = try write { database in
        try database.collect(before: before, secretBefore: secretBefore)
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

extension Database {
  fileprivate func collect(before: Int64, secretBefore: Int64) throws -> (
    blobs: [SHA256Digest], transfers: [Transfer]
  ) {
    let isOver = """
      (createdAt < ?1 OR (createdAt < ?2
        AND (sender, sha256) IN (SELECT sender, sha256 FROM secretContent WHERE at < ?2)))
      """
    let blobs = try all(
      """
      DELETE FROM blob WHERE isUnnamed = 1 AND \(isOver) RETURNING sha256
      """, [before, secretBefore]
    ).map { try $0.digest("sha256") }
    // What a document waits for stays: it goes on where it was, however late.
    let transfers = try all(
      """
      DELETE FROM transfer WHERE \(isOver) AND \(isNamedByNone)
      RETURNING key, sender, sha256, size
      """, [before, secretBefore]
    ).map(Transfer.init)
    // The pieces of that document are no longer on their way by then.
    try run("DELETE FROM secretContent WHERE at < ?", [before])
    try run("DELETE FROM spoiled WHERE at < ?", [before])
    return (blobs, transfers)
  }
}
