package import ExchangeCore
package import Foundation
import GRDB

/// A message that is not a piece, exactly as it came.
package struct ReceivedMessage: Sendable {
  /// The broker-asserted sender, or `unassertedSender`.
  package let sender: String
  package let messageID: String
  package let bodyDigest: SHA256Digest
  package let type: String
  package let version: Int64?
  package let lane: Lane
  package let body: Data?
  package let size: Int64
  /// Set when it needs no judge: what is wrong can be seen from outside (no sender, too long).
  package let fault: (outcome: OutcomeCode, detail: String)?

  package static let unassertedSender = "?"

  package init(
    sender: String, messageID: String, bodyDigest: SHA256Digest, type: String, version: Int64?,
    lane: Lane, body: Data?, size: Int64, fault: (outcome: OutcomeCode, detail: String)?
  ) {
    self.sender = sender
    self.messageID = messageID
    self.bodyDigest = bodyDigest
    self.type = type
    self.version = version
    self.lane = lane
    self.body = body
    self.size = size
    self.fault = fault
  }
}

/// A piece of an attachment.
package enum ReceivedPiece: Sendable {
  /// A whole attachment in one piece, with the right digest.
  case whole(StoredContent, from: UnitID)
  /// One of several, with its bytes.
  case part(sender: UnitID, address: PieceAddress, body: Data)
  /// A whole attachment in one piece that does not have its digest.
  case spoiled(sender: UnitID, sha256: SHA256Digest)
}

extension Store {
  /// True when the content is here already: its pieces need not be stored again.
  package func has(_ digest: SHA256Digest) throws -> Bool {
    try read { try $0.hasBlob(digest) }
  }

  /// True when a document of the sender names the piece's content, when its transfer is under way, or
  /// when what the sender has here without a name leaves room for more. Each content counts as 64 KiB
  /// at least, so that many tiny ones are bounded too.
  package func hasRoom(for piece: PieceAddress, from sender: UnitID, limit: Int64) throws -> Bool {
    try read { database in
      let held = try database.one(
        """
        SELECT coalesce(sum(max(size, 65536)), 0)
          + (SELECT coalesce(sum(max(size, 65536)), 0) FROM blob
            WHERE sender = ?4 AND isUnnamed = 1) <= ?1
          OR coalesce(max(sha256 = ?2 AND size = ?3), 0) OR EXISTS (SELECT 1 FROM attachment a
            JOIN document ON document.key = a.document
            WHERE a.sha256 = ?2 AND a.size = ?3 AND document.sender = ?4) AS fits
        FROM transfer WHERE sender = ?4
        """, [limit, piece.sha256.bytes, piece.size, sender.rawValue])
      return held?["fits"] ?? true
    }
  }

  /// Stores a batch in one transaction. Nothing of it has been judged; the broker is told only
  /// after this returned.
  ///
  /// A message that is known by (sender, message id, digest) is counted. What happens then depends
  /// on how the first copy ended: accepted as a document → its stored statuses are sent again;
  /// quarantined, a status, or a second copy of a document → it is judged anew; otherwise nothing.
  package func store(
    messages: [ReceivedMessage], pieces: [ReceivedPiece], at time: Timestamp
  ) throws {
    let parts = pieces.contains { if case .part = $0 { true } else { false } }
    if parts { spoolLock.lock() }
    defer { if parts { spoolLock.unlock() } }
    if parts { try spool(pieces) }
    try write((.intakeBeforeCommit, .intakeAfterCommit)) { database in
      for piece in pieces { try database.store(piece, at: time) }
      for message in messages { try database.store(message, at: time) }
    }
  }

  /// Writes the bytes of pieces that are not recorded yet into their spool files and syncs each file
  /// once, before the rows that say so.
  private func spool(_ pieces: [ReceivedPiece]) throws {
    var parts: [ContentFiles.SpoolName: [Int64: Data]] = [:]
    try read { database in
      for case .part(let sender, let address, let body) in pieces {
        let isRecorded = try database.one(
          """
          SELECT 1 WHERE EXISTS (SELECT 1 FROM blob WHERE sha256 = ?1) OR EXISTS (
            SELECT 1 FROM piece JOIN transfer ON transfer.key = piece.transfer
            WHERE sha256 = ?1 AND sender = ? AND size = ? AND position = ?)
          """,
          [
            address.sha256.bytes, sender.rawValue, address.size,
            address.offset / WireLimits.pieceBytes,
          ])
        guard isRecorded == nil else { continue }
        let name = files.spoolName(sender: sender, sha256: address.sha256, size: address.size)
        // Of two copies in one batch the first counts, as it would in two batches.
        if parts[name]?[address.offset] == nil { parts[name, default: [:]][address.offset] = body }
      }
    }
    for (name, bodies) in parts {
      try files.spool(bodies.map { (offset: $0.key, body: $0.value) }, transfer: name)
    }
  }

  /// Transfers of which every piece is in the spool.
  package func completeTransfers() throws -> [Transfer] {
    try read { database in
      try database.all(
        "SELECT * FROM transfer WHERE pieces * ?1 >= size ORDER BY key", [WireLimits.pieceBytes]
      ).map(Transfer.init)
    }
  }

