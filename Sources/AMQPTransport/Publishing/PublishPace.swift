import ExchangeCore

/// How many messages may be in flight at once, beyond the window's own limits: one, or as many as
/// the window holds. A value without I/O.
///
/// One in two situations. On a fresh connection until the first answer, because a broker with a
/// memory or disk alarm says `connection.blocked` only after the first publish; a full window would
/// by then be stuck in a socket that nobody reads. And after the broker closed a channel with
/// several in flight, until all of those are settled: the close names no message,
/// so only one that was alone can be held responsible.
struct PublishPace {
  /// What makes a message the same one when the source offers it again.
  struct Identity: Hashable {
    let messageID: String
    let routingKey: String
  }

  private var inFlight: [UInt64: Identity] = [:]
  private var suspects: Set<Identity> = []
  /// Messages that may still go out alone while suspects are awaited.
  private var patience = 0
  private var isProven = false

  /// True when the next message must wait until nothing is in flight.
  var isAlone: Bool { !isProven || !suspects.isEmpty }

  mutating func connected() { isProven = false }

  mutating func published(_ token: UInt64, _ identity: Identity) { inFlight[token] = identity }

  /// The broker answered. A suspect that has been answered, whatever the answer, is none any more.
  mutating func settled(_ token: UInt64) {
    isProven = true
    guard let identity = inFlight.removeValue(forKey: token), !suspects.isEmpty else { return }
    suspects.remove(identity)
    patience -= 1
    if patience <= 0 { suspects = [] }
  }

  /// The connection is gone. `isAboutContent`: the broker objected to one of those in flight.
  mutating func lost(isAboutContent: Bool) {
    if isAboutContent, inFlight.count > 1 {
      suspects.formUnion(inFlight.values)
      // Not for ever: they may never come back, and a long backlog must not crawl.
      patience = 4 * suspects.count
    } else if isAboutContent {
      // It was alone, so it is named and refused: answered.
      suspects.subtract(inFlight.values)
    }
    inFlight = [:]
  }

  /// The source has nothing due: what it was told is unknown is not coming back.
  mutating func sourceIsEmpty() {
    if inFlight.isEmpty { suspects = [] }
  }
}
