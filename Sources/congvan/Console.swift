import ArgumentParser
import ExchangeCore
import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// What the commands print. Results go to standard output, everything else to standard error.
enum Console {
  static func print(_ text: String) {
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
  }

  static func note(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
  }

  static func print(_ json: JSON) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes, .sortedKeys]
    FileHandle.standardOutput.write(try encoder.encode(json) + Data("\n".utf8))
  }

  /// Says what should be known about an act that was carried out.
  static func warn(_ warnings: [Warning]) {
    for warning in warnings { note("warning[\(warning.code)]: \(warning.text)") }
  }

  /// Explains a failure with its code and the next step, and returns the exit status.
  static func explain(_ error: any Error) -> CInt {
    guard let error = error as? any ReportableError else {
      note("error[UNEXPECTED]: \(error)")
      note("  next: Please report this with the command you ran.")
      return 70
    }
    note("error[\(error.code)]: \(error.reason)")
    note("  next: \(error.hint)")
    return 1
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
    note("error[USAGE]: \(lines.joined(separator: "\n"))")
    note("  next: See what it takes with: \(help)")
    return ExitCode.validationFailure.rawValue
  }

  /// A table with aligned columns; text is in NFC, so one scalar is one column for our languages.
  static func table(_ header: [String], _ rows: [[String]]) {
    let all = [header] + rows
    let widths = header.indices.map { column in
      all.map { $0[column].unicodeScalars.count }.max() ?? 0
    }
    for row in all {
      let cells = zip(row, widths).enumerated().map { index, cell in
        index == header.count - 1
          ? cell.0
          : cell.0 + String(repeating: " ", count: cell.1 - cell.0.unicodeScalars.count)
      }
      print(cells.joined(separator: "  "))
    }
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

/// JSON with explicit nulls and documented member names.
indirect enum JSON: Encodable {
  case string(String)
  case number(Double)
  case integer(Int64)
  case bool(Bool)
  case null
  case array([JSON])
  case object([String: JSON])

  static func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
  static func time(_ value: Timestamp?) -> JSON { .text(value?.iso8601) }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .string(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .bool(let value): try container.encode(value)
    case .null: try container.encodeNil()
    case .array(let values): try container.encode(values)
    case .object(let members): try container.encode(members)
    }
  }
}

extension Warning {
  var json: JSON { .object(["code": .string(code), "text": .string(text)]) }
}
