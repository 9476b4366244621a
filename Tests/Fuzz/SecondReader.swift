import Foundation

/// `JSONSerialization` has a parser of its own and other habits than `JSONDecoder`: of two equal
/// members, for example, it keeps the other one.
enum SecondReader {
  /// Moments are written in another precision than they were read.
  private static let moments: Set<String> = ["createdAt", "timestamp"]

  /// True when every member of `written` stands in `original` with the same value. `original` may
  /// have unknown members; a second reader reads those too.
  static func agrees(_ original: Data, with written: Data) -> Bool {
    guard let original = try? JSONSerialization.jsonObject(with: original) else { return false }
    guard let written = try? JSONSerialization.jsonObject(with: written) else { return false }
    return contains(original, written)
  }

  private static func contains(_ original: Any, _ written: Any) -> Bool {
    switch (original, written) {
    case (let original as [String: Any], let written as [String: Any]):
      written.allSatisfy { name, value in
        guard let found = original[name] else { return false }
        return moments.contains(name) || contains(found, value)
      }
    case (let original as [Any], let written as [Any]):
      original.count == written.count && zip(original, written).allSatisfy(contains)
    case (let original as String, let written as String): original.utf8.elementsEqual(written.utf8)
    case (let original as NSNumber, let written as NSNumber): original == written
    default: false
    }
  }
}
