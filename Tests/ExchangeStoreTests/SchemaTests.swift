import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import GRDB
import NodeDatabase
import Testing

@testable import ExchangeStore

/// The file on disk: its schema, its durability, and what is said when it cannot be used.
@Suite struct SchemaTests {
  /// To refresh the file after a migration: CONGVAN_WRITE_SCHEMA=1 swift test --filter SchemaTests
  @Test func dumpIsUpToDate() throws {
    let dump = """
      -- The database of a congvan node, as its migrations make it. Not part of the wire.
      -- Written by: CONGVAN_WRITE_SCHEMA=1 swift test --filter SchemaTests


      """ + (try TestStore().store.file.schemaDump())
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../schemas/store.sql").standardized
    if ProcessInfo.processInfo.environment["CONGVAN_WRITE_SCHEMA"] == "1" {
      try Data(dump.utf8).write(to: file)
    }
    let written = try? String(contentsOf: file, encoding: .utf8)
    #expect(
      written == dump,
      "schemas/store.sql: refresh it with CONGVAN_WRITE_SCHEMA=1 swift test --filter SchemaTests")
  }

  @Test func commitsAreDurable() throws {
    let store = try TestStore().store
    let (synchronous, journal, foreignKeys) = try store.file.pool.writeWithoutTransaction {
      (
        try Int.fetchOne($0, sql: "PRAGMA synchronous"),
        try String.fetchOne($0, sql: "PRAGMA journal_mode"),
        try Int.fetchOne($0, sql: "PRAGMA foreign_keys")
      )
    }
    #expect(synchronous == 2)
    #expect(journal == "wal")
    #expect(foreignKeys == 1)
  }

  @Test func openingAgainChangesNothing() throws {
    let test = try TestStore()
    try test.issue()
    let again = try test.reopened()
    #expect(try again.file.schemaDump() == test.store.file.schemaDump())
    #expect(try again.reader.deliveries(DeliveryFilter()).count == 1)
    try again.file.check()
  }

  /// What an earlier version wrote is still there, and gets what the later columns need.
  @Test func anOlderDatabaseIsUpgraded() throws {
    let folder = try TemporaryFolder()
    let old = try DatabaseFile(
      folder: folder.url.path, migrations: [ExchangeMigrations.all[0]], create: true)
    try old.pool.write { database in
      try database.execute(
        sql: """
          INSERT INTO blob (sha256, size, sender, createdAt) VALUES
            (zeroblob(32), 1, NULL, 7), (x'\(String(repeating: "01", count: 32))', 2, 'CDCS.BETA', 7),
            (x'\(String(repeating: "02", count: 32))', 3, 'CDCS.BETA', 7);
          INSERT INTO document (direction, id, sender, manifestSha256, signed, codeNumber,
              codeSeparator, codeNotation, issuedDate, typeName, subject, urgency, createdAt)
            VALUES ('incoming', '019a0000-0000-7000-8000-000000000001', 'CDCS.BETA', zeroblob(32),
              x'00', '1', '/', 'CV', '2026-11-20', 'Công văn', 'Cũ', 0, 7);
          INSERT INTO attachment VALUES
            (1, 0, 'a.pdf', 'application/pdf', 2, x'\(String(repeating: "01", count: 32))');
          """)
    }
    try old.pool.close()

    let store = try Store(folder: folder.url.path, hashing: OpenSSLHashing())
    try store.file.check()
    #expect(try store.file.schemaDump() == TestStore().store.file.schemaDump())
    let unnamed = try store.file.pool.read {
      try Int.fetchAll($0, sql: "SELECT size FROM blob WHERE isUnnamed = 1")
    }
    #expect(unnamed == [3], "content of this unit, and content that a document names, has a name")
    #expect(try store.reader.documents(idPrefix: "019a0000").map(\.summary.subject) == ["Cũ"])
  }

  /// A command of another process checkpoints while the node ends, and waits for a reader meanwhile.
  @Test func aCheckpointOfAnotherProcessIsNoTrouble() throws {
    let test = try TestStore()
    try test.issue()
    let reader = try DatabaseQueue(path: test.databasePath)
    let isWaiting = DispatchSemaphore(value: 0)
    let isOver = DispatchSemaphore(value: 0)
    let mayEnd = Watched(false)
    var configuration = Configuration()
    configuration.busyMode = .callback { _ in
      isWaiting.signal()
      usleep(1000)
      return !mayEnd.value
    }
    let other = try DatabaseQueue(path: test.databasePath, configuration: configuration)
    try reader.read { database in
      _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM document")
      try test.issue()
      Thread {
        other.inDatabase { _ = try? $0.checkpoint(.truncate) }
        isOver.signal()
      }.start()
      isWaiting.wait()
      defer {
        mayEnd.update { $0 = true }
        isOver.wait()
      }
      try test.store.file.checkpoint()
    }
  }

  /// A backup is not in WAL mode yet. Whoever opens it wants to change that, and SQLite gives up at
  /// once when another process (a daemon and a command after a restore) is just writing to it.
  @Test func aBackupOpensWhileAnotherProcessOpensIt() throws {
    let test = try TestStore()
    try test.issue()
    let folder = try TemporaryFolder()
    try test.store.file.pool.vacuum(into: folder.path(DatabaseFile.name))
    let other = try DatabaseQueue(path: folder.path(DatabaseFile.name))
    let isHeld = DispatchSemaphore(value: 0)
    Thread {
      try? other.inTransaction(.immediate) { _ in
        isHeld.signal()
        Thread.sleep(forTimeInterval: 0.2)
        return .commit
      }
    }.start()
    isHeld.wait()
    let store = try Store(folder: folder.url.path, hashing: OpenSSLHashing())
    #expect(try store.reader.deliveries(DeliveryFilter()).count == 1)
  }

  // MARK: What cannot be used

  @Test func aMissingFolderIsMissing() throws {
    let folder = try TemporaryFolder()
    #expect(throws: StoreError(.missing, "")) {
      try Store(folder: folder.path("không có"), hashing: OpenSSLHashing())
    }
    #expect(throws: StoreError(.missing, "")) {
      try Store(folder: folder.url.path, hashing: OpenSSLHashing())
    }
  }

  @Test func aNewerDatabaseIsNotTouched() throws {
    let test = try TestStore()
    try test.sql("INSERT INTO grdb_migrations (identifier) VALUES ('002 from the future')")
    #expect(throws: StoreError(.newer, "")) { try test.reopened() }
  }

  @Test(arguments: ["this is no database, and longer than the header that one has" as String, ""])
  func anotherFileIsNoDatabase(_ content: String) throws {
    let folder = try TemporaryFolder()
    try folder.write(Data(content.utf8), as: DatabaseFile.name)
    if content.isEmpty {
      // An empty file is an empty database to SQLite: it gets its schema.
      try Store(folder: folder.url.path, hashing: OpenSSLHashing()).file.check()
    } else {
      #expect(throws: StoreError(.corrupt, "")) {
        try Store(folder: folder.url.path, hashing: OpenSSLHashing())
      }
    }
  }

  /// Pages overwritten behind the header: it may open, but the check at the daemon's start says so.
  @Test func aDamagedDatabaseIsCorrupt() throws {
    let test = try TestStore()
    for _ in 0..<50 { try test.issue() }
    let folder = try TemporaryFolder()
    try test.store.file.pool.vacuum(into: folder.path(DatabaseFile.name))
    let handle = try FileHandle(forUpdating: folder.url.appending(path: DatabaseFile.name))
    let size = try handle.seekToEnd()
    for page in stride(from: 8192, to: size, by: 8192) {
      try handle.seek(toOffset: page)
      try handle.write(contentsOf: Data(repeating: 0xAB, count: 4096))
    }
    try handle.close()
    #expect(throws: StoreError(.corrupt, "")) {
      try Store(folder: folder.url.path, hashing: OpenSSLHashing()).file.check()
    }
  }

  @Test func aFolderInPlaceOfTheFileIsUnusable() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(
      at: folder.url.appending(path: DatabaseFile.name), withIntermediateDirectories: false)
    #expect(throws: StoreError(.unusable, "")) {
      try Store(folder: folder.url.path, hashing: OpenSSLHashing())
    }
  }
}
