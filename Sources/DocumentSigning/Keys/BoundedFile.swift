import ExchangeCore
package import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Reads the small files that an operator names: keys, certificates, revocation lists.
enum BoundedFile {
  /// Key and certificate files are a few kilobytes.
  static let keyBytes = 1 << 20
  /// The largest public authorities publish revocation lists of some ten megabytes.
  static let revocationBytes = 64 << 20

  /// The whole file, through links too; `code` and the path are in the error when it cannot be read or
  /// is longer than `limit` bytes.
  static func read(_ path: String, limit: Int, code: SigningErrorCode) throws(SigningError) -> Data
  {
    let file: OpenFile
    do throws(OpenFile.Problem) {
      file = try OpenFile(path)
    } catch {
      throw SigningError(code, "\(path): \(error.reason)", next: error.next)
    }
    let bytes: Data
    do {
      // One byte more than allowed tells a file that is too long from one that just fits.
      bytes = try file.handle.read(upToCount: limit + 1) ?? Data()
    } catch {
      throw SigningError(code, "\(path): \(error.localizedDescription)")
    }
    guard bytes.count <= limit else {
      throw SigningError(code, "\(path): longer than \(limit) bytes")
    }
    return bytes
  }
}

/// A regular file that is open for reading. Mode and owner are those of what is open, whatever links
/// lead there, and stay so when the path is changed meanwhile.
package struct OpenFile {
  /// Why a path does not lead to a regular file that can be read.
  package struct Problem: Error {
    /// A sentence's predicate: “does not exist”.
    package let reason: String
    package let next: String
  }

  package let handle: FileHandle
  /// The permission bits, for example 0o600.
  package let mode: UInt32
  /// The owner's user id.
  package let owner: UInt32

  /// Opens `path` without waiting for a pipe or device.
  package init(_ path: String) throws(Problem) {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.problem(path, errno) }
    handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.problem(path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      throw Problem(
        reason: isFolder ? "is a folder, not a file" : "is not a regular file",
        next: "Name the file itself.")
    }
    mode = status.st_mode & 0o7777
    owner = status.st_uid
  }

  private static func problem(_ path: String, _ error: Int32) -> Problem {
    switch error {
    case ENOENT:
      var link = stat()
      guard lstat(path, &link) == 0 else {
        return Problem(
          reason: "does not exist",
          next: "Check the path; relative paths start at the node's folder.")
      }
      let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
      return Problem(
        reason: "is a link to “\(target ?? "?")”, and that leads to no file",
        next: "Put the file there, or correct the link.")
    case ELOOP:
      return Problem(reason: "is a link that leads in a circle", next: "Correct the link.")
    case EACCES, EPERM:
      return Problem(
        reason: "must not be read by this user (uid \(geteuid()))",
        next:
          "Run the command as the user of the node's daemon, or give this user the right to read "
          + "the file and to enter its folders.")
    case ENOTDIR:
      return Problem(
        reason: "does not exist: a part of the path is a file, not a folder",
        next: "Check the path; relative paths start at the node's folder.")
    default:
      return Problem(
        reason: String(cString: strerror(error)), next: "Check the path and the disk.")
    }
  }
}
