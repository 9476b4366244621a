import ArgumentParser
import ExchangeCore
import Foundation

/// What the commands print. Results go to standard output, everything else to standard error.
enum Console {
  static func print(_ line: Line) { Output.write(line.text + "\n") }

  static func note(_ line: Line) { Output.writeError(line.text + "\n") }

  static func print(_ json: JSON) { Output.write(json.written() + "\n") }

  /// A JSON array whose members are made one after the other and never all held in memory. Those that
  /// were made before a failure are written all the same.
  static func array(_ fill: (_ emit: (JSON) -> Void) throws -> Void) rethrows {
    var text = "["
    var isEmpty = true
    // Before the first member a failure leaves the output empty.
    func end() { Output.write(text + (isEmpty ? "\n\n]\n" : "\n]\n")) }
    func emit(_ item: JSON) {
      text += (isEmpty ? "\n  " : ",\n  ") + item.written(indent: 2)
      isEmpty = false
      if text.utf8.count >= 65_536 {
        Output.write(text)
        text = ""
      }
    }
    do { try fill(emit) } catch {
      if !isEmpty { end() }
      throw error
    }
    end()
  }

  /// Says what should be known about an act that was carried out.
  static func warn(_ warnings: [Warning]) {
    for warning in warnings { note("warning[\(warning.code)]: \(warning.text)") }
  }

  /// Explains a failure with its code and the next step, and returns the exit status. `subject` is
  /// which of several things failed.
  @discardableResult
  static func explain(_ error: any Error, about subject: Line? = nil) -> CInt {
    let about = subject.map { $0 + ": " } ?? ""
    let report = Explanation(error)
    note("error[\(report.code)]: \(about)\(report.reason)")
    note("  next: \(report.hint)")
    return report.status
  }

  /// Explains wrong usage in the same form, from the parser's own text: `Error: …`, what the
  /// argument means and the usage, `See '… --help' for more information.`
  static func explain(usage text: String) -> CInt {
    var lines = text.split(separator: "\n").map(String.init)
    var help = "congvan --help"
    if let last = lines.last, let match = last.firstMatch(of: /See '([^']+)'/) {
      help = String(match.1)
      lines.removeLast()
    }
    if let first = lines.first, first.hasPrefix("Error: ") {
      lines[0] = String(first.dropFirst("Error: ".count))
    }
    note("error[USAGE]: \(lines: lines.joined(separator: "\n"))")
    note("  next: See what it takes with: \(help)")
    return ExitCode.validationFailure.rawValue
  }

  /// A table with aligned columns; text is in NFC, so one scalar is one column for our languages.
  static func table(_ header: [String], _ rows: [[String]]) {
    table(header) { emit in rows.forEach(emit) }
  }

  /// A table whose rows are made one after the other: columns are aligned within a page of rows, and
  /// never become narrower. Rows that were made before a failure are written all the same.
  static func table(
    _ header: [String], _ fill: (_ emit: ([String]) -> Void) throws -> Void
  ) rethrows {
    var page = [header]
    var widths = header.map { _ in 0 }
    func flush() {
      for row in page {
        for (column, cell) in row.enumerated() {
          widths[column] = max(widths[column], cell.unicodeScalars.count)
        }
      }
      Output.write(page.map { aligned($0, widths) + "\n" }.joined())
      page = []
    }
    var isEmpty = true
    func emit(_ row: [String]) {
      isEmpty = false
      page.append(row.map { HarmlessText.line($0) })
      if page.count == 500 { flush() }
    }
    do { try fill(emit) } catch {
      if !isEmpty { flush() }
      throw error
    }
    flush()
  }

  private static func aligned(_ row: [String], _ widths: [Int]) -> String {
    zip(row, widths).enumerated().map { index, cell in
      index == row.count - 1
        ? cell.0
        : cell.0 + String(repeating: " ", count: cell.1 - cell.0.unicodeScalars.count)
    }.joined(separator: "  ")
  }

  /// For `validate`: how many rows a listing may have at the most.
  static func checkLimit(_ limit: Int) throws {
    guard (1..<Int.max).contains(limit) else { throw ValidationError("--limit is 1 or more.") }
  }

  /// A listing never ends without a word before its end.
  static func noteMore(_ limit: Int, _ what: Line) {
    note("note: only \(limit) \(what) are listed, there are more: --limit")
  }

  /// `text` on one line of at most `width` scalars.
  static func cut(_ text: String, _ width: Int) -> String {
    text.unicodeScalars.count <= width
      ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(width - 1))) + "…"
  }

  static func bytes(_ count: Int64) -> String {
    switch count {
    case ..<1024: "\(count) B"
    case ..<1_048_576: "\((count + 512) / 1024) KB"
    default: "\((count * 10 + 524_288) / 1_048_576 / 10) MB"
    }
  }
}

/// A failure as it is shown: one of ours, or one that nobody thought of.
struct Explanation {
  let code: String
  let reason: String
  let hint: String
  /// Of the program.
  let status: CInt

  init(_ error: any Error) {
    let known = error as? any ReportableError
    code = known?.code ?? "UNEXPECTED"
    reason = known?.reason ?? "\(error)"
    hint = known?.hint ?? "Please report this with the command you ran."
    status = known == nil ? 70 : 1
  }

  var json: JSON {
    .object(["code": .string(code), "detail": .string(reason), "next": .string(hint)])
  }
}

extension Warning {
  var json: JSON { .object(["code": .string(code), "text": .string(text)]) }
}
