package import ExchangeCore
package import ExchangeStore
import Foundation
package import Logging
import NodeDatabase
import Synchronization

/// Publishes what is due: hands the publisher the messages of statuses and deliveries, and turns
/// the broker's answers into transport states.
///
/// Claims live in memory, because one daemon owns a node folder: after a crash everything that was
/// in flight is still `queued` in the database and goes out again with the same ids.
package final class Relay: PublishSource {
  private enum Subject: Hashable {
    case notice(Int64)
    case delivery(Int64)
  }

  private struct State {
    var notices: [Int64: NoticeWork] = [:]
    /// The unit after which the next notices are looked for.
    var lastNotified = ""
    var deliveries: [Int64: ActiveDelivery] = [:]
    /// The unit after which the next deliveries are looked for, and those out of turn.
    var lastServed = ""
    var lastPatient = ""
    /// Delivery keys in the order they take turns.
    var turns: [Int64] = []
    /// Of those, the ones whose turn in this round is still to come.
    var round: [Int64] = []
    var tokens: [UInt64: (subject: Subject, position: Int64)] = [:]
    var nextToken: UInt64 = 0
    var linkUpSince: Timestamp?
    /// False when the last message was a notice.
    var isNoticeTurn = true
    /// Messages and claims of deliveries since the last one out of turn: see `fairShare`.
    var messagesInTurn = 0
    var claimsInTurn = 0
    /// The urgency from which the next delivery is claimed out of turn.
    var patient = Urgency.normal
    var random = SystemRandomNumberGenerator()

    /// The first of the round, or, when it is their turn, the first of the least urgent ones, which
    /// then goes to the end: a round that urgent ones join again and again has no end.
    mutating func nextInRound(fairShare: Int) -> Int64? {
      guard messagesInTurn == fairShare - 1 else { return round.first }
      let waiting = turns.filter { deliveries[$0]?.hasNext == true }
      guard
        let least = waiting.compactMap({ deliveries[$0]?.work.urgency }).min(),
        let key = waiting.first(where: { deliveries[$0]?.work.urgency == least })
      else { return round.first }
      turns.removeAll { $0 == key }
      turns.append(key)
      return key
    }

    mutating func forget(_ delivery: Int64) {
      deliveries.removeValue(forKey: delivery)
      turns.removeAll { $0 == delivery }
    }

    mutating func token(for subject: Subject, position: Int64) -> UInt64 {
      nextToken += 1
      tokens[nextToken] = (subject, position)
      return nextToken
    }
  }

  /// Deliveries that take turns at the same time. A large file therefore never holds up small
  /// documents, and the memory for claims is bounded.
  private static let activeLimit = 64
  /// Urgent deliveries that are taken on at once beyond those.
  private static let urgentLimit = 16
  /// Urgent deliveries go first, but of so many messages and claims one belongs to what is passed
  /// over, so that no stream of urgent documents starves the rest.
  private static let fairShare = 8
  /// How long work of another process (the CLI) may wait to be noticed.
  private static let pollInterval = Duration.milliseconds(200)

  private let store: Store
  private let clock: any WallClock
  private let policy: RetryPolicy
  private let log: Logger
  private let state = Mutex(State())
  private let onLink: @Sendable (LinkState) -> Void

  package init(
    store: Store, clock: any WallClock, policy: RetryPolicy, log: Logger,
    onLink: @escaping @Sendable (LinkState) -> Void = { _ in }
  ) {
    self.store = store
    self.clock = clock
    self.policy = policy
    self.log = log
    self.onLink = onLink
  }

  /// True when nothing is claimed and nothing is due.
  package func isIdle() throws -> Bool {
    let isEmpty = state.withLock { $0.notices.isEmpty && $0.deliveries.isEmpty }
    return try isEmpty && !store.relay.hasDueWork(now: clock.now)
  }

  // MARK: PublishSource

  package func next(count: Int, bytes: Int) throws -> [OutboundMessage] {
    guard count > 0, bytes > 0 else { return [] }
    let now = clock.now
    return try state.withLock { state in
      var batch: [OutboundMessage] = []
      var room = bytes
      // On a copy: had a step thrown, nobody would have the tokens of what was claimed before it.
      var claimed = state
      try claimDeliveries(&claimed, now: now)
      try takeNotices(&claimed, count: count, room: &room, now: now, into: &batch)
      try takePieces(&claimed, count: count, room: &room, into: &batch)
      // With nothing in flight nobody would settle what failed here.
      if batch.isEmpty { try commit(&claimed, notices: [], now: now) }
      state = claimed
      return batch
    }
  }

  package func settle(_ outcomes: [(token: UInt64, outcome: PublishOutcome)]) throws {
    let now = clock.now
    try state.withLock { state in
      var notices: [(key: Int64, result: RelayResult)] = []
      for (token, outcome) in outcomes {
        switch state.tokens[token]?.subject {
        case .notice(let key):
          guard let work = state.notices[key] else { continue }
          if let result = decide(
            outcome, trouble: work.trouble, progress: 0,
            now: now, linkUpSince: state.linkUpSince, random: &state.random)
          {
            notices.append((key, result))
          }
        case .delivery(let key):
          guard let position = state.tokens[token]?.position else { continue }
          state.deliveries[key]?.settle(position: position, outcome)
        case nil: continue
        }
      }
      try commit(&state, notices: notices, now: now)
      // Only what is committed is forgotten: had it thrown, the publisher would ask again.
      for (token, _) in outcomes {
        if case .notice(let key) = state.tokens.removeValue(forKey: token)?.subject {
          state.notices.removeValue(forKey: key)
        }
      }
    }
  }

  /// Writes down what became of deliveries that have nothing in flight, of notices, and how far
  /// long deliveries have come.
  private func commit(
    _ state: inout State, notices: [(key: Int64, result: RelayResult)], now: Timestamp
  ) throws {
    var deliveries: [(key: Int64, result: RelayResult)] = []
    var dropped: [Int64] = []
    for (key, active) in state.deliveries where active.outstanding.isEmpty {
      if active.isDropped {
        dropped.append(key)
      } else if let error = active.storeFailure {
        deliveries.append((key, .suspend(code: error.code, reason: error.reason)))
      } else if let failure = active.failure {
        if let result = decide(
          failure, trouble: active.work.trouble, progress: active.progress, now: now,
          linkUpSince: state.linkUpSince, random: &state.random)
        {
          deliveries.append((key, result))
        }
      } else if active.isComplete {
        deliveries.append((key, .published))
      }
    }
    let finished = Set(deliveries.map(\.key) + dropped)
    for (key, active) in state.deliveries where active.shouldSaveProgress && !finished.contains(key)
    {
      deliveries.append(
        (key, .interrupted(progress: active.progress, changedAt: active.work.changedAt)))
    }
    try store.relay.settle(deliveries: deliveries, notices: notices, at: now)
    for (key, result) in deliveries {
      if case .interrupted(let progress, _) = result {
        state.deliveries[key]?.savedProgress = progress
      } else {
        state.forget(key)
      }
      note(result, delivery: key)
    }
    // A person may have sent it again since: then it is claimed anew, from its beginning.
    for key in dropped { state.forget(key) }
  }

  package func nextDue() throws -> Timestamp? {
    let poll = clock.now.advanced(by: Self.pollInterval)
    return try store.relay.nextRetry().map { min($0, poll) } ?? poll
  }

  package func connectionChanged(_ link: LinkState) {
    state.withLock { state in
      switch link {
      case .up: state.linkUpSince = clock.now
      case .down, .stopped: state.linkUpSince = nil
      case .connecting, .blocked: break
      }
    }
    onLink(link)
  }

  // MARK: Taking work

  private func takeNotices(
    _ state: inout State, count: Int, room: inout Int, now: Timestamp,
    into batch: inout [OutboundMessage]
  ) throws {
    let isAlone = !state.deliveries.values.contains { $0.hasNext }
    // Half of the room, or every second message where there is room for one only.
    let count = isAlone ? count : max(count / 2, state.isNoticeTurn ? 1 : 0)
    guard count > 0 else { return }
    var due = try store.relay.dueNotices(
      limit: count, after: state.lastNotified, excluding: Set(state.notices.keys), now: now)
    if due.isEmpty, !state.lastNotified.isEmpty {
      due = try store.relay.dueNotices(
        limit: count, after: "", excluding: Set(state.notices.keys), now: now)
    }
    state.lastNotified = due.count == count ? due.last?.to.rawValue ?? "" : ""
    for work in due where batch.count < count && (room >= work.signed.count || batch.isEmpty) {
      state.notices[work.key] = work
      room -= work.signed.count
      state.isNoticeTurn = false
      batch.append(
        OutboundMessage(
          token: state.token(for: .notice(work.key), position: 0), to: work.to, lane: work.lane,
          envelope: work.envelope, body: work.signed))
    }
  }

  private func claimDeliveries(_ state: inout State, now: Timestamp) throws {
    let waiting = state.deliveries.values.count { $0.hasNext }
    guard state.deliveries.count < 4 * Self.activeLimit else { return }
    // When all places are taken by large files, what is urgent still finds one.
    let isFull = waiting >= Self.activeLimit / 2
    var due = try store.relay.dueDeliveries(
      limit: isFull ? Self.urgentLimit : Self.activeLimit - waiting,
      of: isFull ? .urgent ... .flash : .normal ... .flash, after: state.lastServed,
      excluding: Set(state.deliveries.keys), now: now)
    guard let last = due.last else { return }
    state.lastServed = last.to.rawValue
    state.claimsInTurn += due.count
    if state.claimsInTurn >= Self.fairShare {
      state.claimsInTurn = 0
      due += try passedOver(&state, besides: due, now: now)
    }
    for work in due {
      state.deliveries[work.key] = ActiveDelivery(work)
      state.turns.append(work.key)
      state.round.append(work.key)
    }
    let urgency = state.deliveries.mapValues(\.work.urgency)
    func ordered(_ keys: [Int64]) -> [Int64] {
      keys.enumerated().sorted { left, right in
        let (first, second) = (urgency[left.element] ?? .normal, urgency[right.element] ?? .normal)
        return first == second ? left.offset < right.offset : first > second
      }.map(\.element)
    }
    state.turns = ordered(state.turns)
    state.round = ordered(state.round)
  }

  /// The next waiting delivery of an urgency below the highest; urgencies and units take turns.
  private func passedOver(_ state: inout State, besides due: [DeliveryWork], now: Timestamp) throws
    -> [DeliveryWork]
  {
    let busy = Set(state.deliveries.keys).union(due.map(\.key))
    let lower: [Urgency] = [.normal, .urgent, .veryUrgent]
    let start = lower.firstIndex(of: state.patient) ?? 0
    for urgency in lower[start...] + lower[..<start] {
      let next = try store.relay.dueDeliveries(
        limit: 1, of: urgency...urgency, after: state.lastPatient, excluding: busy, now: now)
      guard let work = next.first else { continue }
      state.lastPatient = work.to.rawValue
      state.patient =
        Urgency(rawValue: urgency.rawValue + 1).flatMap { $0 < .flash ? $0 : nil }
        ?? .normal
      return next
    }
    return []
  }

  /// One message per delivery and round, the most urgent deliveries first. A round goes on in the
  /// next call, so that small documents pass a large file however few messages there is room for.
  private func takePieces(
    _ state: inout State, count: Int, room: inout Int, into batch: inout [OutboundMessage]
  ) throws {
    while batch.count < count {
      if state.round.isEmpty {
        state.round = state.turns.filter { state.deliveries[$0]?.hasNext == true }
      }
      guard let key = state.nextInRound(fairShare: Self.fairShare) else { return }
      guard var active = state.deliveries[key], let step = active.peek() else {
        state.round.removeAll { $0 == key }
        continue
      }
      let body: Data
      let envelope: Envelope
      do {
        guard let message = try message(step.step, of: active.work) else {
          active.drop()
          state.deliveries[key] = active
          continue
        }
        (envelope, body) = message
      } catch let error as StoreError
        where [.contentMissing, .contentDamaged, .fileSystem, .denied, .notFound].contains(
          error.kind)
      {
        // One file that cannot be read must not hold up everybody else.
        active.fail(error)
        state.deliveries[key] = active
        continue
      }
      guard room >= body.count || batch.isEmpty else { return }
      state.round.removeAll { $0 == key }
      state.isNoticeTurn = true
      state.messagesInTurn = (state.messagesInTurn + 1) % Self.fairShare
      active.take(step.position)
      state.deliveries[key] = active
      room -= body.count
      batch.append(
        OutboundMessage(
          token: state.token(for: .delivery(key), position: step.position), to: active.work.to,
          lane: active.work.urgency.lane, envelope: envelope, body: body))
    }
  }

  /// Nil when the delivery has ended, or was begun anew, since it was claimed. Without its manifest it
  /// stays unknown there.
  private func message(_ step: DeliveryPlan.Step, of work: DeliveryWork) throws
    -> (Envelope, Data)?
  {
    switch step {
    case .manifest:
      guard try store.relay.isUnderWay(work, now: clock.now) else { return nil }
      return (
        Envelope(type: MessageKind.document.rawValue, messageID: work.documentID.rawValue),
        try store.relay.signedManifest(document: work.document)
      )
    case .piece(let address):
      guard try store.relay.mayGoOn(work, now: clock.now) else { return nil }
      let body = try store.contents.pieceToSend(address, at: clock.now)
      return (
        Envelope(
          type: MessageKind.piece.rawValue, messageID: address.messageID,
          correlationID: work.documentID.rawValue, piece: address),
        body
      )
    }
  }

  // MARK: Deciding

  private func decide(
    _ outcome: PublishOutcome, trouble: Trouble, progress: Int64, now: Timestamp,
    linkUpSince: Timestamp?, random: inout SystemRandomNumberGenerator
  ) -> RelayResult? {
    // Only time with a broker that answers counts towards the horizon.
    var trouble = trouble
    let since = max(trouble.failedAt ?? now, linkUpSince ?? now)
    trouble.failures += 1
    // A clock that jumps ahead is not time that passed: no pause between two attempts is that long.
    trouble.failingFor += min(max(.zero, since.duration(to: now)), policy.backoff.cap * 2)
    trouble.failedAt = now
    let decision = policy.decide(
      outcome, failures: trouble.failures, failingFor: trouble.failingFor, using: &random)
    return switch decision {
    case .settled: .published
    case .again: nil
    case .retry(let after, let code, let reason):
      .retry(
        at: now.advanced(by: after), trouble: trouble, code: code, reason: reason,
        progress: progress)
    case .suspend(let code, let reason): .suspend(code: code, reason: reason)
    }
  }

  private func note(_ result: RelayResult, delivery key: Int64) {
    switch result {
    case .published, .interrupted: return
    case .retry(_, _, let code, let reason, _):
      log.warning(
        "delivery will be retried",
        metadata: ["delivery": "\(key)", "code": "\(code)", "reason": "\(reason)"])
    case .suspend(let code, let reason):
      log.error(
        "delivery is suspended: a person must act",
        metadata: ["delivery": "\(key)", "code": "\(code)", "reason": "\(reason)"])
    }
  }
}
