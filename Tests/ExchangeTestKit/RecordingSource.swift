package import ExchangeCore

/// A `PublishSource` in memory: hands out what was submitted, offers unknown messages again, and
/// keeps count, so that a test can see every promise of the port kept.
package final class RecordingSource: PublishSource {
  package struct State: Sendable {
    package var queue: [OutboundMessage] = []
    package var handedOut: [UInt64: OutboundMessage] = [:]
    /// The last outcome of each token that is not `unknown`.
    package var final: [UInt64: PublishOutcome] = [:]
    package var unknowns = 0
    package var links: [LinkState] = []
    /// Outcomes for messages that were not handed out: always a mistake of the transport.
    package var strays = 0
    package var settleFailures = 0
    package var nextFailures = 0
    package var settleCalls = 0
    package var largestRequest = 0
    package var nextDue: Timestamp?
  }

  package struct Trouble: Error {
    package init() {}
  }

  package let state = Watched(State())

  package init() {}

  package func submit(_ messages: [OutboundMessage]) {
    state.update { $0.queue.append(contentsOf: messages) }
  }

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

  package func nextDue() throws -> Timestamp? { state.value.nextDue }

  package func connectionChanged(_ link: LinkState) { state.update { $0.links.append(link) } }
}

/// A `DeliverySink` in memory.
package final class RecordingSink: DeliverySink {
  package struct State: Sendable {
    package var messages: [InboundMessage] = []
    package var batches: [Int] = []
    package var links: [LinkState] = []
    package var idles = 0
    package var storeFailures = 0
    package var keepsBodies = true
  }

  package let state = Watched(State())

  package init() {}

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

  package func connectionChanged(_ link: LinkState) { state.update { $0.links.append(link) } }

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
