import Foundation

/// Where the node's core gets the time from. Deadlines are values computed from it; tests hand in
/// a clock that stands still until it is moved.
package protocol WallClock: Sendable {
  var now: Timestamp { get }
}

/// The machine's clock.
package struct SystemClock: WallClock {
  package init() {}
  package var now: Timestamp { Timestamp(Date()) }
}
