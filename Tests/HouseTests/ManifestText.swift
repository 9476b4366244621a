import Foundation

/// What Package.swift says of its targets, read as text: asking the package manager would wait for the
/// build that runs these tests.
struct ManifestText {
  /// The modules that a target depends on, by its name. A product counts as its module.
  let dependencies: [String: Set<String>]

  init(_ text: String) {
    let product = /Target\.Dependency\.product\(\s*name: "(\w+)"/
    var variables: [String: String] = [:]
    for match in text.matches(of: /let (\w+) = Target\.Dependency\.product\(\s*name: "(\w+)"/) {
      variables[String(match.1)] = String(match.2)
    }
    // The fuzz target is added by hand.
    let end = text.firstRange(of: "CONGVAN_FUZZ")?.lowerBound ?? text.endIndex
    let targets = text[..<end].replacing(product, with: "")
    var found: [String: Set<String>] = [:]
    for block in targets.split(separator: /\.(?:target|testTarget|executableTarget)\(/).dropFirst()
    {
      guard let name = block.prefixMatch(of: /\s*name: "(\w+)"/)?.1 else { continue }
      found[String(name)] = Self.list(block, variables)
    }
    dependencies = found
  }

  private static func list(_ block: Substring, _ variables: [String: String]) -> Set<String> {
    guard let list = block.firstMatch(of: /dependencies: \[([^\]]*)\]/)?.1 else { return [] }
    let named = list.matches(of: /\.product\(name: "(\w+)", package: "[^"]*"\)/).map {
      String($0.1)
    }
    let rest = list.replacing(/\.product\([^)]*\)/, with: "")
    let words = rest.split { $0 == "," || $0.isWhitespace }.map(String.init)
    return Set(
      named
        + words.map { word in
          word.hasPrefix("\"") ? word.filter { $0 != "\"" } : variables[word] ?? word
        })
  }
}
