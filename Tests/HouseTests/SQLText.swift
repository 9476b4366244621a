/// Finds the tables that a text of SQL names. Knows words, not grammar.
struct SQLText {
  /// The table that follows a keyword. Nil: the text ends there, or a value is interpolated.
  struct Mention: Equatable {
    let keyword: String
    let table: String?
  }

  let mentions: [Mention]

  /// `anyCase`: keywords count in small letters too, which finds them in prose as well.
  init(_ text: String, anyCase: Bool) {
    let tokens = Self.tokens(text)
    var found: [Mention] = []
    for (index, token) in tokens.enumerated() {
      let keyword = anyCase ? token.uppercased() : token
      var rest = tokens[(index + 1)...]
      switch keyword {
      case "INTO", "JOIN": break
      case "FROM":
        if index > 0, tokens[index - 1].uppercased() == "DISTINCT" { continue }
      case "UPDATE", "INSERT", "DELETE":
        // The event of a trigger: UPDATE OF a, b ON table.
        let columns = rest.prefix { !["ON", ";"].contains($0.uppercased()) }
        let isEvent = columns.isEmpty || columns.first?.uppercased() == "OF"
        if isEvent, rest.count > columns.count, rest.dropFirst(columns.count).first != ";" {
          rest = rest.dropFirst(columns.count + 1)
        } else if keyword != "UPDATE" || rest.first?.uppercased() == "SET" {
          continue
        } else if rest.first?.uppercased() == "OR" {
          rest = rest.dropFirst(2)
        }
      case "TABLE": rest = rest.drop { ["IF", "NOT", "EXISTS"].contains($0.uppercased()) }
      default: continue
      }
      repeat {
        guard let name = Self.takeName(&rest) else { break }
        found.append(Mention(keyword: keyword, table: name.isEmpty ? nil : name))
      } while keyword == "FROM" && Self.takeComma(&rest)
    }
    mentions = found
  }

  /// The next table: its name without a schema, "" for one that is computed, nil for none (a query in
  /// parentheses, a table-valued function).
  private static func takeName(_ rest: inout ArraySlice<String>) -> String? {
    guard let first = rest.popFirst() else { return "" }
    guard first != "(" else { return nil }
    guard first != "\\()" else { return "" }
    var name = first
    if rest.first == ".", rest.count > 1 {
      rest.removeFirst()
      name = rest.removeFirst()
    }
    return rest.first == "(" && name.lowercased().hasPrefix("json_") ? nil : name
  }

  /// Moves behind `[AS alias] ,`, so that `FROM a, b c, d` names three tables.
  private static func takeComma(_ rest: inout ArraySlice<String>) -> Bool {
    var ahead = rest
    if ahead.first?.uppercased() == "AS" { ahead.removeFirst() }
    if let first = ahead.first, first != ",", first.first?.isLetter == true { ahead.removeFirst() }
    guard ahead.first == "," else { return false }
    rest = ahead.dropFirst()
    return true
  }

  /// Words (without the quotes of quoted names), interpolations and single signs; no comments, no
  /// values in quotes.
  private static func tokens(_ text: String) -> [String] {
    let pattern =
      /--[^\n]*|'(?:[^']|'')*'|\\\(\)|"([^"]*)"|`([^`]*)`|\[([^\]]*)\]|([\p{L}_][\p{L}\p{N}_]*)|[^\s]/
    return text.matches(of: pattern).compactMap { match in
      if let quoted = match.1 ?? match.2 ?? match.3 ?? match.4 { return String(quoted) }
      let whole = match.0
      return whole.hasPrefix("--") || whole.hasPrefix("'") ? nil : String(whole)
    }
  }
}
