import CRabbitMQ
import Glibc

/// An eventfd(2) that other threads write to and that the owning loop polls beside its socket, so
/// a stop or new work is noticed at once and not at the next timer.
///
/// Kept alive by everyone who may still write; the descriptor is closed with the last of them.
final class WakeDescriptor: Sendable {
  private let descriptor: Int32

  /// Without descriptors left the value is unusable but harmless: loops then fall back to their
  /// timers.
  init() { descriptor = congvan_eventfd() }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func wake() {
    var one: UInt64 = 1
    // A full counter means that a wake is pending already.
    _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
  }

  /// True when somebody woke since the last call.
  func take() -> Bool {
    var count: UInt64 = 0
    return read(descriptor, &count, MemoryLayout<UInt64>.size) == MemoryLayout<UInt64>.size
  }

  /// Waits until `socket` is readable, somebody wakes, or `nanoseconds` have passed. A `socket` of
  /// -1 is left out. Signals and errors return early; the caller looks again anyway.
  func wait(socket: Int32, nanoseconds: UInt64) {
    var polled = [
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
    ]
    // Rounded up, or the last millisecond of a wait would spin.
    let milliseconds = Int32(min((nanoseconds + 999_999) / 1_000_000, 60_000))
    _ = poll(&polled, 2, milliseconds)
  }
}
