package import ExchangeCore

/// A `PublishSource` in memory: hands out what was submitted, offers unknown messages again, and
/// keeps count, so that a test can see every promise of the port kept.
package final class RecordingSource: PublishSource {
  /// Everything that happened, and the faults that are still to happen.
  package struct State: Sendable {
    /// Due, in order.
    package var queue: [OutboundMessage] = []
    /// Taken by the transport and without an outcome.
    package var handedOut: [UInt64: OutboundMessage] = [:]
    /// The last outcome of each token that is not `unknown`.
    package var final: [UInt64: PublishOutcome] = [:]
    /// How often a message had to be offered again.
    package var unknowns = 0
    /// Connection events in order.
    package var links: [LinkState] = []
    /// Outcomes for messages that were not handed out: always a mistake of the transport.
    package var strays = 0
    /// How many of the next calls of `settle` throw.
    package var settleFailures = 0
    /// How many of the next calls of `next` throw.
    package var nextFailures = 0
    /// Commits so far.
    package var settleCalls = 0
    /// The largest count that `next` was asked for.
    package var largestRequest = 0
    /// What `nextDue` answers.
    package var nextDue: Timestamp?
  }

  /// The fault of a store that a test asked for.
  package struct Trouble: Error {
    /// Nothing to set: tests change the state.
    package init() {}
  }

  /// Wait on it for what the transport does.
  package let state = Watched(State())

  /// Nothing to set: tests change the state.
  package init() {}

  /// Adds to the end of what is due; the publisher has to be woken.
  package func submit(_ messages: [OutboundMessage]) {
    state.update { $0.queue.append(contentsOf: messages) }
  }

  /// As the port says; throws `Trouble` while `nextFailures` lasts.
  package func next(count: Int, bytes: Int) throws -> [OutboundMessage] {
    try state.update { state in
      if state.nextFailures > 0 {
        state.nextFailures -= 1
        throw Trouble()
      }
      state.largestRequest = max(state.largestRequest, count)
      var taken: [OutboundMessage] = []
      var sum = 0
      while let message = state.queue.first, taken.count < count,
        taken.isEmpty || sum + message.body.count <= bytes
      {
        state.queue.removeFirst()
        sum += message.body.count
        taken.append(message)
        state.handedOut[message.token] = message
      }
      return taken
    }
  }

  /// As the port says; throws `Trouble` while `settleFailures` lasts.
  package func settle(_ outcomes: [(token: UInt64, outcome: PublishOutcome)]) throws {
    try state.update { state in
      if state.settleFailures > 0 {
        state.settleFailures -= 1
        throw Trouble()
      }
      state.settleCalls += 1
      var again: [OutboundMessage] = []
      for (token, outcome) in outcomes {
        guard let message = state.handedOut.removeValue(forKey: token) else {
          state.strays += 1
          continue
        }
        if outcome == .unknown {
          state.unknowns += 1
          again.append(message)
        } else {
          state.final[token] = outcome
        }
      }
      state.queue.insert(contentsOf: again, at: 0)
    }
  }

  /// As the port says.
  package func nextDue() throws -> Timestamp? { state.value.nextDue }

  /// As the port says.
  package func connectionChanged(_ link: LinkState) { state.update { $0.links.append(link) } }
}

/// A `DeliverySink` in memory.
package final class RecordingSink: DeliverySink {
  /// Everything that happened, and the faults that are still to happen.
  package struct State: Sendable {
    /// Stored, in order.
    package var messages: [InboundMessage] = []
    /// The sizes of the stored batches.
    package var batches: [Int] = []
    /// Connection events in order.
    package var links: [LinkState] = []
    /// How often the queue was said to be quiet.
    package var idles = 0
    /// How many of the next calls of `store` throw.
    package var storeFailures = 0
    /// How many of the next calls of `requireRoom` throw.
    package var roomFailures = 0
    /// False: bodies are dropped, for tests of memory.
    package var keepsBodies = true
  }

  /// Wait on it for what the transport does.
  package let state = Watched(State())

  /// Nothing to set: tests change the state.
  package init() {}

  /// As the port says; throws `Trouble` while `roomFailures` lasts.
  package func requireRoom() throws {
    try state.update { state in
      guard state.roomFailures > 0 else { return }
      state.roomFailures -= 1
      throw RecordingSource.Trouble()
    }
  }

  /// As the port says; throws `Trouble` while `storeFailures` lasts.
  package func store(_ batch: [InboundMessage]) throws {
    try state.update { state in
      if state.storeFailures > 0 {
        state.storeFailures -= 1
        throw RecordingSource.Trouble()
      }
      state.batches.append(batch.count)
      state.messages += state.keepsBodies ? batch : batch.map(\.withoutBody)
    }
  }

  /// As the port says.
  package func connectionChanged(_ link: LinkState) { state.update { $0.links.append(link) } }

  /// As the port says.
  package func wentIdle() { state.update { $0.idles += 1 } }
}

extension InboundMessage {
  fileprivate var withoutBody: InboundMessage {
    InboundMessage(
      assertedSender: assertedSender, lane: lane, redelivered: redelivered, envelope: envelope,
      body: nil, bodySize: bodySize)
  }
}

extension [LinkState] {
  /// The codes of all failures, in order.
  package var downCodes: [String] {
    compactMap { if case .down(let code, _, _) = $0 { code } else { nil } }
  }
}
