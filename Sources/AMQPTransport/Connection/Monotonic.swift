import Glibc

/// Moments of the machine's monotonic clock (CLOCK_MONOTONIC) in nanoseconds. Used for deadlines,
/// which a change of the wall clock must not move.
enum Monotonic {
  static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// The moment `duration` from now; `now` for a negative one.
  static func after(_ duration: Duration) -> UInt64 { now + duration.wholeNanoseconds }
}

extension Duration {
  /// Nanoseconds, zero when negative, at most about 146 years.
  var wholeNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    return UInt64(min(seconds, 1 << 32)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
  }

  /// For C calls that take a `timeval`; at least one microsecond.
  var timeValue: timeval {
    let nanoseconds = wholeNanoseconds
    return timeval(
      tv_sec: Int(nanoseconds / 1_000_000_000),
      tv_usec: max(1, Int(nanoseconds % 1_000_000_000 / 1000)))
  }
}
