import Foundation

/// The shape of a command's JSON: which members there are, null or not. Members may be added, so
/// tests ask for a superset.
enum Shape {
  typealias Members = [String: Any]

  static func list(_ text: String) throws -> [Members] {
    guard let value = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Members] else {
      throw CommandFailed(description: "not a JSON list of objects: \(text)")
    }
    return value
  }

  static func object(_ text: String) throws -> Members {
    guard let value = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? Members else {
      throw CommandFailed(description: "not a JSON object: \(text)")
    }
    return value
  }
}

extension Shape.Members {
  /// The names of members whose value is null.
  var nulls: Set<String> { Set(filter { $0.value is NSNull }.keys) }

  func members(_ name: String) -> [Shape.Members] { self[name] as? [Shape.Members] ?? [] }
}
