package import Foundation

/// Computes SHA-256. The core only decides what is hashed.
package protocol ContentHashing: Sendable {
  func sha256(_ bytes: Data) -> SHA256Digest
  /// A new running hash. Not shared between threads.
  func makeHash() -> any RunningHash
}

/// A hash in progress: memory stays flat however long the content is.
package protocol RunningHash: AnyObject {
  func update(_ bytes: Data)
  /// Ends the hash; the object is not used again.
  func finish() -> SHA256Digest
}
