package import ExchangeCore
package import Foundation
import GRDB
import NodeDatabase
import Synchronization

/// A message that is not a piece, exactly as it came.
package struct ReceivedMessage: Sendable {
  /// The broker-asserted sender, or `unassertedSender`.
  package let sender: String
  package let messageID: String
  package let correlationID: String?
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
    sender: String, messageID: String, correlationID: String? = nil, bodyDigest: SHA256Digest,
    type: String, version: Int64?, lane: Lane, body: Data?, size: Int64,
    fault: (outcome: OutcomeCode, detail: String)?
  ) {
    self.sender = sender
    self.messageID = messageID
    self.correlationID = correlationID
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
  /// A whole attachment in one piece, with the right digest, that is here from another unit.
  case known(SHA256Digest, size: Int64, from: UnitID)
  /// A whole attachment in one piece that does not have its digest.
  case spoiled(sender: UnitID, sha256: SHA256Digest)
}

extension IntakeLedger {
  /// True when the content is here, whoever brought it.
  package func has(_ digest: SHA256Digest) throws -> Bool { try read { try $0.hasBlob(digest) } }

  /// True when the content is here and `sender` brought it: its pieces need not be stored again.
  package func has(_ digest: SHA256Digest, from sender: UnitID) throws -> Bool {
    try read { try $0.hasContent(digest, from: sender) }
  }

  /// True when the sender declared secrecy for a document with this content (Điều 5): its pieces are
  /// not taken in, whatever the order in which they come.
  package func isSecret(_ digest: SHA256Digest, from sender: UnitID) throws -> Bool {
    try read { try $0.isSecret(digest, from: sender) }
  }

  /// True when a document of the sender names the piece's content, when its transfer is under way, or
  /// when what the sender has here without a name leaves room for more. Each content counts as 64 KiB
  /// at least, so that many tiny ones are bounded too.
  package func hasRoom(for piece: PieceAddress, from sender: UnitID, limit: Int64) throws -> Bool {
    try read { database in
      let held = try database.holding(of: sender.rawValue, .unnamed)
      guard held.bytes > limit else { return true }
      return try database.hasTransfer(piece.sha256, from: sender, size: piece.size)
        || database.one(
          """
          SELECT 1 FROM attachment a JOIN document ON document.key = a.document
          WHERE a.sha256 = ? AND a.size = ? AND document.sender = ?
          """, [piece.sha256.bytes, piece.size, sender.rawValue]) != nil
    }
  }

  /// Stores a batch in one transaction. Nothing of it has been judged; the broker is told only
  /// after this returned.
  ///
  /// A message that is known by (sender, message id, digest) is counted. What happens then depends
  /// on how the first copy ended: accepted as a document → its stored statuses are sent again;
  /// quarantined or a status → it is judged anew; otherwise nothing. What a sender has here beyond
  /// `quota` is counted and not kept.
  package func store(
    messages: [ReceivedMessage], pieces: [ReceivedPiece], quota: PeerQuota = PeerQuota(),
    at time: Timestamp
  ) throws {
    let parts = pieces.contains { if case .part = $0 { true } else { false } }
    if parts { store.spoolLock.lock() }
    defer { if parts { store.spoolLock.unlock() } }
    if parts { try spool(pieces) }
    let unwanted = try write(
      as: .daemon, at: time, around: (.intakeBeforeCommit, .intakeAfterCommit)
    ) { tx in
      let unwanted = try pieces.compactMap { try tx.store($0) }
      for message in messages { try tx.store(message, quota: quota) }
      return unwanted
    }
    if !unwanted.isEmpty { store.discarded.withLock { $0 += unwanted } }
  }

