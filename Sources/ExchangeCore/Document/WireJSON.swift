package import Foundation

/// JSON as congvan signs it: UTF-8, sorted members, no escaped slashes.
package enum WireJSON {
  package static func encode(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value)
  }

  /// Throws `DocumentError.malformed` with the path of the member that is wrong.
  package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: Data) throws
    -> Value
  {
    do {
      return try JSONDecoder().decode(type, from: bytes)
    } catch let error as DecodingError {
      throw DocumentError(.malformed, explain(error))
    }
  }

  private struct Header: Decodable {
    var kind: String
    var version: Int
  }

  /// Reads a signed text of the given kind. What must be known first is checked first: that no secrecy
  /// mark is declared, whatever else may be wrong (Điều 5); that the text has one reading; and its
  /// `kind` and `version`, so that a newer version is told apart from a broken one. `convert` makes
  /// the value and checks the rules of its members.
  static func read<Wire: Decodable, Value>(
    _ bytes: Data, kind: String, as type: Wire.Type, convert: (Wire) throws -> Value
  ) throws -> Value {
    guard !SecrecyMark.isDeclared(in: bytes) else {
      throw DocumentError(.secrecy, "secrecyMark: declared")
    }
    let broken = try JSONShape.check(bytes)
    let header = try decode(Header.self, from: bytes)
    guard header.kind.utf8.elementsEqual(kind.utf8) else {
      let shown = TextRules.fitting(header.kind, maximum: 40)
      throw DocumentError(.malformed, "kind: is “\(shown)”, expected “\(kind)”")
    }
    guard header.version == 1 else {
      throw DocumentError(.version, "version: is \(header.version), this node reads 1")
    }
    let value = try convert(decode(type, from: bytes))
    if let broken { throw broken }
    return value
  }

  package static func explain(_ error: DecodingError) -> String {
    func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
      let keys = context.codingPath + (last.map { [$0] } ?? [])
      let text = keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
        .joined(separator: ".")
      return String((text.isEmpty ? "the JSON" : text).prefix(200))
    }
    return switch error {
    case .keyNotFound(let key, let context): "\(path(context, key)): is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      "\(path(context)): has the wrong type"
    case .dataCorrupted(let context): "\(path(context)): \(context.debugDescription.prefix(200))"
    @unknown default: "unreadable"
    }
  }
}
