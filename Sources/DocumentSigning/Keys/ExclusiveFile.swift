import ExchangeCore
import Foundation

/// Writes a file that must not exist yet.
enum ExclusiveFile {
  /// O_EXCL also refuses a symbolic link, so nobody can have the key written elsewhere, and the mode
  /// is there from the first moment. The file is on disk when this returns; after a failure it is
  /// gone. Throws `KEY-EXISTS` or `KEY-NOT-WRITTEN`.
  static func write(_ bytes: Data, to path: String, mode: mode_t) throws(SigningError) {
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard file >= 0 else {
      let code: SigningErrorCode = errno == EEXIST ? .keyExists : .keyNotWritten
      throw SigningError(code, "\(path): \(String(cString: strerror(errno)))")
    }
    var problem = writeAll(bytes, to: file)
    if problem == nil, fsync(file) != 0 { problem = errno }
    if close(file) != 0, problem == nil { problem = errno }
    if let problem {
      unlink(path)
      throw SigningError(.keyNotWritten, "\(path): \(String(cString: strerror(problem)))")
    }
  }

  /// Nil, or the errno that ended it.
  private static func writeAll(_ bytes: Data, to file: Int32) -> Int32? {
    bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < buffer.count {
        let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
        let count = Foundation.write(file, rest.baseAddress, rest.count)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return count < 0 ? errno : EIO }
        done += count
      }
      return nil
    }
  }
}
