import ExchangeCore
import Foundation
package import NodeDatabase

#if canImport(Glibc)
  import Glibc
#endif

/// The right to run the daemon on a folder: an advisory lock that the kernel drops when the process
/// ends, however it ends.
package struct NodeLock: ~Copyable {
  private let descriptor: CInt

  /// Throws `StoreError.locked` when another daemon has the folder.
  package init(folder: String) throws(StoreError) {
    let path = "\(folder)/node.lock"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw StoreError.system("open", path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw StoreError(.locked, "\(folder): a daemon is running on this folder")
    }
  }

  deinit { close(descriptor) }
}
