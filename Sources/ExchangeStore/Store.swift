package import ExchangeCore
import Foundation
import GRDB
package import NodeDatabase
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The exchange's tables, and the content beside them. Its ledgers (`Ledgers.swift`) offer named
/// transactions, each of which keeps every rule of the exchange. SQL about those tables is nowhere else.
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

  /// Stores a fact about the node itself: its unit, its signer.
  package func setNodeValue(_ value: String, for key: String, at time: Timestamp) throws {
    try file.write(as: .daemon, at: time) { tx in
      try tx.run(
        "INSERT INTO node (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = ?2",
        [key, value])
    }
  }

  /// The unit whose database this is: as `init` wrote it down, or as its outgoing documents say; nil
  /// when nothing tells.
  package func unit() throws -> UnitID? {
    let row = try file.read { database in
      try database.one("SELECT value FROM node WHERE key = 'unit'")
        ?? database.one(
          "SELECT sender AS value FROM document WHERE direction = 'outgoing' ORDER BY key DESC LIMIT 1"
        )
    }
    return (row?["value"] as String?).flatMap { UnitID($0) }
  }
}
