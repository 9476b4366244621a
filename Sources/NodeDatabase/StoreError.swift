package import ExchangeCore
package import GRDB

/// Why the node's database or blob folder could not be used.
package typealias StoreError = Failure<StoreErrorCode>

package enum StoreErrorCode: String, FailureCode {
  case missing = "STORE-MISSING"
  case unusable = "STORE-UNUSABLE"
  case notDurable = "STORE-NOT-DURABLE"
  case newer = "STORE-NEWER"
  case corrupt = "STORE-CORRUPT"
  case locked = "NODE-ALREADY-RUNNING"
  case full = "STORE-DISK-FULL"
  case readOnly = "STORE-READ-ONLY"
  case busy = "STORE-BUSY"
  case fileSystem = "STORE-FILE-SYSTEM"
  case denied = "PERMISSION-DENIED"
  case contentMissing = "STORE-CONTENT-MISSING"
  case contentDamaged = "STORE-CONTENT-DAMAGED"
  case illegalTransition = "STORE-ILLEGAL-TRANSITION"
  case changed = "CHANGED-MEANWHILE"
  case notFound = "NOT-FOUND"
  case ambiguous = "ID-AMBIGUOUS"

  package var hint: String {
    switch self {
    case .missing:
      "Name the right folder with --dir; make one with: congvan init --unit ID --name NAME"
    case .unusable: "Look at the database with: congvan check; and at the disk: df, dmesg"
    case .notDurable: "Use the SQLite of the distribution; the node refuses to run without fsync."
    case .newer: "Run the version of congvan that last used this folder, or a newer one."
    case .corrupt: "Stop the node, keep the folder, and restore the last backup."
    case .locked: "Only one daemon may run on a folder; stop the other one first."
    case .full: "Free disk space; nothing is lost, the node goes on by itself."
    case .readOnly: "Make the node's folder and its disk writable for this user."
    case .busy: "Another process keeps the database locked; try again."
    case .denied: "Run the command as the user that owns the node's folder: sudo -u USER congvan …"
    case .fileSystem: "Check free space and permissions of the node's folder."
    case .contentMissing, .contentDamaged:
      "Restore blobs/ from the backup, or: congvan check --repair FILE; then: congvan resend ID"
    case .illegalTransition: "Look at the current state with: congvan show ID"
    case .changed: "Another command acted on it at the same time; see: congvan show ID"
    case .notFound: "List what there is with: congvan outbox, congvan inbox"
    case .ambiguous:
      "Give more characters of the id, or the id as it is shown by congvan outbox or inbox."
    }
  }
}

extension StoreError {
  /// A failure of SQLite, without the values that were bound.
  package init(_ error: DatabaseError) {
    let message = error.message ?? "no message"
    let kind: StoreErrorCode =
      switch error.resultCode {
      case .SQLITE_FULL: .full
      case .SQLITE_READONLY, .SQLITE_PERM: .readOnly
      case .SQLITE_BUSY, .SQLITE_LOCKED: .busy
      case .SQLITE_CORRUPT, .SQLITE_NOTADB: .corrupt
      case .SQLITE_CONSTRAINT where message.contains("illegal transition"): .illegalTransition
      default: .unusable
      }
    self.init(kind, "database: \(message) (\(error.extendedResultCode.rawValue))")
  }
}
