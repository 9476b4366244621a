import Glibc
import Synchronization

/// The deadline of the library call that one connection is in, readable by the watchdog.
///
/// It holds a duplicate of the socket's descriptor: rabbitmq-c closes its own on some errors, and
/// the number may by then belong to another file. `shutdown` on the duplicate ends the same TCP
/// connection and is harmless afterwards.
final class CallWatch: Sendable {
  private let socket: Int32
  private let deadline = Atomic<UInt64>(0)
  private let expired = Atomic<Bool>(false)

  /// Duplicates `socket`; nil when the process has no descriptor left.
  init?(socket: Int32) {
    let copy = fcntl(socket, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { return nil }
    self.socket = copy
  }

  deinit { close(socket) }

  /// True once the watchdog has cut the connection.
  var hasExpired: Bool { expired.load(ordering: .acquiring) }

  func arm(until moment: UInt64) { deadline.store(moment, ordering: .releasing) }

  func disarm() { deadline.store(0, ordering: .releasing) }

  /// Called by the watchdog: ends the connection when the call is late. A call that returns at this
  /// very moment loses its connection too, which was over its time anyway.
  func expire(now: UInt64) {
    let moment = deadline.load(ordering: .acquiring)
    guard moment != 0, moment < now, !expired.exchange(true, ordering: .acquiringAndReleasing)
    else { return }
    shutdown(socket, Int32(SHUT_RDWR))
  }
}
