package import ExchangeCore
import Foundation
import Synchronization

/// A broker in memory: two queues per unit, and faults on the way in. Deterministic for a seed as
/// long as one thread drives it; safe on several.
///
/// It keeps a broker's promises: what is confirmed is in the queue, and a message that was not
/// acknowledged stays there. Only `corrupt` breaks one, as a hostile broker would.
package final class FakeBroker: Sendable {
  /// Each the chance in percent that it happens to a message.
  package struct Faults: Sendable {
    /// Not queued, and the answer is lost.
    package var drop = 0
    /// Queued, and the answer is lost.
    package var loseAnswer = 0
    /// Queued twice.
    package var duplicate = 0
    /// Put before others that came earlier.
    package var reorder = 0
    /// A byte is changed. Of a status a good copy follows later: nobody answers a status.
    package var corrupt = 0
    /// `basic.return` 312.
    package var giveBack = 0
    /// `basic.nack`.
    package var reject = 0

    /// No faults.
    package init() {}

    /// Everything that can go wrong, often.
    package static let storm: Faults = {
      var faults = Faults()
      (faults.drop, faults.loseAnswer, faults.duplicate, faults.reorder) = (10, 10, 15, 20)
      (faults.corrupt, faults.giveBack, faults.reject) = (6, 4, 6)
      return faults
    }()
  }

  /// A unit's queue.
  package struct Address: Hashable, Sendable {
    package let unit: UnitID
    package let lane: Lane

    package init(_ unit: UnitID, _ lane: Lane) {
      self.unit = unit
      self.lane = lane
    }
  }

  struct State {
    var random: SeededRandom
    var faults = Faults()
    var queues: [Address: [InboundMessage]] = [:]
    var published: [(from: UnitID, message: OutboundMessage)] = []
  }

  private let state: Mutex<State>

  /// A broker with empty queues for every unit that is ever named.
  package init(seed: UInt64 = 1) { state = Mutex(State(random: SeededRandom(seed: seed))) }

  package var faults: Faults {
    get { state.withLock { $0.faults } }
    set { state.withLock { $0.faults = newValue } }
  }

  /// Everything that was ever published, in order.
  package var published: [(from: UnitID, message: OutboundMessage)] {
    state.withLock { $0.published }
  }

  /// Puts a message into a queue as if the broker had routed it.
  package func put(_ message: InboundMessage, to unit: UnitID) {
    state.withLock { $0.queues[Address(unit, message.lane), default: []].append(message) }
  }

  /// Loses everything that waits in the queues: a queue was deleted, or the broker came back from an
  /// old backup.
  package func loseEverything() { state.withLock { $0.queues = [:] } }

  /// Asks `source` once for work, carries it, and settles the outcomes. Returns how many messages
  /// there were.
  @discardableResult
  package func publish(
    from source: any PublishSource, as unit: UnitID, count: Int = 64, bytes: Int = 16 << 20
  ) throws -> Int {
    let messages = try source.next(count: count, bytes: bytes)
    guard !messages.isEmpty else { return 0 }
    let outcomes = state.withLock { state in
      var outcomes = messages.map { (token: $0.token, outcome: state.carry($0, from: unit)) }
      if state.faults.reorder > 0 { outcomes.shuffle(using: &state.random) }
      return outcomes
    }
    try source.settle(outcomes)
    return messages.count
  }

  /// Hands up to `count` messages to `sink`, and removes them when it has stored them. With
  /// `losesAcknowledgement` they stay although they are stored: the connection broke.
  @discardableResult
  package func deliver(
    _ address: Address, into sink: any DeliverySink, count: Int = 64,
    losesAcknowledgement: Bool = false
  ) throws -> Int {
    let batch = state.withLock { state in
      let batch = Array(state.queues[address, default: []].prefix(count))
      state.queues[address]?.removeFirst(batch.count)
      return batch
    }
    guard !batch.isEmpty else { return 0 }
    do {
      try sink.store(batch)
      if losesAcknowledgement { putBack(batch, to: address) }
    } catch {
      putBack(batch, to: address)
      throw error
    }
    return batch.count
  }

  private func putBack(_ batch: [InboundMessage], to address: Address) {
    state.withLock { $0.queues[address, default: []].insert(contentsOf: batch, at: 0) }
  }
}

extension FakeBroker.State {
  mutating func carry(_ message: OutboundMessage, from unit: UnitID) -> PublishOutcome {
    published.append((unit, message))
    if random.chance(faults.drop) { return .unknown }
    if random.chance(faults.giveBack) { return .returned(code: 312, text: "NO_ROUTE") }
    if random.chance(faults.reject) { return .rejected }
    var body = message.body
    let isCorrupt = random.chance(faults.corrupt)
    if isCorrupt, !body.isEmpty {
      let index = body.startIndex + Int.random(in: 0..<body.count, using: &random)
      body[index] ^= UInt8.random(in: 1...255, using: &random)
    }
    for _ in 0..<(random.chance(faults.duplicate) ? 2 : 1) {
      enqueue(
        InboundMessage(
          assertedSender: unit, lane: message.lane, redelivered: false,
          envelope: message.envelope, body: body, bodySize: UInt64(body.count)), to: message.to)
    }
    if isCorrupt, message.envelope.kind == .status { return .unknown }
    return random.chance(faults.loseAnswer) ? .unknown : .confirmed
  }

  private mutating func enqueue(_ message: InboundMessage, to unit: UnitID) {
    var queue = queues[FakeBroker.Address(unit, message.lane), default: []]
    let place =
      random.chance(faults.reorder) ? Int.random(in: 0...queue.count, using: &random) : queue.count
    queue.insert(message, at: place)
    queues[FakeBroker.Address(unit, message.lane)] = queue
  }
}