  /// Forgets a transfer whose spool file is gone or cannot be read any more: its pieces have to come
  /// again, which the tally asks for. Nothing is said about who sent it.
  package func lose(_ transfer: Transfer) throws {
    try files.removing {
      let wasHere = try write { try $0.remove(transfer) }
      guard wasHere else { return }
      files.remove(
        files.spoolName(sender: transfer.sender, sha256: transfer.sha256, size: transfer.size))
    }
  }

  /// Forgets transfers whose spool files are not there, as after a restore: `spool/` is in no backup.
  func loseTransfersWithoutBytes() throws {
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
    for transfer in lost { try lose(transfer) }
  }

  /// Ends a transfer: its blob is on disk, or (`isIntact` false) its content was not what its
  /// digest said, and every piece has to come again.
  package func finish(_ transfer: Transfer, isIntact: Bool, at time: Timestamp) throws {
    spoolLock.lock()
    defer { spoolLock.unlock() }
    let others = try write((.assembleBeforeCommit, .assembleAfterCommit)) { database in
      let wasHere = try database.remove(transfer)
      guard isIntact else {
        // Removed meanwhile (Điều 5, never named): then its bytes were not looked at.
        if wasHere { try database.spoil(transfer.sender, transfer.sha256, at: time) }
        return [Transfer]()
      }
      try database.insert(
        .file(transfer.sha256, size: transfer.size), from: transfer.sender, at: time)
      try database.run("DELETE FROM spoiled WHERE sha256 = ?", [transfer.sha256.bytes])
      // The content is here: nobody else's pieces of it are awaited any more.
      return try database.all(
        "DELETE FROM transfer WHERE sha256 = ? RETURNING *", [transfer.sha256.bytes]
      ).map(Transfer.init)
    }
    for other in others {
      files.remove(files.spoolName(sender: other.sender, sha256: other.sha256, size: other.size))
    }
  }
}

/// An attachment longer than one piece on its way in.
package struct Transfer: Sendable {
  package let key: Int64
  package let sender: UnitID
  package let sha256: SHA256Digest
  package let size: Int64

  init(_ row: Row) throws {
    key = row["key"]
    sender = try row.unit("sender")
    sha256 = try row.digest("sha256")
    size = row["size"]
  }
}

extension Database {
  /// False when it is gone. The key alone may be another transfer's by now.
  fileprivate func remove(_ transfer: Transfer) throws -> Bool {
    try run(
      "DELETE FROM transfer WHERE key = ? AND sender = ? AND sha256 = ? AND size = ?",
      [transfer.key, transfer.sender.rawValue, transfer.sha256.bytes, transfer.size])
    return changesCount == 1
  }

  fileprivate func store(_ piece: ReceivedPiece, at time: Timestamp) throws {
    switch piece {
    case .whole(let content, let sender): try insert(content, from: sender, at: time)
    case .spoiled(let sender, let sha256): try spoil(sender, sha256, at: time)
    case .part(let sender, let address, _):
      guard try !hasBlob(address.sha256) else { return }
      try run(
        """
        INSERT INTO transfer (sender, sha256, size, createdAt) VALUES (?, ?, ?, ?)
        ON CONFLICT DO NOTHING
        """, [sender.rawValue, address.sha256.bytes, address.size, time.microseconds])
      try run(
        """
        INSERT INTO piece (transfer, position)
        SELECT key, ? FROM transfer WHERE sender = ? AND sha256 = ? AND size = ?
        ON CONFLICT DO NOTHING
        """,
        [
          address.offset / WireLimits.pieceBytes, sender.rawValue, address.sha256.bytes,
          address.size,
        ])
    }
  }

  fileprivate func spoil(_ sender: UnitID, _ digest: SHA256Digest, at time: Timestamp) throws {
    try run(
      "INSERT INTO spoiled (sender, sha256, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      [sender.rawValue, digest.bytes, time.microseconds])
  }

  fileprivate func store(_ message: ReceivedMessage, at time: Timestamp) throws {
    let state = message.fault == nil ? "received" : "quarantined"
    let inserted = try one(
      """
      INSERT INTO received (sender, messageID, bodySha256, type, version, lane, body, size, state,
        outcome, detail, receivedAt, updatedAt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?12)
      ON CONFLICT DO NOTHING RETURNING key
      """,
      [
        message.sender, message.messageID, message.bodyDigest.bytes, message.type,
        message.version, message.lane.rawValue, message.body, message.size, state,
        message.fault?.outcome.rawValue,
        message.fault?.detail, time.microseconds,
      ])
    if let inserted {
      try record(
        "received", inserted["key"], document: nil, from: nil, to: state, at: time, by: .daemon,
        cause: message.fault?.outcome.rawValue ?? "arrived", detail: message.fault?.detail)
      return
    }
    guard
      let known = try one(
        """
        UPDATE received SET duplicates = duplicates + 1
        WHERE sender = ? AND messageID = ? AND bodySha256 = ? RETURNING key, state, document
        """, [message.sender, message.messageID, message.bodyDigest.bytes])
    else { return }
    let key: Int64 = known["key"]
    let before = try known.incomingState("state")
    switch before {
    case .accepted where known["document"] != nil:
      try requeueStatuses(ofReceived: key, at: time)
    case .accepted, .quarantined:
      guard message.fault == nil else { return }
      try judgeAnew(
        key, from: before, document: known["document"], body: message.body,
        header: before == .quarantined ? (message.type, message.version) : nil, at: time)
    case .received, .verified, .incomplete, .discarded: break
    }
  }
}
