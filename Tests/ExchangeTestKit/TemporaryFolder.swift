package import Foundation

/// A folder for one owner, removed with it, or at the end of the process at the latest: fixtures in
/// a `static let` are never deinitialised.
package final class TemporaryFolder: Sendable {
  /// Exists as long as this object.
  package let url: URL

  private static let parent: URL = {
    let url = FileManager.default.temporaryDirectory.appending(
      path: "congvan-tests-\(ProcessInfo.processInfo.processIdentifier)-\(UUID())")
    atexit { try? FileManager.default.removeItem(at: TemporaryFolder.parent) }
    return url
  }()

  /// Creates an empty folder that only this account can enter.
  package init() throws {
    url = Self.parent.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(
      at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The path of `name` inside.
  package func path(_ name: String) -> String { url.appending(path: name).path }

  /// Writes a file and returns its path.
  @discardableResult
  package func write(_ bytes: Data, as name: String) throws -> String {
    try bytes.write(to: url.appending(path: name))
    return path(name)
  }
}
