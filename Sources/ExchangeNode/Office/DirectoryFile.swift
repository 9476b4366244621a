package import ExchangeCore
import Foundation
package import Logging
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The directory as a file that may be replaced while the node runs: looked at again when its time
/// or size changed, at most once a second. A new file that cannot be read is reported, and the last
/// good one stays in force.
package final class DirectoryFile: DirectorySource {
  private struct State {
    var directory: Directory
    var stamp: Stamp
    var checkedAt: Int
  }

  private struct Stamp: Equatable {
    var seconds: Int
    var nanoseconds: Int
    var size: Int
    var inode: UInt
  }

  private let path: String
  private let hashing: any ContentHashing
  private let log: Logger?
  private let state: Mutex<State>

  /// Throws `DirectoryError` when the file is missing or wrong.
  package init(path: String, hashing: any ContentHashing, log: Logger? = nil) throws {
    self.path = path
    self.hashing = hashing
    self.log = log
    let stamp = Self.stamp(path)
    state = Mutex(
      State(
        directory: try Self.read(path, hashing),
        stamp: stamp
          ?? Stamp(
            seconds: 0, nanoseconds: 0, size: 0, inode: 0), checkedAt: time(nil)))
  }

  package var current: Directory {
    state.withLock { state in
      let now = time(nil)
      guard now != state.checkedAt else { return state.directory }
      state.checkedAt = now
      guard let stamp = Self.stamp(path), stamp != state.stamp else { return state.directory }
      state.stamp = stamp
      do {
        state.directory = try Self.read(path, hashing)
        log?.info("directory read again", metadata: ["units": "\(state.directory.units.count)"])
      } catch {
        log?.error("the new directory is not used", metadata: ["error": "\(error)"])
      }
      return state.directory
    }
  }

  private static func read(_ path: String, _ hashing: any ContentHashing) throws -> Directory {
    guard let bytes = FileManager.default.contents(atPath: path) else {
      throw DirectoryError(.malformed, "directory.file: “\(path)” cannot be read")
    }
    return try Directory.decode(bytes, hashing: hashing)
  }

  private static func stamp(_ path: String) -> Stamp? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return Stamp(
      seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec,
      size: Int(status.st_size), inode: status.st_ino)
  }
}
