import COpenSSL
import Foundation

/// `pem_password_cb *`: fills the buffer and returns the length, or -1.
typealias PassphraseCallback =
  @convention(c) (
    UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?
  ) -> Int32

/// Reading a PEM text that holds several blocks.
enum PEMBlocks {
  /// Answers "no pass phrase". Without a callback OpenSSL would ask on the terminal, and a daemon
  /// would hang there.
  static let noPassphrase: PassphraseCallback = { _, _, _, _ in -1 }

  /// Calls `next` until the text ends; `own` takes each object over at once, so that a text that
  /// breaks off leaks nothing. Nil when a block is broken; empty when there is none.
  static func read<Owner>(
    _ text: Data, next: (OpaquePointer) -> OpaquePointer?, own: (OpaquePointer) -> Owner
  ) -> [Owner]? {
    MemoryBIO.reading(text) { bio in
      OpenSSLErrors.clear()
      var owners: [Owner] = []
      while let object = next(bio) { owners.append(own(object)) }
      let last = OpenSSLErrors.drain().entries.last
      let isAtEnd = last?.library == ERR_LIB_PEM && last?.reason == PEM_R_NO_START_LINE
      return isAtEnd ? owners : nil
    }
  }
}
