import Foundation

/// The JSON of the directory file. People make and edit it, so what is wrong with it is said with line
/// and column, and in the words of the cause.
struct DirectoryJSON {
  /// Deeper than any directory, and shallow enough for every decoder.
  private static let maximumDepth = 32

  /// UTF-8 without a byte order mark.
  let text: Data
  /// How the file is named in errors.
  private let file: String

  /// Reads `bytes` in UTF-8 or UTF-16 and checks that they are one JSON text with one reading.
  /// Throws `DIRECTORY-MALFORMED`.
  init(_ bytes: Data, file: String) throws(DirectoryError) {
    self.file = file
    guard let text = Self.utf8(bytes) else {
      throw DirectoryError(
        .malformed, "\(file): is neither UTF-8 nor UTF-16 text",
        next: "Save the file as UTF-8, or fetch it from the federation again.")
    }
    self.text = text
    try checkKind()
    try checkGrammar()
  }

  /// Decodes the file's value. Throws `DIRECTORY-MALFORMED` with the member, line and column.
  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    do {
      return try JSONDecoder().decode(type, from: text)
    } catch let error as DecodingError {
      let place = Self.path(of: error).flatMap(offset).map { ", \(Self.place(of: $0, in: text))" }
      throw DirectoryError(.malformed, "\(file)\(place ?? ""): \(WireJSON.explain(error))")
    }
  }

  private static func utf8(_ bytes: Data) -> Data? {
    let start = Array(bytes.prefix(4))
    var encoding: String.Encoding?
    if start.starts(with: [0xFF, 0xFE]) || start.starts(with: [0xFE, 0xFF]) {
      encoding = .utf16
    } else if start.count == 4, start[1] == 0, start[3] == 0, start[0] != 0 {
      encoding = .utf16LittleEndian
    } else if start.count == 4, start[0] == 0, start[2] == 0, start[1] != 0 {
      encoding = .utf16BigEndian
    }
    if let encoding { return String(data: bytes, encoding: encoding).map { Data($0.utf8) } }
    let text = start.starts(with: [0xEF, 0xBB, 0xBF]) ? Data(bytes.dropFirst(3)) : Data(bytes)
    return String(validating: text, as: UTF8.self) == nil ? nil : text
  }

  /// Tells a wrong file from a JSON file with a mistake.
  private func checkKind() throws(DirectoryError) {
    let head = String(decoding: text.prefix(400), as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    let again = "Fetch the directory file from the federation again."
    if head.isEmpty {
      throw DirectoryError(.malformed, "\(file): is empty", next: again)
    }
    if head.hasPrefix("<") {
      throw DirectoryError(
        .malformed, "\(file): is a web page or XML, not JSON",
        next: "Download the file itself, not the page about it (log in first if the page asks so).")
    }
    if head.hasPrefix("-----BEGIN ") {
      throw DirectoryError(
        .malformed, "\(file): is a PEM file (a certificate or key), not the directory",
        next: "Name the directory file in directory.file.")
    }
  }

  private func checkGrammar() throws(DirectoryError) {
    do {
      var tokens = try JSONTokens(text)
      var open: [Set<String>?] = []
      let start = text.firstIndex { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } ?? text.startIndex
      while let token = try tokens.next() {
        switch token {
        case .objectStart: open.append([])
        case .arrayStart:
          guard !open.isEmpty else {
            throw JSONTokens.Fault(offset: start, reason: "a directory begins with “{”")
          }
          open.append(nil)
        case .objectEnd, .arrayEnd: open.removeLast()
        case .name(let name):
          let text = tokens.decoded(name)
          guard open[open.count - 1]?.insert(text).inserted == true else {
            let shown = TextRules.fitting(text, maximum: 40)
            throw JSONTokens.Fault(
              offset: name.range.lowerBound, reason: "the member “\(shown)” is there twice")
          }
        case .string, .number, .boolean, .null: break
        }
        if open.isEmpty, !isEnd(token) {
          throw JSONTokens.Fault(offset: start, reason: "a directory begins with “{”")
        }
        guard open.count <= Self.maximumDepth else {
          throw DirectoryError(
            .malformed, "\(file): is nested deeper than \(Self.maximumDepth) levels")
        }
      }
    } catch let fault as JSONTokens.Fault {
      throw DirectoryError(
        .malformed,
        "\(file), \(Self.place(of: fault.offset, in: text)): \(explain(fault))")
    } catch let error as DirectoryError {
      throw error
    } catch {
      throw DirectoryError(.malformed, "\(file): \(error)")
    }
  }

  private func isEnd(_ token: JSONTokens.Token) -> Bool {
    switch token {
    case .objectEnd, .arrayEnd: true
    default: false
    }
  }

  /// The usual mistakes of people, told by the character that stands where it does not belong.
  private func explain(_ fault: JSONTokens.Fault) -> String {
    let start = min(fault.offset, text.count)
    let rest = String(decoding: text.dropFirst(start).prefix(24), as: UTF8.self)
    let before = text.prefix(start).last { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    if before == UInt8(ascii: ","), let end = rest.first, "}]".contains(end) {
      return "there is a comma too many before “\(end)”"
    }
    if rest.hasPrefix("//") || rest.hasPrefix("/*") || rest.hasPrefix("#") {
      return "there is a comment; JSON has none"
    }
    if rest.hasPrefix("'") { return "there is a single quote; JSON has double quotes \" only" }
    if let first = rest.first, "“”„«»‘’".contains(first) {
      return "there is a typographic quote “\(first)”; JSON has straight quotes \" only"
    }
    let word = rest.prefix { $0.isLetter || $0 == "_" || $0 == "-" }
    if !word.isEmpty, !["true", "false", "null"].contains(String(word)) {
      return "“\(word)” is not JSON: \(fault.reason)"
    }
    return fault.reason
  }

  // MARK: Places

  /// `line 3, column 5`, both from 1; a column is a Unicode scalar.
  private static func place(of offset: Int, in text: Data) -> String {
    let before = text.prefix(offset)
    let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? before.startIndex
    let line = 1 + before.count { $0 == 0x0A }
    let column = 1 + String(decoding: before[lineStart...], as: UTF8.self).unicodeScalars.count
    return "line \(line), column \(column)"
  }

  private static func path(of error: DecodingError) -> [any CodingKey]? {
    switch error {
    case .keyNotFound(_, let context), .typeMismatch(_, let context),
      .valueNotFound(_, let context), .dataCorrupted(let context):
      context.codingPath
    @unknown default: nil
    }
  }

  /// Where the value at `path` begins; for an object or array its first member or element.
  private func offset(of path: [any CodingKey]) -> Int? {
    guard var tokens = try? JSONTokens(text) else { return nil }
    let wanted = path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
    // A step of each open container: the member's name, or the element's number.
    var here: [String] = []
    var counts: [Int] = []
    func begins() {
      guard let count = counts.last, count >= 0 else { return }
      here[here.count - 1] = "[\(count)]"
      counts[counts.count - 1] = count + 1
    }
    while let token = try? tokens.next() {
      var start: Int?
      switch token {
      case .objectStart, .arrayStart:
        begins()
        here.append("")
        if case .arrayStart = token { counts.append(0) } else { counts.append(-1) }
        continue
      case .objectEnd, .arrayEnd:
        here.removeLast()
        counts.removeLast()
        continue
      case .name(let name):
        // The first member of the object that is looked for.
        if Array(here.dropLast()) == wanted { return name.range.lowerBound - 1 }
        here[here.count - 1] = tokens.decoded(name)
        if here == wanted { return name.range.lowerBound - 1 }
        continue
      case .string(let text): start = text.range.lowerBound - 1
      case .number(let range): start = range.lowerBound
      case .boolean, .null: start = nil
      }
      begins()
      if here == wanted, let start { return start }
    }
    return nil
  }
}
