package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase

/// A stored content that is not what its digest says, or is not here although a document needs it.
package struct ContentFinding: Sendable {
  package struct Place: Sendable {
    package let document: RecordID
    /// `outgoing` or `incoming`.
    package let direction: String
    package let sender: UnitID
    /// Name of the attachment.
    package let name: String
  }

  package let sha256: SHA256Digest
  package let size: Int64
  package let condition: ContentState
  /// False when it was set aside before, or its row is lost: nothing is left to be set aside.
  package let isStored: Bool
  /// The attachments that are this content.
  package let places: [Place]

  package var code: String { condition.code.rawValue }
}

/// How long a comparison of a file with its digest is relied on while the file is sent.
private let trustedFor = Duration.seconds(86_400)

extension ContentLedger {
  // MARK: Looking

  /// Every finding of SQLite about the database file itself; `full` also compares the indexes with
  /// their tables.
  package func databaseFindings(full: Bool) throws -> [String] {
    try read { database in
      try String.fetchAll(
        database, sql: full ? "PRAGMA integrity_check(100)" : "PRAGMA quick_check(100)")
    }.filter { $0 != "ok" }
  }

  /// Looks at every content file: is it there, with its size? `full` reads all content, that in the
  /// database too. Changes nothing. `lost` is content that documents name and that has no row.
  package func contentFindings(full: Bool) throws -> (
    looked: Int, damaged: [ContentFinding], lost: [ContentFinding]
  ) {
    var damaged: [ContentFinding] = []
    var looked = 0
    var last = Data()
    while true {
      let rows = try read { database in
        try database.all(
          """
          SELECT sha256, size, content IS NULL AS isFile FROM blob
          WHERE sha256 > ? AND (content IS NULL OR ?) ORDER BY sha256 LIMIT 500
          """, [last, full])
      }
      guard let end = rows.last else { break }
      last = end["sha256"]
      for row in rows {
        let digest = try row.digest("sha256")
        looked += 1
        var condition: ContentState
        if row["isFile"] {
          condition = files.glance(digest, size: row["size"])
          if full, condition == .intact { condition = files.condition(digest, size: row["size"]) }
        } else {
          condition = try inlineCondition(digest) ?? .intact
        }
        guard condition != .intact else { continue }
        damaged.append(
          ContentFinding(
            sha256: digest, size: row["size"], condition: condition, isStored: true,
            places: try read { try $0.places(of: digest) }))
      }
    }
    return (looked, damaged, try lostContent())
  }

  /// Content without a row that a document of ours, or one that we accepted, names; `only` asks about
  /// one content.
  package func lostContent(_ only: SHA256Digest? = nil) throws -> [ContentFinding] {
    try read { database in
      try database.all(
        """
        SELECT DISTINCT a.sha256, a.size FROM attachment a
        JOIN document ON document.key = a.document
        LEFT JOIN received ON received.document = a.document
        WHERE NOT EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = a.sha256)
          AND (document.direction = 'outgoing' OR received.state = 'accepted')
          \(only == nil ? "" : "AND a.sha256 = ?")
        """, only.map { [$0.bytes] } ?? []
      ).map { row in
        let digest = try row.digest("sha256")
        return ContentFinding(
          sha256: digest, size: row["size"], condition: .missing, isStored: false,
          places: try database.places(of: digest))
      }
    }
  }

  /// Contents in files that were not compared with their digests since `before`, the longest
  /// unchecked first. A check in the future was made by a clock that was wrong.
  package func uncheckedContent(since before: Timestamp, now: Timestamp, limit: Int) throws
    -> [(sha256: SHA256Digest, size: Int64)]
  {
    try read { database in
      try database.all(
        """
        SELECT sha256, size FROM blob WHERE content IS NULL
          AND (checkedAt IS NULL OR checkedAt < ?1 OR checkedAt > ?2)
        ORDER BY checkedAt LIMIT ?3
        """, [before.microseconds, now.microseconds, limit]
      ).map { (try $0.digest("sha256"), $0["size"]) }
    }
  }

  /// Records that contents were compared with their digests and are intact.
  package func markChecked(_ digests: [SHA256Digest], at time: Timestamp) throws {
    guard !digests.isEmpty else { return }
    try write(as: .daemon, at: time) { tx in
      for digest in digests {
        try tx.run(
          "UPDATE blob SET checkedAt = ? WHERE sha256 = ?", [time.microseconds, digest.bytes])
      }
    }
  }

  /// Nil when there is no such row.
  private func inlineCondition(_ digest: SHA256Digest) throws -> ContentState? {
    try read { database in
      try database.one("SELECT content FROM blob WHERE sha256 = ?", [digest.bytes]).map {
        files.hashing.sha256($0["content"] ?? Data()) == digest ? .intact : .altered
      }
    }
  }

  // MARK: Setting aside

