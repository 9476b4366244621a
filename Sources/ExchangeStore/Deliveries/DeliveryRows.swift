import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension WriteTransaction {
  /// The one place where a delivery changes its state: its row, and its line in the history. `columns`
  /// are further assignments in SQL with their `arguments`. Without such a delivery nothing happens.
  func move(
    delivery key: Int64, to state: OutgoingState, setting columns: String = "nextAt = NULL",
    _ arguments: StatementArguments = [], act: Int64? = nil, cause: String, detail: String? = nil
  ) throws {
    guard let before = try one("SELECT document, state FROM delivery WHERE key = ?", [key]) else {
      return
    }
    try run(
      "UPDATE delivery SET \(columns), state = ?, updatedAt = ? WHERE key = ?",
      arguments + [state.rawValue, time.microseconds, key])
    try record(
      "delivery", key, document: before["document"], from: before["state"], to: state.rawValue,
      act: act, cause: cause, detail: detail)
  }

  /// Cancels what is left to send of a document of ours.
  func cancelUnsent(
    _ id: RecordID, of unit: UnitID, cause: String, detail: String?, act: Int64? = nil
  ) throws {
    let rows = try all(
      """
      SELECT d.key FROM delivery d JOIN document ON document.key = d.document
      WHERE document.id = ? AND document.sender = ?
        AND d.state IN ('queued', 'retrying', 'suspended')
      """, [id.rawValue, unit.rawValue])
    for row in rows {
      try move(delivery: row["key"], to: .cancelled, act: act, cause: cause, detail: detail)
    }
  }
}

extension Row {
  var trouble: Trouble {
    Trouble(
      failures: self["failures"], failingFor: .microseconds(self["failingFor"] as Int64),
      failedAt: optionalTime("failedAt"))
  }
}
