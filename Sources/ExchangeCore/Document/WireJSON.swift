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

  /// Whatever stands where a secrecy mark belongs.
  struct SecrecyMark: Decodable {
    let isDeclared: Bool

    init(from decoder: any Decoder) {
      isDeclared = (try? decoder.singleValueContainer().decode(String.self)) != "Thường"
    }
  }

  /// Checks what must be known before anything else is read: that the text has one reading, its
  /// `kind` and `version` (a newer version is told apart from a broken one), and that no secrecy
  /// mark is declared, whatever else may be wrong (Điều 5).
  static func checkHeader(_ bytes: Data, kind: String) throws {
    struct Header: Decodable {
      var kind: String
      var version: Int
      var secrecyMark: SecrecyMark?
    }
    try JSONShape.check(bytes)
    let header = try decode(Header.self, from: bytes)
    guard header.kind == kind else {
      throw DocumentError(.malformed, "kind: is “\(header.kind.prefix(40))”, expected “\(kind)”")
    }
    if header.secrecyMark?.isDeclared == true {
      throw DocumentError(.secrecy, "secrecyMark: declared")
    }
    guard header.version == 1 else {
      throw DocumentError(.version, "version: is \(header.version), this node reads 1")
    }
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
