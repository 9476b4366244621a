package import ExchangeCore
import Synchronization

/// A directory that is corrected while the node runs.
package final class ChangingDirectory: DirectorySource {
  private let value: Mutex<Directory>

  package init(_ directory: Directory) { value = Mutex(directory) }

  package var current: Directory { value.withLock { $0 } }

  package func change(to directory: Directory) { value.withLock { $0 = directory } }
}