  /// Takes a damaged content out of use, in one transaction: its row goes, so that its pieces are
  /// taken in again and nobody sends or shows what is left of it; deliveries that were about to send
  /// it are suspended; every document that names it says so in its history. Nil when the content is
  /// intact after all, or cannot be judged.
  package func setAside(_ digest: SHA256Digest, at time: Timestamp, by actor: Actor) throws
    -> ContentFinding?
  {
    var act: Int64?
    return try setAside(digest, at: time, by: actor, act: &act)
  }

  /// `act` is the one act of a command that repairs several contents: made at the first change, and
  /// named in the history by all.
  package func setAside(
    _ digest: SHA256Digest, at time: Timestamp, by actor: Actor, act: inout Int64?
  ) throws -> ContentFinding? {
    try files.removing {
      let row = try read { database in
        try database.one("SELECT size, content FROM blob WHERE sha256 = ?", [digest.bytes])
      }
      guard let row else { return nil }
      let inline: Data? = row["content"]
      let condition: ContentState =
        if let inline {
          files.hashing.sha256(inline) == digest ? .intact : .altered
        } else {
          files.condition(digest, size: row["size"])
        }
      guard condition.isDamage else { return nil }
      // The file first: a crash in between leaves a row whose file is missing, which is found.
      if let inline {
        try files.setAside(digest, bytes: inline)
      } else {
        try files.setAside(digest)
      }
      let places = try write(as: actor, at: time) { tx in
        try tx.run("DELETE FROM blob WHERE sha256 = ?", [digest.bytes])
        act = try act ?? tx.act(.repair, about: .content(digest))
        try tx.note(
          digest, cause: condition.code.rawValue, detail: condition.text,
          act: act)
        try tx.suspendDeliveries(naming: digest, condition, act: act)
        return try tx.database.places(of: digest)
      }
      return ContentFinding(
        sha256: digest, size: row["size"], condition: condition, isStored: false, places: places)
    }
  }

  // MARK: Putting back

  /// Takes in content that documents lack and whose file a person has put back into `blobs/`.
  package func adoptContent(at time: Timestamp) throws -> [SHA256Digest] {
    var act: Int64?
    return try adoptContent(at: time, by: .daemon, act: &act)
  }

  package func adoptContent(at time: Timestamp, by actor: Actor, act: inout Int64?) throws
    -> [SHA256Digest]
  {
    try lostContent().filter { files.glance($0.sha256, size: $0.size) == .intact }.compactMap {
      lost in
      try files.keeping {
        guard files.condition(lost.sha256, size: lost.size) == .intact else { return nil }
        try write(as: actor, at: time) { tx in
          act = try act ?? tx.act(.repair, about: .content(lost.sha256))
          try tx.insert(
            .file(lost.sha256, size: lost.size), from: nil, act: act)
        }
        return lost.sha256
      }
    }
  }

  /// Takes in a person's file when it is content that is damaged or missing here. Nil when it is
  /// not.
  package func repairContent(from path: String, at time: Timestamp, by actor: Actor) throws
    -> ContentFinding?
  {
    var act: Int64?
    return try repairContent(from: path, at: time, by: actor, act: &act)
  }

  package func repairContent(
    from path: String, at time: Timestamp, by actor: Actor, act: inout Int64?
  ) throws -> ContentFinding? {
    guard let file = files.identity(ofFile: path), file.size > 0 else { return nil }
    // Damaged without anybody knowing: comparing this one content with its digest is cheap.
    let damaged = try setAside(file.sha256, at: time, by: actor, act: &act)
    guard let lost = try damaged ?? lostContent(file.sha256).first else {
      return nil
    }
    return try files.keeping {
      let content = try files.ingest(path: path, maximum: .max) { _ in }
      guard content.sha256 == lost.sha256 else { return nil }
      try write(as: actor, at: time) { tx in
        act = try act ?? tx.act(.repair, about: .content(lost.sha256))
        try tx.insert(content, from: nil, act: act)
      }
      return lost
    }
  }

  /// The bytes of a piece of our own document. Throws `.contentDamaged` rather than give out bytes
  /// without their digest, and sets such a content aside.
  ///
  /// A content of one piece is hashed every time. A longer file was hashed when it was taken in and
  /// is hashed again when that is a day ago, or when a receiver said that it was altered.
  package func pieceToSend(_ piece: PieceAddress, at time: Timestamp) throws -> Data {
    let body: Data
    if piece.length == piece.size {
      body = try content(piece.sha256, offset: 0, count: Int(piece.length))
    } else {
      try expectIntact(piece, at: time)
      body = try content(piece.sha256, offset: piece.offset, count: Int(piece.length))
    }
    if body.count != piece.length
      || (piece.length == piece.size && files.hashing.sha256(body) != piece.sha256)
    {
      throw try damaged(piece.sha256, at: time)
    }
    return body
  }

