package import ExchangeCore
package import ExchangeStore

/// What an operator does with messages that were not believed.
package struct Quarantine: Sendable {
  private let store: Store
  private let actor: Actor
  private let clock: any WallClock

  package init(store: Store, actor: Actor, clock: any WallClock) {
    self.store = store
    self.actor = actor
    self.clock = clock
  }

  /// What became of several messages.
  package struct Outcome: Sendable {
    package fileprivate(set) var done: [Int64] = []
    package fileprivate(set) var failures: [(id: Int64, error: any Error)] = []
  }

  /// Has the messages reviewed anew by the same rules. `done` is called after each one that is
  /// committed. Throws `DocumentError` for a reason that cannot be recorded.
  package func release(_ ids: [Int64], reason: String, done: (Int64) -> Void) throws -> Outcome {
    try each(ids, reason: reason, done: done) { id, reason in
      try store.joining.release(quarantined: id, reason: reason, at: clock.now, by: actor)
    }
  }

  /// Puts the messages aside for good; row, body and history stay. As `release`.
  package func discard(_ ids: [Int64], reason: String, done: (Int64) -> Void) throws -> Outcome {
    try each(ids, reason: reason, done: done) { id, reason in
      try store.joining.discard(quarantined: id, reason: reason, at: clock.now, by: actor)
    }
  }

  /// Messages beyond a sender's quota, which were counted and not kept; the latest first.
  package func counts() throws -> [DroppedMessages] { try store.reader.dropped() }

  /// A message that fails is no reason to leave out those after it.
  private func each(
    _ ids: [Int64], reason: String, done: (Int64) -> Void,
    _ act: (Int64, String) throws -> Void
  ) throws -> Outcome {
    let reason = try ActReason.checked(reason)
    var outcome = Outcome()
    for id in ids {
      do {
        try act(id, reason)
        outcome.done.append(id)
        done(id)
      } catch {
        outcome.failures.append((id, error))
      }
    }
    return outcome
  }
}
