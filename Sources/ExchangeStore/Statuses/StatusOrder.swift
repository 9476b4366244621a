import GRDB
import NodeDatabase

/// Which of a unit's statements about a document counts: the only place that decides it, as SQL over
/// rows of `status`. The order of arrival never matters.
///
/// Statements are compared by their timestamps in milliseconds, as they cross the wire, then by the
/// order of business (01, 03, 04, 05, 06, everything else), then by their ids. The timestamp of another unit weighs no more than ten minutes after its arrival, so nothing
/// outweighs what is said later. A refusal (02) does not count beside a proof of arrival (01, 03–06),
/// unless a person gave it (`REFUSED-BY-PERSON`) and gave it later than every proof.
enum StatusOrder {
  /// The moment by which the row with this name is compared, in milliseconds.
  static func moment(_ row: String) -> String {
    """
    ((CASE \(row).direction WHEN 'received' THEN min(\(row).at, \(row).recordedAt + 600000000)
      ELSE \(row).at END) / 1000)
    """
  }

  /// What rows are compared by, as terms of a row value.
  private static func terms(_ row: String) -> [String] {
    [
      moment(row),
      "CASE WHEN \(row).code IN ('01', '03', '04', '05', '06') THEN \(row).code ELSE '99' END",
      "\(row).id",
    ]
  }

  /// `ORDER BY` terms: the latest statement first.
  static func latestFirst(_ row: String) -> String {
    terms(row).map { "\($0) DESC" }.joined(separator: ", ")
  }

  /// `ORDER BY` terms: as they were said.
  static func earliestFirst(_ row: String) -> String { terms(row).joined(separator: ", ") }

  /// `ORDER BY` terms for the `lastStatus` of a tally, in which the order of business has no part.
  static func latestFirstInTallies(_ row: String) -> String {
    "\(moment(row)) DESC, \(row).id DESC"
  }

  private static func isLater(_ row: String, than other: String) -> String {
    "(\(terms(row).joined(separator: ", "))) > (\(terms(other).joined(separator: ", ")))"
  }

  /// True for a refusal that proofs of arrival outweigh.
  static func isOutweighed(_ row: String) -> String {
    """
    (\(row).code = '02' AND EXISTS (SELECT 1 FROM status proof
      WHERE proof.document = \(row).document AND proof.direction = \(row).direction
        AND proof.fromUnit = \(row).fromUnit AND proof.code IN ('01', '03', '04', '05', '06')
        AND (\(row).reasonCode IS NOT 'REFUSED-BY-PERSON'
          OR \(isLater("proof", than: row)))))
    """
  }

  /// A subquery for the code that is shown: of the last statement that counts. `which` narrows the
  /// rows of `said`: to a document and a unit, for example.
  static func shownCode(_ which: String) -> String {
    """
    (SELECT said.code FROM status said WHERE \(which) AND NOT \(isOutweighed("said"))
      ORDER BY \(latestFirst("said")) LIMIT 1)
    """
  }

  /// A subquery for the code that decides the state of a delivery: a proof of arrival or a refusal.
  static func decidingCode(_ which: String) -> String {
    shownCode("\(which) AND said.code IN ('01', '02', '03', '04', '05', '06')")
  }

  /// True for a statement of ours that was not signed anew since.
  static func isCurrent(_ row: String) -> String {
    "NOT EXISTS (SELECT 1 FROM status anew WHERE anew.replaces = \(row).key)"
  }
}