  private func expectIntact(_ piece: PieceAddress, at time: Timestamp) throws {
    let row = try read { database in
      try database.one("SELECT checkedAt FROM blob WHERE sha256 = ?", [piece.sha256.bytes])
    }
    // Without a row, reading says what is wrong.
    guard let row else { return }
    let checked = row.optionalTime("checkedAt") ?? Timestamp(microseconds: 0)
    guard checked > time || checked.advanced(by: trustedFor) < time else { return }
    switch files.condition(piece.sha256, size: piece.size) {
    case .intact: try markChecked([piece.sha256], at: time)
    case .wrongSize, .altered: throw try damaged(piece.sha256, at: time)
    // Not concluded from one file: the whole folder may be missing for a while.
    case .missing: throw StoreError(.contentMissing, "content \(piece.sha256): is missing")
    case .unreadable(let reason):
      throw StoreError(.fileSystem, "content \(piece.sha256): \(reason)")
    case .denied(let reason):
      throw StoreError(.denied, "content \(piece.sha256): \(reason)")
    }
  }

  private func damaged(_ digest: SHA256Digest, at time: Timestamp) throws -> StoreError {
    let finding = try setAside(digest, at: time, by: .daemon)
    return StoreError(
      .contentDamaged, "content \(digest): \((finding?.condition ?? .altered).text)")
  }
}

extension Database {
  func isNamed(_ digest: SHA256Digest) throws -> Bool {
    try one("SELECT 1 FROM attachment WHERE sha256 = ? LIMIT 1", [digest.bytes]) != nil
  }

  fileprivate func places(of digest: SHA256Digest) throws -> [ContentFinding.Place] {
    try all(
      """
      SELECT document.id, direction, document.sender, a.name FROM attachment a
      JOIN document ON document.key = a.document WHERE a.sha256 = ? ORDER BY a.document
      """, [digest.bytes]
    ).map { row in
      ContentFinding.Place(
        document: try row.recordID("id"), direction: row["direction"],
        sender: try row.unit("sender"), name: row["name"])
    }
  }
}

extension WriteTransaction {

  /// A remark in the history of every document that needs the content: no state changes.
  func note(
    _ digest: SHA256Digest, cause: String, detail: String?,
    act: Int64? = nil
  ) throws {
    try run(
      """
      INSERT INTO history (at, subject, subjectKey, document, fromState, toState, actor, cause,
        detail, act)
      SELECT ?1, 'received', r.key, a.document, r.state, r.state, ?2, ?3,
        '“' || a.name || '”' || coalesce(' ' || ?4, ''), ?6
      FROM attachment a JOIN received r ON r.document = a.document
      WHERE a.sha256 = ?5 AND r.state = 'accepted'
      UNION ALL
      SELECT ?1, 'delivery', d.key, a.document, d.state, d.state, ?2, ?3,
        '“' || a.name || '”' || coalesce(' ' || ?4, ''), ?6
      FROM attachment a JOIN document ON document.key = a.document AND direction = 'outgoing'
        JOIN delivery d ON d.key = (SELECT min(key) FROM delivery WHERE document = a.document)
      WHERE a.sha256 = ?5
      """, [time.microseconds, actor.name, cause, detail, digest.bytes, act])
  }

  /// A receiver said that the content came altered: it may be so here, and is compared with its
  /// digest before it goes out again.
  func distrustContent(ofDocument key: Int64) throws {
    try run(
      """
      UPDATE blob SET checkedAt = 0 WHERE content IS NULL
        AND sha256 IN (SELECT sha256 FROM attachment WHERE document = ?)
      """, [key])
  }

  fileprivate func suspendDeliveries(
    naming digest: SHA256Digest, _ condition: ContentState, act: Int64?
  ) throws {
    let rows = try all(
      """
      SELECT d.key, d.document, d.state, a.name FROM attachment a
      JOIN document ON document.key = a.document AND direction = 'outgoing'
      JOIN delivery d ON d.document = a.document AND d.state IN ('queued', 'retrying')
      WHERE a.sha256 = ?
      """, [digest.bytes])
    for row in rows {
      let name: String = row["name"]
      let text = "“\(name)” \(condition.text)"
      try move(
        delivery: row["key"], to: .suspended,
        setting: "nextAt = NULL, lastError = ?, lastErrorText = ?",
        [condition.code.rawValue, text], act: act, cause: condition.code.rawValue, detail: text)
    }
  }
}

extension ContentLedger {
  /// Bytes of a stored content.
  package func content(_ digest: SHA256Digest, offset: Int64, count: Int) throws -> Data {
    let inline: Data?? = try read { database in
      try database.one("SELECT content FROM blob WHERE sha256 = ?", [digest.bytes])
        .map { $0["content"] as Data? }
    }
    guard let stored = inline else {
      throw StoreError(.contentMissing, "content \(digest): is not in the database")
    }
    guard let bytes = stored else { return try files.read(digest, offset: offset, count: count) }
    guard offset <= bytes.count else { return Data() }
    return bytes.dropFirst(Int(offset)).prefix(count)
  }
}
