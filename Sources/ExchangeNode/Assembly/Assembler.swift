import ExchangeCore
import ExchangeStore
package import Logging
import NodeDatabase

/// Puts attachments of several pieces together: hashes the spool file, which becomes the content.
package struct Assembler: Sendable {
  /// Files of one step, and their bytes. After a step the review sees them, a stop is noticed, and the
  /// next sender has its turn.
  private static let batch = 16
  private static let batchBytes: Int64 = 64 << 20

  private let context: NodeContext
  private let log: Logger

  package init(context: NodeContext, log: Logger) {
    self.context = context
    self.log = log
  }

  /// Hashes attachments whose pieces have all arrived. Runs on a thread of its own, because a large file
  /// takes seconds. Returns how many it finished. A file that fails delays no other; its error is thrown
  /// when nothing else was finished.
  package func step() throws -> Int {
    var finished = 0
    var bytes: Int64 = 0
    var failure: (any Error)?
    for transfer in try context.store.contents.completeTransfers() {
      do {
        try assemble(transfer)
        finished += 1
        bytes += transfer.size
        if finished == Self.batch || bytes >= Self.batchBytes { return finished }
      } catch let error as StoreError
        where error.kind == .contentMissing || error.kind == .contentDamaged
      {
        log.error(
          "pieces that came are lost here and have to come again", metadata: ["error": "\(error)"])
        try context.store.contents.lose(transfer, at: context.clock.now)
      } catch {
        failure = error
      }
    }
    if let failure, finished == 0 { throw failure }
    return finished
  }

  private func assemble(_ transfer: Transfer) throws {
    let files = context.store.files
    let name = files.spoolName(
      sender: transfer.sender, sha256: transfer.sha256, size: transfer.size)
    try files.keeping {
      let isIntact = try files.assemble(name, digest: transfer.sha256, size: transfer.size)
      try context.store.contents.finish(transfer, isIntact: isIntact, at: context.clock.now)
    }
  }
}