  /// Writes the bytes of pieces that are not recorded yet into their spool files and syncs each file
  /// once, before the rows that say so.
  private func spool(_ pieces: [ReceivedPiece]) throws {
    var parts: [ContentFiles.SpoolName: [Int64: Data]] = [:]
    try read { database in
      for case .part(let sender, let address, let body) in pieces {
        let isRecorded = try database.one(
          """
          SELECT 1 WHERE EXISTS (SELECT 1 FROM blob JOIN contentSource c USING (sha256)
            WHERE sha256 = ?1 AND c.sender = ?2) OR EXISTS (
            SELECT 1 FROM piece JOIN transfer ON transfer.key = piece.transfer
            WHERE sha256 = ?1 AND sender = ?2 AND size = ?3 AND position = ?4)
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

extension WriteTransaction {

  /// Returns the content whose bytes have to go, because they must not stay (Điều 5).
  fileprivate func store(_ piece: ReceivedPiece) throws -> DiscardedContent? {
    switch piece {
    case .whole(let content, let sender):
      guard try !database.isSecret(content.sha256, from: sender) else {
        return DiscardedContent(digest: content.sha256, sender: sender, spooled: nil)
      }
      try insert(content, from: sender)
    case .known(let digest, let size, let sender):
      guard try database.hasBlob(digest), try !database.isSecret(digest, from: sender) else {
        return nil
      }
      try insertSource(sender, digest, size: size)
    case .spoiled(let sender, let sha256): try spoil(sender, sha256)
    case .part(let sender, let address, _):
      guard try !database.hasContent(address.sha256, from: sender) else { return nil }
      guard try !database.isSecret(address.sha256, from: sender) else {
        return DiscardedContent(digest: address.sha256, sender: sender, spooled: address.size)
      }
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
    return nil
  }

  func spoil(_ sender: UnitID, _ digest: SHA256Digest) throws {
    try run(
      "INSERT INTO spoiled (sender, sha256, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      [sender.rawValue, digest.bytes, time.microseconds])
  }

  fileprivate func store(_ message: ReceivedMessage, quota: PeerQuota) throws {
    if let known = try count(message) {
      return try storeAgain(message, known: known, quota: quota)
    }
    if let fault = message.fault {
      let held = try database.holding(of: message.sender, .quarantined)
      guard held.items < quota.quarantineItems else {
        return try countDropped(message.sender, fault.outcome.rawValue)
      }
    } else {
      let held = try database.holding(of: message.sender, .unjudged)
      guard held.items < quota.backlogItems, held.bytes + message.size <= quota.backlogBytes else {
        return try countDropped(message.sender, "BACKLOG")
      }
    }
    let state = message.fault == nil ? "received" : "quarantined"
    try run(
      """
      INSERT INTO received (sender, messageID, bodySha256, type, version, lane, hasBody, size, state,
        outcome, detail, receivedAt, updatedAt, correlationID)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?12, ?)
      """,
      [
        message.sender, message.messageID, message.bodyDigest.bytes, message.type,
        message.version, message.lane.rawValue, message.body != nil, message.size, state,
        message.fault?.outcome.rawValue,
        message.fault?.detail, time.microseconds, message.correlationID,
      ])
    let key = lastInsertedRowID
    if let body = message.body { try keep(body, ofReceived: key) }
    guard let fault = message.fault else { return }
    try record(
      "received", key, document: nil, from: nil, to: state,
      cause: fault.outcome.rawValue, detail: fault.detail)
  }

  /// Counts a copy of a message that is here; nil when it is not.
  private func count(_ message: ReceivedMessage) throws -> Row? {
    try one(
      """
      UPDATE received SET duplicates = duplicates + 1
      WHERE sender = ? AND messageID = ? AND bodySha256 = ? RETURNING key, state, document
      """, [message.sender, message.messageID, message.bodyDigest.bytes])
  }

  private func storeAgain(
    _ message: ReceivedMessage, known: Row, quota: PeerQuota
  ) throws {
    let key: Int64 = known["key"]
    let before = try known.incomingState("state")
    switch before {
    case .accepted where known["document"] != nil:
      try requeueStatuses(ofReceived: key)
    case .accepted, .quarantined:
      guard message.fault == nil else { return }
      let held = try database.holding(of: message.sender, .unjudged)
      guard held.items < quota.backlogItems, held.bytes + message.size <= quota.backlogBytes else {
        return try countDropped(message.sender, "BACKLOG")
      }
      try reviewAnew(
        key, from: before, document: known["document"], body: message.body,
        header: before == .quarantined ? (message.type, message.version) : nil)
    case .received, .verified, .incomplete, .discarded: break
    }
  }
}
