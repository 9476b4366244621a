import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// A named place where a power cut would hurt most: before and after every commit, sync, rename,
/// publish and acknowledgement. Tests end the process there with SIGKILL.
///
/// In production a pass costs one comparison. `CONGVAN_CRASH_AT=name:n` ends the process at the n-th
/// pass of `name`.
package enum CrashPoint: String, Sendable, CaseIterable {
  case issueBeforeCommit = "issue.before-commit"
  case issueAfterCommit = "issue.after-commit"
  case intakeBeforeCommit = "intake.before-commit"
  case intakeAfterCommit = "intake.after-commit"
  case judgeBeforeCommit = "judge.before-commit"
  case judgeAfterCommit = "judge.after-commit"
  case settleBeforeCommit = "settle.before-commit"
  case settleAfterCommit = "settle.after-commit"
  case assembleBeforeCommit = "assemble.before-commit"
  case assembleAfterCommit = "assemble.after-commit"
  case contentBeforeSync = "content.before-sync"
  case contentBeforeRename = "content.before-rename"
  case contentAfterRename = "content.after-rename"
  case spoolBeforeSync = "spool.before-sync"
  case spoolAfterSync = "spool.after-sync"
  case publishBefore = "publish.before"
  case publishAfter = "publish.after"
  case confirmAfter = "confirm.after"
  case ackBefore = "ack.before"
  case ackAfter = "ack.after"

  private static let armed: (point: CrashPoint, pass: Int)? = {
    guard let text = ProcessInfo.processInfo.environment["CONGVAN_CRASH_AT"] else { return nil }
    let parts = text.split(separator: ":")
    guard let point = parts.first.flatMap({ CrashPoint(rawValue: String($0)) }) else {
      preconditionFailure("CONGVAN_CRASH_AT names no crash point: \(text)")
    }
    return (point, parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
  }()

  private static let passes = Atomic(0)

  /// Ends the process here when a test asked for it.
  package func pass() {
    guard let armed = Self.armed, armed.point == self else { return }
    if Self.passes.add(1, ordering: .relaxed).newValue == armed.pass {
      kill(getpid(), SIGKILL)
      // The signal is on its way; nothing more happens in this process.
      while true { pause() }
    }
  }
}
