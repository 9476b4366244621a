import COpenSSL
import Foundation

/// BIOs over memory, each alive only inside the closure it is lent to.
enum MemoryBIO {
  /// Lends a read-only BIO over `bytes` without copying them. Nil when OpenSSL has no memory, or
  /// when there are more than 2 GiB.
  static func reading<Result>(_ bytes: Data, _ body: (OpaquePointer) -> Result?) -> Result? {
    guard let count = Int32(exactly: bytes.count) else { return nil }
    return bytes.withUnsafeBytes { buffer in
      // An empty buffer may have no address, and BIO_new_mem_buf refuses NULL.
      var nothing: UInt8 = 0
      return withUnsafePointer(to: &nothing) { fallback in
        guard let bio = BIO_new_mem_buf(buffer.baseAddress ?? UnsafeRawPointer(fallback), count)
        else { return nil }
        defer { BIO_free(bio) }
        return body(bio)
      }
    }
  }

  /// What `body` writes into the BIO it is lent. Nil when `body` returns false.
  static func writing(_ body: (OpaquePointer) -> Bool) -> Data? {
    guard let bio = BIO_new(BIO_s_mem()) else { return nil }
    defer { BIO_free(bio) }
    guard body(bio) else { return nil }
    var bytes: UnsafeMutablePointer<CChar>?
    let count = congvan_bio_memory(bio, &bytes)
    guard let bytes, count > 0 else { return Data() }
    return Data(bytes: bytes, count: count)
  }
}
