import ExchangeCore
import Foundation
import GRDB
import NodeDatabase

extension WriteTransaction {
  func record(
    _ subject: String, _ key: Int64, document: Int64?, from: String?, to: String, act: Int64? = nil,
    cause: String, detail: String? = nil
  ) throws {
    // Kept for ever, and a peer may have a say in it.
    let detail = detail.map { $0.utf8.count > 500 ? TextRules.fitting($0, maximum: 500) : $0 }
    try run(
      """
      INSERT INTO history (at, subject, subjectKey, document, fromState, toState, actor, cause,
        detail, act) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      [time.microseconds, subject, key, document, from, to, actor.name, cause, detail, act])
  }
}
