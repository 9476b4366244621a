import Foundation

/// Refuses JSON that two readers may read differently, before it is decoded: a signature is worth
/// nothing over a text with two meanings.
///
/// Foundation keeps the first of two equal members, most others the last; it also takes a byte order
/// mark and UTF-16. Here the text is UTF-8 without a mark, one object, without repeated members,
/// escaped member names, `null` or nesting deeper than 8 (schemas/README.md section 6).
enum JSONShape {
  private static let maximumDepth = 8

  static func check(_ bytes: Data) throws(DocumentError) {
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw DocumentError(.malformed, "the JSON is not UTF-8")
    }
    var scanner = Scanner(bytes: Array(bytes))
    try scanner.run()
  }

  /// Walks over the bytes once. It does not check all of JSON's grammar: the decoder does that.
  private struct Scanner {
    let bytes: [UInt8]
    var position = 0
    /// Member names of each open object; nil for an open array.
    var names: [Set<[UInt8]>?] = []
    var expectsName = false

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func run() throws(DocumentError) {
      let first = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
      guard first == UInt8(ascii: "{") else {
        throw DocumentError(.malformed, "the JSON does not begin with “{”")
      }
      while position < bytes.count {
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "{"): try open([])
        case UInt8(ascii: "["): try open(nil)
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          _ = names.popLast()
          expectsName = false
        case UInt8(ascii: ","): expectsName = names.last.flatMap { $0 } != nil
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "n"): throw DocumentError(.malformed, "the JSON has a null")
        case 0: throw DocumentError(.malformed, "the JSON has a zero byte")
        default: continue
        }
      }
    }

    private mutating func open(_ members: Set<[UInt8]>?) throws(DocumentError) {
      guard names.count < maximumDepth else {
        throw DocumentError(.malformed, "the JSON is nested deeper than \(maximumDepth)")
      }
      names.append(members)
      expectsName = members != nil
    }

    private mutating func string() throws(DocumentError) {
      let start = position
      var hasEscape = false
      while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
        if bytes[position] == UInt8(ascii: "\\") {
          hasEscape = true
          position += 1
        }
        position += 1
      }
      let name = Array(bytes[start..<min(position, bytes.count)])
      position += 1
      guard expectsName else { return }
      expectsName = false
      guard !hasEscape, names[names.count - 1]?.insert(name).inserted == true else {
        let shown = String(decoding: name.prefix(40), as: UTF8.self)
        throw DocumentError(.malformed, "the member “\(shown)” is repeated or escaped")
      }
    }
  }
}
