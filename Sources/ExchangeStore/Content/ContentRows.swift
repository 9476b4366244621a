import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension Database {
  /// True when the content is here and `sender` brought it, now or earlier.
  func hasContent(_ digest: SHA256Digest, from sender: UnitID) throws -> Bool {
    try one(
      """
      SELECT 1 FROM contentSource JOIN blob USING (sha256)
      WHERE contentSource.sender = ? AND sha256 = ?
      """, [sender.rawValue, digest.bytes]) != nil
  }

  /// True when the sender declared secrecy for a document with this content (Điều 5), and no document
  /// of it without that mark names it.
  func isSecret(_ digest: SHA256Digest, from sender: UnitID) throws -> Bool {
    try one(
      """
      SELECT 1 FROM secretContent WHERE sender = ?1 AND sha256 = ?2
        AND NOT EXISTS (SELECT 1 FROM attachment a JOIN document ON document.key = a.document
          WHERE a.sha256 = ?2 AND document.sender = ?1)
      """, [sender.rawValue, digest.bytes]) != nil
  }

  func hasTransfer(_ digest: SHA256Digest, from sender: UnitID, size: Int64) throws -> Bool {
    try one(
      "SELECT 1 FROM transfer WHERE sender = ? AND sha256 = ? AND size = ?",
      [sender.rawValue, digest.bytes, size]) != nil
  }

  func hasBlob(_ digest: SHA256Digest) throws -> Bool {
    try one("SELECT 1 FROM blob WHERE sha256 = ?", [digest.bytes]) != nil
  }
}

extension WriteTransaction {
  /// `sender` is the unit whose pieces brought it, nil for content of this unit.
  func insert(
    _ content: StoredContent, from sender: UnitID?,
    act: Int64? = nil
  ) throws {
    let bytes: Data? = if case .inline(let data, _) = content { data } else { nil }
    try run(
      """
      INSERT INTO blob (sha256, size, content, sender, createdAt, checkedAt, isUnnamed)
      VALUES (?1, ?, ?, ?4, ?5, ?5,
        ?4 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attachment WHERE sha256 = ?1))
      ON CONFLICT DO NOTHING
      """,
      [
        content.sha256.bytes, content.size, bytes, sender?.rawValue, time.microseconds,
      ])
    if changesCount == 1 {
      try run("DELETE FROM spoiled WHERE sha256 = ?", [content.sha256.bytes])
      try note(
        content.sha256, cause: "content whole again", detail: nil, act: act)
    }
    if let sender { try insertSource(sender, content.sha256, size: content.size) }
  }

  /// Records that `sender` has shown that it has a content which is here.
  func insertSource(_ sender: UnitID, _ digest: SHA256Digest, size: Int64)
    throws
  {
    try run(
      """
      INSERT INTO contentSource (sender, sha256, size, isNamed, createdAt)
      VALUES (?1, ?2, ?3, EXISTS (SELECT 1 FROM attachment a
        JOIN document ON document.key = a.document WHERE a.sha256 = ?2 AND document.sender = ?1), ?4)
      ON CONFLICT DO NOTHING
      """, [sender.rawValue, digest.bytes, size, time.microseconds])
    // Nobody's pieces are removed as too old while another's are young.
    try run(
      "UPDATE blob SET createdAt = max(createdAt, ?) WHERE sha256 = ? AND isUnnamed = 1",
      [time.microseconds, digest.bytes])
    try run(
      "DELETE FROM spoiled WHERE sender = ? AND sha256 = ?", [sender.rawValue, digest.bytes])
  }
}
