package import ExchangeCore
package import GRDB

/// An open write transaction: the database, who writes, and when. Only `DatabaseFile.write` makes one,
/// so nobody writes anonymously, and it cannot outlive its transaction. Each store adds its verbs in
/// extensions.
///
/// Do not name it in a local function inside the closure of `write`: swift 6.3 crashes on that. A
/// method of this type and a closure are fine.
package struct WriteTransaction: ~Copyable {
  package let database: Database
  package let actor: Actor
  package let time: Timestamp

  init(_ database: Database, as actor: Actor, at time: Timestamp) {
    self.database = database
    self.actor = actor
    self.time = time
  }

  /// Runs a cached statement.
  package func run(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws {
    try database.run(sql, arguments)
  }

  package func one(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws
    -> Row?
  {
    try database.one(sql, arguments)
  }

  package func all(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws
    -> [Row]
  {
    try database.all(sql, arguments)
  }

  /// The number of rows that the last statement changed, without those of triggers.
  package var changesCount: Int { database.changesCount }
  package var lastInsertedRowID: Int64 { database.lastInsertedRowID }
}
