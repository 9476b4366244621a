import GRDB

/// One step of the schema. The number is unique in the whole product; the migrations of all stores run
/// in its order. What has landed is frozen: a later change is a new migration.
package struct Migration: Sendable {
  package let number: Int
  /// What the step is about, in one word or two.
  package let name: String
  package let sql: String

  package init(_ number: Int, _ name: String, _ sql: String) {
    self.number = number
    self.name = name
    self.sql = sql
  }

  /// As it is kept in the database: `004 mended`.
  var identifier: String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 3 - digits.count)) + "\(digits) \(name)"
  }
}

extension DatabaseMigrator {
  /// Registers migrations of several stores in the order of their numbers. Two with the same number
  /// are a programming error.
  init(_ migrations: [Migration]) {
    self.init()
    let sorted = migrations.sorted { $0.number < $1.number }
    for (first, second) in zip(sorted, sorted.dropFirst()) {
      precondition(first.number != second.number, "two migrations are number \(first.number)")
    }
    for migration in sorted {
      registerMigration(migration.identifier) { try $0.execute(sql: migration.sql) }
    }
  }
}
