import ExchangeCore
import GRDB
import NodeDatabase

/// A part of the exchange's tables for one kind of work. All ledgers of a node use the same database and
/// the same content. A ledger costs nothing to make.
protocol Ledger: Sendable {
  var store: Store { get }
}

extension Ledger {
  var files: ContentFiles { store.files }

  func write<Value>(
    as actor: Actor, at time: Timestamp,
    around: (before: CrashPoint, after: CrashPoint)? = nil,
    _ body: (borrowing WriteTransaction) throws -> Value
  ) throws -> Value {
    try store.file.write(as: actor, at: time, around: around, body)
  }

  func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
    try store.file.read(body)
  }
}

/// Deliveries, statuses and tallies on their way out, and what becomes of them.
package struct RelayLedger: Ledger { let store: Store }

/// What the broker brings, stored before anything of it is judged.
package struct IntakeLedger: Ledger { let store: Store }

/// Messages that wait for a decision, and the decisions.
package struct ReviewLedger: Ledger { let store: Store }

/// Attachments: transfers, stored content, and its health.
package struct ContentLedger: Ledger { let store: Store }

/// Lists and single records, as people see them. Changes nothing.
package struct ExchangeReader: Ledger { let store: Store }

/// All that somebody outside of this module may do to the exchange's tables.
package struct Joining: Ledger { let store: Store }

extension Store {
  package var relay: RelayLedger { RelayLedger(store: self) }
  package var intake: IntakeLedger { IntakeLedger(store: self) }
  package var review: ReviewLedger { ReviewLedger(store: self) }
  package var contents: ContentLedger { ContentLedger(store: self) }
  package var reader: ExchangeReader { ExchangeReader(store: self) }
  package var joining: Joining { Joining(store: self) }
}
