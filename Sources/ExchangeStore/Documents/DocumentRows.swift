import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension WriteTransaction {
  /// Stores the record and the attachments of a manifest; returns the document's key. `sender` is
  /// whom the broker vouches for: the manifest may call the same unit by an alias.
  func insertDocument(
    direction: String, sender: String, manifest: Manifest, digest: SHA256Digest, signed: Data
  ) throws -> Int64 {
    try run(
      """
      INSERT INTO document (direction, id, sender, manifestSha256, signed, codeNumber,
        codeSeparator, codeNotation, issuedDate, typeName, subject, urgency, createdAt)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      [
        direction, manifest.documentID.rawValue, sender, digest.bytes,
        signed, manifest.number.codeNumber, manifest.number.separator.rawValue,
        manifest.number.codeNotation, manifest.issuedDate.rawValue, manifest.typeName,
        manifest.subject, manifest.urgency.rawValue, time.microseconds,
      ])
    let key = lastInsertedRowID
    try detail(document: key, as: manifest)
    for (position, attachment) in manifest.attachments.enumerated() {
      try run(
        """
        INSERT INTO attachment (document, position, name, mediaType, size, sha256)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
        [
          key, position, attachment.name, attachment.mediaType, attachment.size,
          attachment.sha256.bytes,
        ])
    }
    return key
  }

  /// Writes what a manifest says besides what every document had from the beginning.
  func detail(document key: Int64, as manifest: Manifest) throws {
    let places = manifest.toPlaces.isEmpty ? nil : try JSONEncoder().encode(manifest.toPlaces)
    try run(
      """
      UPDATE document SET isDetailed = 1, senderName = ?, dueDate = ?, signerName = ?,
        signerPosition = ?, signerCompetence = ?, pageAmount = ?, issuedAmount = ?, note = ?,
        toPlaces = ? WHERE key = ?
      """,
      [
        manifest.from.organName, manifest.dueDate?.rawValue, manifest.signer?.fullName,
        manifest.signer?.position, manifest.signer?.competence, manifest.pageAmount,
        manifest.issuedAmount, manifest.note, places.map { String(decoding: $0, as: UTF8.self) },
        key,
      ])
  }

  /// Marks a document as taken back or replaced; the first mark stays. A document that is not here
  /// yet is marked when it comes.
  func freeze(document id: RecordID, of sender: UnitID, because: String) throws {
    try run(
      "UPDATE document SET frozen = ?, frozenAt = ? WHERE sender = ? AND id = ? AND frozen IS NULL",
      [because, time.microseconds, sender.rawValue, id.rawValue])
    guard changesCount == 0 else { return }
    try run(
      """
      INSERT INTO frozenAhead (sender, id, because) SELECT ?1, ?2, ?3
      WHERE NOT EXISTS (SELECT 1 FROM document WHERE sender = ?1 AND id = ?2)
      ON CONFLICT DO NOTHING
      """, [sender.rawValue, id.rawValue, because])
  }
}
