package import ExchangeCore
import Foundation
import GRDB
package import NodeDatabase
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The exchange's tables, and the content beside them. Every call is one transaction that keeps every
/// rule of the exchange; SQL about those tables is nowhere else.
package final class Store: Sendable {
  package let file: DatabaseFile
  package let files: ContentFiles
  /// Held while pieces are looked up, written and committed: a piece that is recorded is never
  /// written again, so a complete spool file cannot change while it is hashed.
  let spoolLock = NSLock()
  /// Contents whose files are still to be removed.
  let discarded = Mutex<[DiscardedContent]>([])

  /// Opens the database and the content in `folder`, which `create` makes when they are missing.
  package init(folder: String, hashing: any ContentHashing, create: Bool = false) throws {
    file = try DatabaseFile(folder: folder, migrations: ExchangeMigrations.all, create: create)
    files = try ContentFiles(folder: folder, hashing: hashing)
  }

  func write<Value>(
    as actor: Actor = .daemon, at time: Timestamp,
    around: (before: CrashPoint, after: CrashPoint)? = nil,
    _ body: (borrowing WriteTransaction) throws -> Value
  ) throws -> Value {
    try file.write(as: actor, at: time, around: around, body)
  }

  func read<Value>(_ body: (Database) throws -> Value) throws -> Value { try file.read(body) }

  /// Stores a fact about the node itself: its unit, its signer.
  package func setNodeValue(_ value: String, for key: String, at time: Timestamp) throws {
    try write(at: time) { tx in
      try tx.run(
        "INSERT INTO node (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = ?2",
        [key, value])
    }
  }

  /// The unit whose database this is: as `init` wrote it down, or as its outgoing documents say; nil
  /// when nothing tells.
  package func unit() throws -> UnitID? {
    let row = try read { database in
      try database.one("SELECT value FROM node WHERE key = 'unit'")
        ?? database.one(
          "SELECT sender AS value FROM document WHERE direction = 'outgoing' ORDER BY key DESC LIMIT 1"
        )
    }
    return (row?["value"] as String?).flatMap { UnitID($0) }
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
            || self.read { try $0.hasBlob(digest) || $0.isNamed(digest) }
        },
        knownSpool: Set(known))
      try files.sweepDamaged { digest in try self.read { try $0.hasBlob(digest) } }
    }
  }
}
