package import Foundation

/// The form that every signed JSON text has, in members that this version knows and in all others:
/// RFC 8259 exactly, and one reading only (schemas/README.md section 6).
package enum JSONShape {
  static let maximumDepth = 8
  /// Bytes of a number. A longer one is rounded by some readers and refused by others.
  static let maximumNumberBytes = 64

  /// Members whose number counts something: written as digits only, so `1.0`, `1e0` and `-0` are
  /// refused there.
  private static let integers: Set<String> = [
    "version", "priority", "pageAmount", "issuedAmount", "attachments[].size",
    "entries[].sequence", "entries[].statuses",
  ]
  private static let integerNames = Set(
    integers.compactMap { $0.split(separator: ".").last.map(String.init) })

  /// Throws `DocumentError.malformed` for what is no such text. Returns the first broken rule about
  /// the characters of a string value: it counts only when no member says more exactly what is
  /// wrong with it.
  @discardableResult
  package static func check(_ bytes: Data) throws(DocumentError) -> DocumentError? {
    do {
      var walk = Walk(tokens: try JSONTokens(bytes))
      return try walk.run()
    } catch let fault as JSONTokens.Fault {
      throw DocumentError(
        .malformed, "the JSON is not RFC 8259: \(fault.reason) (at byte \(fault.offset))")
    } catch let error as DocumentError {
      throw error
    } catch {
      throw DocumentError(.malformed, "the JSON cannot be read")
    }
  }

  /// An open object or array.
  private struct Container {
    let isObject: Bool
    /// The bytes of the member names so far.
    var names: Set<[UInt8]> = []
    /// The member that is being read.
    var name = ""
  }

  private struct Walk {
    var tokens: JSONTokens
    var open: [Container] = []
    var broken: DocumentError?

    mutating func run() throws -> DocumentError? {
      while let token = try tokens.next() {
        switch token {
        case .objectStart: try push(isObject: true)
        case .arrayStart:
          guard !open.isEmpty else { throw malformed("the JSON does not begin with “{”") }
          try push(isObject: false)
        case .objectEnd, .arrayEnd: open.removeLast()
        case .name(let text): try name(text)
        case .null: throw malformed("\(shown): is null")
        case .number(let range): try number(range)
        case .string(let text): try string(text)
        case .boolean: break
        }
        guard !open.isEmpty || isEnd(token) else {
          throw malformed("the JSON does not begin with “{”")
        }
      }
      return broken
    }

    private func isEnd(_ token: JSONTokens.Token) -> Bool {
      if case .objectEnd = token { true } else { false }
    }

    /// `attachments[].size`
    private var path: String {
      var path = ""
      for container in open {
        if !container.isObject {
          path += "[]"
        } else {
          path += (path.isEmpty ? "" : ".") + container.name
        }
      }
      return path
    }

    /// Of what is quoted, nothing may act on a terminal or in a log.
    private var shown: String { TextRules.fitting(path, maximum: 200) }

    private func malformed(_ reason: String) -> DocumentError { DocumentError(.malformed, reason) }

    private mutating func push(isObject: Bool) throws {
      guard open.count < maximumDepth else {
        throw malformed("the JSON is nested deeper than \(maximumDepth)")
      }
      open.append(Container(isObject: isObject))
    }

    private mutating func name(_ text: JSONTokens.Text) throws {
      let last = open.count - 1
      let name = tokens.decoded(text)
      open[last].name = String(name.unicodeScalars.prefix(40))
      guard !text.hasEscape else {
        throw malformed("the member “\(shown)” is written with an escape")
      }
      guard text.isPlain || TextRules.breach(name) == nil else {
        throw malformed("the member “\(shown)” is not NFC or has a forbidden character")
      }
      guard open[last].names.insert(Array(tokens.bytes[text.range])).inserted else {
        throw malformed("the member “\(shown)” stands twice")
      }
    }

    private mutating func string(_ text: JSONTokens.Text) throws {
      guard !text.isPlain else { return }
      let value = tokens.decoded(text)
      guard !TextRules.hasEndlessMarks(value) else {
        throw malformed("\(shown): has more than 30 combining marks that are not in form NFC")
      }
      guard broken == nil, let breach = TextRules.breach(value) else { return }
      broken = DocumentError(breach.kind, "\(shown): \(breach.reason)")
    }

    private func number(_ range: Range<Int>) throws {
      let digits = tokens.bytes[range]
      guard digits.count <= maximumNumberBytes else {
        throw malformed("\(shown): a number of \(digits.count) bytes, at most 64 are allowed")
      }
      let isInteger =
        digits.dropFirst(digits.first == UInt8(ascii: "-") ? 1 : 0)
        .allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        && !digits.elementsEqual("-0".utf8)
      guard !isInteger else { return }
      // The path costs time, and a peer may send a hundred thousand numbers.
      let mayCount = open.last.map { $0.isObject && integerNames.contains($0.name) } ?? false
      guard !mayCount || !integers.contains(path) else {
        throw malformed("\(shown): is not written as an integer")
      }
      guard Double(String(decoding: digits, as: UTF8.self))?.isFinite == true else {
        throw malformed("\(shown): is larger than a number of IEEE 754 can be")
      }
    }
  }
}
