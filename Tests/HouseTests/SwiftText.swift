/// A Swift file split into what the compiler runs and what it only carries: enough of the grammar to
/// find imports, string literals and the ends of functions.
struct SwiftText {
  /// A string literal. An interpolation in it stands as `\()`.
  struct Literal {
    /// Line of its first character, from 1.
    let line: Int
    let text: String
  }

  /// The text with the same lines. Comments and the contents of literals are blank.
  let code: [Substring]
  let literals: [Literal]

  init(_ text: String) {
    var reader = Reader(bytes: Array(text.utf8))
    reader.readCode(closing: nil)
    code = String(decoding: reader.code, as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: false)
    literals = reader.literals
  }

  /// The modules that the file imports.
  var imports: Set<String> {
    Set(
      code.compactMap { line in
        let words = line.split(whereSeparator: \.isWhitespace)
        guard let start = words.firstIndex(of: "import"),
          words[..<start].allSatisfy({ Self.importModifiers.contains(String($0)) })
        else { return nil }
        // `import struct Module.Type` imports Module as well.
        let rest = words[(start + 1)...].drop { Self.importKinds.contains(String($0)) }
        return rest.first.map { String($0.prefix { $0 != "." && $0 != ";" }) }
      })
  }

  private static let importModifiers: Set = [
    "package", "public", "internal", "fileprivate", "private", "@testable", "@preconcurrency",
    "@_exported", "@_implementationOnly",
  ]
  private static let importKinds: Set = [
    "struct", "class", "enum", "protocol", "typealias", "func", "let", "var", "actor",
  ]

  /// A function, initialiser, subscript or computed property with a body.
  struct Function {
    /// Without parameters, for example `apply` or `init`.
    let name: String
    let line: Int
    /// From the first line of the declaration to the closing brace, comments and blank lines included.
    let length: Int
  }

  /// Found by indentation, which `swift format` keeps: the body ends at the first line that is a closing
  /// brace as deep as the declaration.
  var functions: [Function] {
    let declaration =
      /\ *(?:@\w+(?:\([^)]*\))?\ +)*(?:[a-z]+(?:\(set\))?\ +)*?(func|init|deinit|subscript|var)\b(?:\ +([^\s(<:]+))?/
    return code.indices.compactMap { start in
      let line = code[start].trimmed
      guard let match = line.prefixMatch(of: declaration) else { return nil }
      let indent = line.prefix { $0 == " " }
      let isVariable = match.1 == "var"
      let name = match.2.map(String.init) ?? String(match.1)
      if line.last == "}" { return Function(name: name, line: start + 1, length: 1) }
      // A stored property, whose value may be long.
      if isVariable, line.last != "{" { return nil }
      for end in code.indices[(start + 1)...] {
        let rest = code[end].trimmed.dropFirst(indent.count)
        if code[end].hasPrefix(indent), rest == "}" {
          return Function(name: name, line: start + 1, length: end - start + 1)
        }
        let isInside = code[end].allSatisfy { $0 == " " } || code[end].hasPrefix("\(indent) ")
        // A long list of parameters, or the brace on a line of its own.
        guard isInside || (rest.first.map { "){".contains($0) } ?? false) else { return nil }
      }
      return nil
    }
  }
}

extension Substring {
  /// Without the blanks at its end, which a comment may have left.
  fileprivate var trimmed: Substring {
    self[..<(lastIndex { $0 != " " }.map(index(after:)) ?? startIndex)]
  }
}

extension SwiftText {
  /// Walks over the bytes once.
  private struct Reader {
    let bytes: [UInt8]
    var at = 0
    var line = 1
    var code: [UInt8] = []
    var literals: [Literal] = []

    init(bytes: [UInt8]) { self.bytes = bytes }

    private func follows(_ text: StaticString, at offset: Int) -> Bool {
      text.withUTF8Buffer { text in
        offset + text.count <= bytes.count
          && text.indices.allSatisfy { bytes[offset + $0] == text[$0] }
      }
    }

    /// One byte on; it is kept, or blank.
    private mutating func step(blank: Bool) {
      let byte = bytes[at]
      if byte == 10 { line += 1 }
      code.append(blank && byte != 10 ? 32 : byte)
      at += 1
    }

    /// Reads to the end, or to the parenthesis that closes an interpolation.
    mutating func readCode(closing: UInt8?) {
      var depth = 0
      while at < bytes.count {
        let byte = bytes[at]
        if follows("//", at: at) {
          while at < bytes.count, bytes[at] != 10 { step(blank: true) }
        } else if follows("/*", at: at) {
          readBlockComment()
        } else if byte == 34 || (byte == 35 && startsRawLiteral) {
          readLiteral()
        } else {
          if byte == 40 { depth += 1 }
          if byte == 41 {
            if closing != nil, depth == 0 { return }
            depth -= 1
          }
          step(blank: false)
        }
      }
    }

    private mutating func readBlockComment() {
      var depth = 0
      repeat {
        if follows("/*", at: at) { depth += 1 }
        if follows("*/", at: at) { depth -= 1 }
        step(blank: true)
        if at < bytes.count { step(blank: true) }
        while at < bytes.count, depth > 0, !follows("/*", at: at), !follows("*/", at: at) {
          step(blank: true)
        }
      } while depth > 0 && at < bytes.count
    }

    private var startsRawLiteral: Bool {
      bytes[at...].first { $0 != 35 } == 34
    }

    private mutating func readLiteral() {
      let start = line
      var hashes = 0
      while bytes[at] == 35 {
        hashes += 1
        step(blank: true)
      }
      let isLong = follows("\"\"\"", at: at)
      let quotes = isLong ? 3 : 1
      for _ in 0..<quotes { step(blank: true) }
      var text: [UInt8] = []
      while at < bytes.count {
        let ends =
          (0..<quotes).allSatisfy { at + $0 < bytes.count && bytes[at + $0] == 34 }
          && countHashes(at + quotes) >= hashes
        if ends {
          for _ in 0..<(quotes + hashes) { step(blank: true) }
          break
        }
        guard bytes[at] == 92, countHashes(at + 1) >= hashes else {
          text.append(bytes[at])
          step(blank: true)
          continue
        }
        for _ in 0...hashes { step(blank: true) }
        guard at < bytes.count else { break }
        if bytes[at] == 40 {
          text += Array("\\()".utf8)
          step(blank: true)
          readCode(closing: 41)
          if at < bytes.count { step(blank: true) }
        } else {
          // An escaped line break joins two lines; any other escape stands between words.
          if bytes[at] != 10 { text.append(32) }
          step(blank: true)
        }
      }
      literals.append(Literal(line: start, text: String(decoding: text, as: UTF8.self)))
    }

    private func countHashes(_ offset: Int) -> Int {
      bytes[min(offset, bytes.count)...].prefix { $0 == 35 }.count
    }
  }
}
