package import ExchangeCore
package import Foundation
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
  private let inspect: @Sendable (Data) -> String?
  private let state: Mutex<State>

  /// Throws `DirectoryError` when the file is missing or wrong. `inspect` says what is wrong with the
  /// DER of a listed certificate, nil when it is one.
  package init(
    path: String, hashing: any ContentHashing, log: Logger? = nil,
    inspect: @escaping @Sendable (Data) -> String? = { _ in nil }
  ) throws {
    self.path = path
    self.hashing = hashing
    self.log = log
    self.inspect = inspect
    let stamp = Self.stamp(path)
    let directory = try Self.read(path, hashing, inspect)
    Self.report(directory, log)
    state = Mutex(
      State(
        directory: directory,
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
        state.directory = try Self.read(path, hashing, inspect)
        Self.report(state.directory, log)
        log?.info("directory read again", metadata: ["units": "\(state.directory.units.count)"])
      } catch {
        log?.error("the new directory is not used", metadata: ["error": "\(error)"])
      }
      return state.directory
    }
  }

  private static func read(
    _ path: String, _ hashing: any ContentHashing, _ inspect: (Data) -> String?
  ) throws -> Directory {
    let file = "directory.file “\(path)”"
    do {
      let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      return try Directory.decode(bytes, hashing: hashing, file: file, inspect: inspect)
    } catch let error as CocoaError {
      throw unreadable(path, file, error)
    }
  }

  /// A path that leads to no file says nothing about the directory itself.
  private static func unreadable(_ path: String, _ file: String, _ error: CocoaError)
    -> DirectoryError
  {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      return DirectoryError(
        .malformed, "\(file): is a folder, not a file",
        next: "Name the file itself in directory.file, for example directory.json.")
    }
    switch error.code {
    case .fileReadNoSuchFile, .fileNoSuchFile:
      var link = stat()
      let isLink = lstat(path, &link) == 0
      return DirectoryError(
        .malformed,
        "\(file): \(isLink ? "is a link that leads to no file" : "does not exist")",
        next: "Put the directory file of the federation there, or correct the path in "
          + "directory.file; relative paths start at the node's folder.")
    case .fileReadNoPermission:
      return DirectoryError(
        .malformed, "\(file): this user must not read it",
        next: "Give this user the right to read the file and to enter its folders.")
    default:
      return DirectoryError(
        .malformed, "\(file): cannot be read: \(error.localizedDescription)",
        next: "Check the path in directory.file, the file's permissions and the disk.")
    }
  }

  /// Certificates that cannot be read concern one unit each: the others go on.
  private static func report(_ directory: Directory, _ log: Logger?) {
    guard let log else { return }
    let broken = directory.units.flatMap { unit in
      unit.listed.compactMap { entry in entry.problem.map { (unit.id, $0) } }
    }
    for (unit, problem) in broken.prefix(10) {
      log.warning(
        "a certificate in the directory cannot be read: what is signed with it is not believed",
        metadata: ["unit": "\(unit)", "problem": "\(problem)"])
    }
    if broken.count > 10 {
      log.warning(
        "certificates in the directory cannot be read", metadata: ["count": "\(broken.count)"])
    }
  }

  private static func stamp(_ path: String) -> Stamp? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return Stamp(
      seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec,
      size: Int(status.st_size), inode: status.st_ino)
  }
}
