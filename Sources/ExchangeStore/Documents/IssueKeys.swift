package import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

/// What the caller of an issue calls it, so that asking again does not issue again.
package struct IssueKey: Sendable, Hashable {
  package let text: String
  /// SHA-256 of what was asked for, by the name of the field.
  package let fields: [String: SHA256Digest]

  package init(_ text: String, fields: [String: SHA256Digest]) {
    self.text = text
    self.fields = fields
  }
}

/// The key of an issue was used meanwhile, by another command.
package struct IssueKeyTaken: Error {
  package init() {}
}

/// A document that was issued here before under a number.
package struct NumberUse: Sendable {
  package let id: RecordID
  package let issuedDate: String
  package let frozen: String?
}

extension ExchangeReader {
  /// What was issued under `key`, or nil.
  package func issued(under key: String) throws -> (id: RecordID, key: IssueKey)? {
    let row = try read { database in
      try database.one(
        """
        SELECT document.id, issueKey.fields FROM issueKey
        JOIN document ON document.key = issueKey.document WHERE issueKey.key = ?
        """, [key])
    }
    guard let row else { return nil }
    let fields: Data = row["fields"]
    guard let texts = try? JSONDecoder().decode([String: String].self, from: fields) else {
      throw StoreError(.corrupt, "database: column fields of issueKey has an impossible value")
    }
    return (
      try row.recordID("id"),
      IssueKey(key, fields: texts.compactMapValues { SHA256Digest(hex: $0) })
    )
  }

  /// The key under which a document was issued, or nil.
  package func issueKey(document key: Int64) throws -> String? {
    try read { try $0.one("SELECT key FROM issueKey WHERE document = ?", [key])?["key"] }
  }

  /// Outgoing documents of `year` with this number and notation, oldest first; leading zeros of the
  /// number do not matter.
  package func uses(of number: ReferenceNumber, year: String) throws -> [NumberUse] {
    try read { database in
      try database.all(
        """
        SELECT id, issuedDate, frozen FROM document
        WHERE direction = 'outgoing' AND codeNotation = ?
          AND ltrim(codeNumber, '0') = ltrim(?, '0') AND issuedDate BETWEEN ? AND ? ORDER BY key
        """,
        [number.codeNotation, number.codeNumber, "\(year)-01-01", "\(year)-12-31"]
      ).map {
        NumberUse(
          id: try $0.recordID("id"), issuedDate: $0["issuedDate"], frozen: $0["frozen"])
      }
    }
  }
}

extension WriteTransaction {
  /// Throws `IssueKeyTaken` when the key is used. Part of the transaction that issues: both stand, or
  /// neither.
  func insert(_ issueKey: IssueKey, document: Int64) throws {
    guard try one("SELECT 1 FROM issueKey WHERE key = ?", [issueKey.text]) == nil else {
      throw IssueKeyTaken()
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    try run(
      "INSERT INTO issueKey (key, document, fields, createdAt) VALUES (?, ?, ?, ?)",
      [
        issueKey.text, document, try encoder.encode(issueKey.fields.mapValues(\.hex)),
        time.microseconds,
      ])
  }
}
