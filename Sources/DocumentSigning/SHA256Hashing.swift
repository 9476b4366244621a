import COpenSSL
package import ExchangeCore
package import Foundation

/// SHA-256 with OpenSSL's EVP interface (FIPS 180-4). Holds nothing; safe on any thread.
///
/// Hashing fails only when the machine is out of memory or OpenSSL has no SHA-256 at all. Neither
/// can be repaired by a caller and a wrong digest must never be returned, so both trap.
package struct OpenSSLHashing: ContentHashing {
  /// Nothing to prepare.
  package init() {}

  /// The digest of `bytes`, in one call.
  package func sha256(_ bytes: Data) -> SHA256Digest {
    let hash = RunningSHA256()
    hash.update(bytes)
    return hash.finish()
  }

  /// A new running hash. Belongs to one thread at a time.
  package func makeHash() -> any RunningHash { RunningSHA256() }
}

/// Owns one EVP_MD_CTX.
private final class RunningSHA256: RunningHash {
  private let context: OpaquePointer

  init() {
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      fatalError("OpenSSL cannot start SHA-256: \(OpenSSLErrors.drain().text)")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  func update(_ bytes: Data) {
    // A Data may consist of several regions; none of them is copied.
    for region in bytes.regions {
      let done = region.withUnsafeBytes { EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
      precondition(done == 1, "OpenSSL cannot continue SHA-256")
    }
  }

  func finish() -> SHA256Digest {
    var bytes = [UInt8](repeating: 0, count: SHA256Digest.byteCount)
    let done = EVP_DigestFinal_ex(context, &bytes, nil)
    guard done == 1, let digest = SHA256Digest(bytes: Data(bytes)) else {
      fatalError("OpenSSL cannot finish SHA-256; was the hash used after finish()?")
    }
    return digest
  }
}
