import ExchangeCore
import ExchangeStore

/// What is legal on the wire and most likely a slip of the clerk all the same.
extension Office {
  private static let year = Duration.seconds(366 * 86_400)
  /// The trade unions are younger.
  private static let firstYear = "1900-01-01"

  /// Throws for dates that cannot be meant, and adds to `warnings` what may be.
  func checkPlausibility(of manifest: Manifest, _ warnings: inout [Warning]) throws {
    let now = context.clock.now
    let (today, date) = (CalendarDate(now), manifest.issuedDate)
    let nextYear = CalendarDate(now.advanced(by: Self.year))
    let lastYear = CalendarDate(now.advanced(by: .zero - Self.year))
    guard date <= nextYear, date.rawValue >= Self.firstYear else {
      throw DocumentError(
        .date, "date: \(date) is no date of a document, today is \(today)",
        next: date <= nextYear
          ? "Write the year with four digits: 2018-07-04."
          : "Correct the date. If today is another day, set this machine's clock first.")
    }
    if date > today {
      warnings.append(Warning(.dateAhead, "date: \(date) is in the future, today is \(today)"))
    } else if date < lastYear {
      warnings.append(Warning(.dateOld, "date: \(date) is more than a year ago"))
    }
    if let due = manifest.dueDate {
      guard due >= date else {
        throw DocumentError(
          .date, "due: \(due) is before the document's own date \(date)",
          next: "Correct --due or --date.")
      }
      if due < today {
        warnings.append(Warning(.duePassed, "due: \(due) is over, today is \(today)"))
      }
      if due > CalendarDate(now.advanced(by: Self.year * 5)) {
        warnings.append(Warning(.dueFar, "due: \(due) is more than five years ahead"))
      }
    }
    let uses = try context.store.reader.uses(
      of: manifest.number, year: String(date.rawValue.prefix(4)))
    if let use = uses.last(where: { !manifest.replaces.contains($0.id) }) {
      let fate =
        switch use.frozen {
        case "recalled": ", since taken back"
        case "replaced": ", since replaced"
        default: ""
        }
      warnings.append(
        Warning(
          .numberUsed,
          "number: \(manifest.number) was issued before: document \(use.id) of "
            + "\(use.issuedDate)\(fate); if this is the same document, take one back with: "
            + "congvan recall ID"))
    }
  }
}
