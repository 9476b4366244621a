package import ExchangeCore
import Foundation
package import GRDB

#if canImport(Glibc)
  import Glibc
#endif

/// The node's truth: one SQLite file with WAL and `synchronous=FULL`.
///
/// The daemon and the CLI open the same file at the same time. All calls block; the daemon makes them
/// on its own threads.
package final class DatabaseFile: Sendable {
  package static let name = "congvan.db"

  package let pool: DatabasePool

  /// Opens the database in `folder`, which `create` makes when it is missing.
  ///
  /// Refuses to open when fsync is not guaranteed: GRDB sets `synchronous=NORMAL` itself while it
  /// opens a WAL database, so FULL is set afterwards and read back.
  package init(folder: String, migrations: [Migration], create: Bool = false) throws {
    let path = "\(folder)/\(Self.name)"
    if !create, let problem = PathProblem.readingFile(path) { throw Self.unopened(problem, folder) }
    var configuration = Configuration()
    configuration.busyMode = .callback(Self.waitForTurn)
    configuration.maximumReaderCount = 4
    configuration.foreignKeysEnabled = true
    do {
      pool = try Self.open(path, configuration)
      try pool.writeWithoutTransaction { database in
        try database.execute(sql: "PRAGMA synchronous = FULL")
        // What Điều 5 forbids to keep is overwritten, not only unlinked.
        try database.execute(sql: "PRAGMA secure_delete = ON")
        // 32 MiB: a burst's WAL is truncated again instead of staying for ever.
        try database.execute(sql: "PRAGMA journal_size_limit = 33554432")
        guard try Int.fetchOne(database, sql: "PRAGMA synchronous") == 2,
          try String.fetchOne(database, sql: "PRAGMA journal_mode") == "wal"
        else {
          throw StoreError(.notDurable, "database: synchronous=FULL with WAL is not in force")
        }
      }
    } catch let error as DatabaseError {
      let failure = StoreError(error)
      // SQLite only says that it cannot open the file: it needs one for shared memory beside it.
      let kind = FileIO.isReadOnly(folder) ? .readOnly : failure.kind
      if kind != .readOnly || failure.kind == .readOnly, let denied = Self.denied(path) {
        throw denied
      }
      throw StoreError(kind, "\(path): \(failure.reason)")
    }
    try migrate(migrations)
  }

  /// Another process writes. SQLite's own waiting sleeps up to 100 ms between two looks, and a daemon
  /// under a flood leaves the file free for far shorter: a person's command would wait for seconds.
  /// Gives up after some 30 s.
  private static let waitForTurn: @Sendable (Int) -> Bool = { looks in
    usleep(2_000)
    return looks < 14_000
  }

  /// Why there is no database to open.
  private static func unopened(_ problem: PathProblem, _ folder: String) -> StoreError {
    switch problem.kind {
    case .denied: StoreError(.denied, problem.reason, next: problem.next)
    case .missing:
      StoreError(
        .missing, "\(folder): no node folder: \(problem.reason)", next: problem.next)
    case .other: StoreError(.unusable, "database: \(problem.reason)", next: problem.next)
    }
  }

  /// The file of the database, or the folder, that this user may not write; nil when it may.
  private static func denied(_ path: String) -> StoreError? {
    let folder = (path as NSString).deletingLastPathComponent
    for name in [path, "\(path)-wal", "\(path)-shm", folder.isEmpty ? "." : folder] {
      guard faccessat(AT_FDCWD, name, R_OK | W_OK, AT_EACCESS) != 0, errno == EACCES else {
        continue
      }
      let problem = PathProblem(EACCES, path: name)
      return StoreError(.denied, "database: \(problem.reason)", next: problem.next)
    }
    return nil
  }

  /// Waits while another process opens the same file. A backup (`VACUUM INTO`) is not in WAL mode yet,
  /// and SQLite does not wait by itself for the right to change the mode.
  private static func open(_ path: String, _ configuration: Configuration) throws -> DatabasePool {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do {
        return try DatabasePool(path: path, configuration: configuration)
      } catch let error as DatabaseError
        where error.resultCode == .SQLITE_BUSY && ContinuousClock.now < deadline
      {
        usleep(20_000)
      }
    }
  }

  private func migrate(_ migrations: [Migration]) throws {
    let migrator = DatabaseMigrator(migrations)
    do {
      let isNewer = try pool.read { try migrator.hasBeenSuperseded($0) }
      guard !isNewer else {
        throw StoreError(.newer, "database: was written by a newer version of congvan")
      }
      // Asked first, because a migrator takes the write lock even when there is nothing to do.
      if try !pool.read({ try migrator.hasCompletedMigrations($0) }) { try migrator.migrate(pool) }
    } catch let error as DatabaseError {
      throw StoreError(error)
    }
  }

  // MARK: Access

  /// One transaction of `actor` at `time`; it is committed with an fsync when this returns. `around`:
  /// crash points just before and after the commit. Throws `StoreError`, or what `body` throws.
  package func write<Value>(
    as actor: Actor, at time: Timestamp,
    around: (before: CrashPoint, after: CrashPoint)? = nil,
    _ body: (borrowing WriteTransaction) throws -> Value
  ) throws -> Value {
    do {
      let value = try pool.write { database in
        let value = try body(WriteTransaction(database, as: actor, at: time))
        around?.before.pass()
        return value
      }
      around?.after.pass()
      return value
    } catch let error as DatabaseError {
      throw StoreError(error)
    }
  }

  /// One consistent view. Throws as `write`.
  package func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
    do { return try pool.read(body) } catch let error as DatabaseError { throw StoreError(error) }
  }

  /// `PRAGMA quick_check`; throws `.corrupt` with the first finding.
  package func check() throws {
    let finding = try read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
    guard finding == "ok" else {
      throw StoreError(.corrupt, "database: \(finding ?? "quick_check failed")")
    }
  }

  /// The schema as SQL, for schemas/store.sql.
  package func schemaDump() throws -> String {
    let statements = try read {
      try String.fetchAll(
        $0,
        sql: """
          SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'grdb_%'
          ORDER BY rowid
          """)
    }
    return statements.map { $0 + ";\n" }.joined(separator: "\n")
  }

  /// Moves finished WAL content into the database and shortens the WAL when nobody reads. While another
  /// process does that, there is nothing to do. Throws as `write`.
  package func checkpoint() throws {
    do {
      try pool.writeWithoutTransaction { _ = try $0.checkpoint(.passive) }
    } catch let error as DatabaseError where error.resultCode != .SQLITE_BUSY {
      throw StoreError(error)
    } catch is DatabaseError {
      return
    }
  }
}
