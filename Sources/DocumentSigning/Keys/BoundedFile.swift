import ExchangeCore
import Foundation

/// Reads the small files that an operator names: keys, certificates, revocation lists.
enum BoundedFile {
  /// Key and certificate files are a few kilobytes.
  static let keyBytes = 1 << 20
  /// The largest public authorities publish revocation lists of some ten megabytes.
  static let revocationBytes = 64 << 20

  /// The whole file; `code` and the path are in the error when it cannot be read or is longer than
  /// `limit` bytes.
  static func read(_ path: String, limit: Int, code: SigningErrorCode) throws(SigningError) -> Data
  {
    let bytes: Data
    do {
      let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { try? handle.close() }
      // One byte more than allowed tells a file that is too long from one that just fits, without
      // reading a wrongly named disk image to its end.
      bytes = try handle.read(upToCount: limit + 1) ?? Data()
    } catch {
      throw SigningError(code, "\(path): \(error.localizedDescription)")
    }
    guard bytes.count <= limit else {
      throw SigningError(code, "\(path): longer than \(limit) bytes")
    }
    return bytes
  }
}
