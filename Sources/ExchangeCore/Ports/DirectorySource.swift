/// The current directory. Reading it is cheap; the file behind it may be replaced at any time.
package protocol DirectorySource: Sendable {
  var current: Directory { get }
}

/// A directory that does not change.
package struct FixedDirectory: DirectorySource {
  package let current: Directory
  package init(_ directory: Directory) { current = directory }
}
