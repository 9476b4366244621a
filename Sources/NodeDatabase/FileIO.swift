import ExchangeCore
package import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// An open file: closed exactly once, at the end of its owner's life.
package struct OpenFile: ~Copyable {
  package let descriptor: CInt

  /// Opens `path`; `flags` as open(2), always with `O_CLOEXEC`. New files get mode 0600.
  package init(_ path: String, _ flags: CInt) throws(StoreError) {
    let descriptor = open(path, flags | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw StoreError.system("open", path) }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  package func status() throws(StoreError) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw StoreError.system("stat", "content") }
    return status
  }

  /// Reads until `count` bytes are there or the file ends.
  package func read(count: Int, at offset: Int64) throws(StoreError) -> Data {
    try FileIO.read(descriptor, count: count, at: offset)
  }

  package func write(_ data: Data, at offset: Int64) throws(StoreError) {
    var written = 0
    while written < data.count {
      let put = data.withUnsafeBytes { buffer in
        pwrite(
          descriptor, buffer.baseAddress?.advanced(by: written), data.count - written,
          off_t(offset) + off_t(written))
      }
      if put < 0 && errno == EINTR { continue }
      guard put > 0 else { throw StoreError.system("write", "content") }
      written += put
    }
  }

  /// The data, and the size needed to read it, are on the disk when this returns. A failed sync is
  /// never retried: the kernel may have dropped the pages (USENIX ATC '20).
  package func sync() throws(StoreError) {
    guard fdatasync(descriptor) == 0 else { throw StoreError.system("fdatasync", "content") }
  }
}

package enum FileIO {
  /// Reads until `count` bytes are there or the file ends.
  package static func read(_ descriptor: CInt, count: Int, at offset: Int64) throws(StoreError)
    -> Data
  {
    var data = Data(count: count)
    var filled = 0
    while filled < count {
      let got = data.withUnsafeMutableBytes { buffer in
        pread(
          descriptor, buffer.baseAddress?.advanced(by: filled), count - filled,
          off_t(offset) + off_t(filled))
      }
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw StoreError.system("read", "content") }
      if got == 0 { break }
      filled += got
    }
    return filled == count ? data : data.prefix(filled)
  }

  package static func makeFolder(_ path: String) throws(StoreError) {
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw StoreError.system("mkdir", path) }
  }

  /// Makes a rename or a new name in `folder` durable.
  package static func syncFolder(_ folder: String) throws(StoreError) {
    let file = try OpenFile(folder, O_RDONLY | O_DIRECTORY)
    guard fsync(file.descriptor) == 0 else { throw StoreError.system("fsync", folder) }
  }

  package static func rename(_ from: String, to: String) throws(StoreError) {
    guard Glibc.rename(from, to) == 0 else { throw StoreError.system("rename", to) }
  }

  package static func size(_ path: String) -> Int64? {
    var status = stat()
    return stat(path, &status) == 0 ? Int64(status.st_size) : nil
  }

  /// True when nothing has this name, not even a link that leads nowhere.
  package static func isMissing(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) != 0 && errno == ENOENT
  }

  package static func remove(_ path: String) { unlink(path) }

  /// True when the file system of `path` is mounted read-only.
  package static func isReadOnly(_ path: String) -> Bool {
    var status = statvfs()
    return statvfs(path, &status) == 0 && status.f_flag & UInt(ST_RDONLY) != 0
  }
}

extension stat {
  /// False when the file was written between the two looks.
  package func isSameFile(as other: stat) -> Bool {
    st_size == other.st_size && st_mtim.tv_sec == other.st_mtim.tv_sec
      && st_mtim.tv_nsec == other.st_mtim.tv_nsec
  }
}

extension StoreError {
  /// The failure of the system call just made; reads `errno`.
  package static func system(_ call: String, _ what: String) -> StoreError {
    let number = errno
    let kind: StoreErrorCode =
      switch number {
      case ENOSPC, EDQUOT: .full
      case EROFS: .readOnly
      case EACCES, EPERM: .denied
      default: .fileSystem
      }
    guard what.contains("/") else {
      return StoreError(kind, "\(call) \(what): \(String(cString: strerror(number)))")
    }
    let problem = PathProblem(number, path: what)
    return StoreError(
      kind, "\(call) \(problem.reason)", next: kind == .full ? nil : problem.next)
  }
}
