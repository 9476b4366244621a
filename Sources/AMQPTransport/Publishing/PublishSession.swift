import ExchangeCore

/// The publisher's loop over one connection after another: pull, publish, read the broker's answers,
/// settle them in groups.
///
/// State that must survive a connection lives here: unsettled outcomes, messages that were handed
/// out and not written yet, and the suspicion after a channel was closed.
struct PublishSession: LinkSession {
  /// With nothing due and nobody waking, the source is asked again after this long: a wall clock
  /// that was set back must not silence the node.
  static let longestSleep = Duration.seconds(60)
  /// `nextDue` in the past although nothing was due a moment ago: do not spin.
  static let shortestSleep = Duration.milliseconds(50)

  let role = "publish"
  var hasProgressed = false

  private let source: any PublishSource
  private let stop: StopSignal
  private let clock: any WallClock
  private let stopTimeout: Duration
  private let refusedChannelLife: Duration

  private var ledger = OutcomeLedger()
  private var pace = PublishPace()
  private var window: PublishWindow
  /// Handed out by the source, not yet written; oldest last.
  private var waiting: [OutboundMessage] = []
  private var isBlocked = false
  /// When the channel is to be given up because the broker refused a message on it (`Monotonic`).
  private var renewAt: UInt64?
  private var openedAt: UInt64 = 0
  /// When to ask the source again (`Monotonic`).
  private var askAt: UInt64 = 0
  private var stopAt: UInt64?

  init(
    source: any PublishSource, settings: BrokerSettings, clock: any WallClock,
    until stop: StopSignal
  ) {
    self.source = source
    self.stop = stop
    self.clock = clock
    stopTimeout = settings.stopTimeout
    refusedChannelLife = settings.refusedChannelLife
    window = PublishWindow(
      maximumCount: max(1, settings.windowCount), maximumBytes: max(1, settings.windowBytes))
  }

  func report(_ state: LinkState) { source.connectionChanged(state) }

  /// Settles what an earlier failure left: nothing new is asked for before.
  mutating func prepare() throws { try settle() }

  mutating func serve(_ connection: inout BrokerConnection) throws {
    isBlocked = false
    askAt = 0
    renewAt = nil
    openedAt = Monotonic.now
    pace.connected()
    do {
      try connection.openPublisher()
      report(.up)
      try loop(&connection)
      abandon(reason: nil)
      try settleOrEnd()
    } catch {
      abandon(reason: (error as? LinkEnd)?.reason)
      // At once, so that nobody waits for the back-off; what fails here is tried again in prepare.
      try? settle()
      throw error
    }
  }

  /// Settles what is left; a few times, because after this only the restart finds out what happened.
  mutating func finish() {
    abandon(reason: nil)
    for _ in 0..<3 {
      do { return try settle() } catch {
        let error = LinkEnd.storeError(error)
        report(.down(code: error.code, reason: error.reason, retryIn: .zero))
      }
    }
  }

  // MARK: The loop

  private mutating func loop(_ connection: inout BrokerConnection) throws {
    while true {
      try drain(&connection)
      if stop.isRequested {
        giveBackWaiting()
        let end = stopAt ?? Monotonic.after(stopTimeout)
        stopAt = end
        if window.isEmpty || Monotonic.now >= end { return }
      }
      if ledger.isDue(nothingInFlight: window.isEmpty) {
        try settleOrEnd()
        askAt = 0
      }
      if isRenewing, window.isEmpty, ledger.isEmpty {
        throw LinkEnd(
          AMQPError(.channelRenewed, "the broker refused messages on this channel"),
          parting: .goodbye)
      }
      try pull()
      try write(&connection)
      try handle(try connection.nextEvent(until: waitUntil))
    }
  }

  /// Handles everything that the broker has said already.
  private mutating func drain(_ connection: inout BrokerConnection) throws {
    while true {
      let event = try connection.nextEvent(until: 0)
      if case .idle = event { return }
      try handle(event)
    }
  }

  /// How long the loop may sleep; 0 when it has something to do at once.
  private var waitUntil: UInt64 {
    if ledger.isDue(nothingInFlight: window.isEmpty) { return 0 }
    var until = min(Monotonic.after(Self.longestSleep), ledger.dueAt ?? .max)
    if let stopAt { return min(until, stopAt) }
    if let renewAt { until = min(until, isRenewing ? .max : renewAt) }
    if isBlocked { return until }
    if hasRoom { return 0 }
    if waiting.isEmpty, mayAsk { until = min(until, askAt) }
    return until
  }

  // MARK: Work

  /// Room for a worthwhile request: a query per confirmed message would be a waste.
  private var mayAsk: Bool {
    if window.isEmpty { return true }
    return !pace.isAlone && window.roomCount >= max(1, window.maximumCount / 4)
      && window.roomBytes >= window.maximumBytes / 4
  }

  /// The channel is done for: what is in flight is waited for, and nothing is added.
  private var isRenewing: Bool { renewAt.map { Monotonic.now >= $0 } ?? false }

  private mutating func pull() throws {
    guard !stop.isRequested, !isBlocked, !isRenewing, waiting.isEmpty, mayAsk,
      Monotonic.now >= askAt
    else {
      return
    }
    do {
      let messages = try source.next(
        count: pace.isAlone ? 1 : window.roomCount, bytes: window.roomBytes)
      waiting = messages.reversed()
      guard messages.isEmpty else { return }
      pace.sourceIsEmpty()
      var sleep = Self.longestSleep
      if let due = try source.nextDue() {
        sleep = min(sleep, max(Self.shortestSleep, clock.now.duration(to: due)))
      }
      askAt = Monotonic.after(sleep)
    } catch {
      throw LinkEnd.store(error)
    }
  }

  /// Room for the next waiting message; one that is larger than the window goes alone.
  private var hasRoom: Bool {
    guard let message = waiting.last, !isRenewing else { return false }
    if window.isEmpty { return true }
    return !pace.isAlone && window.roomCount > 0 && window.roomBytes >= message.body.count
  }

  /// Publishes what is waiting while there is room. The broker's frames are read before every
  /// publish: that refreshes the heartbeat timers, without which 0.11 can hang (#780), and shows in
  /// time that publishing is blocked.
  private mutating func write(_ connection: inout BrokerConnection) throws {
    while !isBlocked, hasRoom, let message = waiting.popLast() {
      if let defect = MessageWriting.defect(of: message) {
        ledger.add((message.token, .refused(code: 406, text: defect)))
        continue
      }
      let routingKey = Topology.routingKey(message.lane, to: message.to)
      let messageID = message.envelope.messageID
      window.add(
        token: message.token, messageID: messageID, routingKey: routingKey,
        bytes: message.body.count)
      pace.published(message.token, .init(messageID: messageID, routingKey: routingKey))
      do {
        try connection.publish(message)
      } catch {
        // The broker's reason for cutting the line may be waiting to be read: it says more.
        try drain(&connection)
        throw error
      }
      try drain(&connection)
      if ledger.isDue(nothingInFlight: window.isEmpty) { return }
    }
  }

  private mutating func handle(_ event: BrokerEvent) throws {
    switch event {
    case .ack(let tag, let multiple):
      CrashPoint.confirmAfter.pass()
      settled(window.confirmed(tag: tag, multiple: multiple, accepted: true))
    case .nack(let tag, let multiple):
      renewAt = renewAt ?? openedAt + refusedChannelLife.wholeNanoseconds
      settled(window.confirmed(tag: tag, multiple: multiple, accepted: false))
    case .returned(let code, let text, let routingKey, let properties):
      window.returned(
        messageID: properties.envelope.messageID, routingKey: routingKey, code: code, text: text)
    case .blocked(let reason):
      isBlocked = true
      report(.blocked(reason: reason))
    case .unblocked:
      isBlocked = false
      report(.up)
    case .woken: askAt = 0
    case .idle: break
    case .channelClosed(let reason): throw LinkEnd.channelClosed(reason, doing: "publishing")
    case .connectionClosed(let reason): throw LinkEnd.connectionClosed(reason)
    case .delivery, .unreadable, .consumerCancelled:
      throw AMQPError(.protocol, "the broker sent a delivery to a publisher")
    }
  }

  // MARK: Outcomes

  private mutating func settled(_ outcomes: [PublishWindow.Settled]) {
    for outcome in outcomes {
      pace.settled(outcome.token)
      ledger.add(outcome)
    }
  }

  /// The connection ends: everything open gets its outcome, and what was not written goes back.
  private mutating func abandon(reason: CloseReason?) {
    let culpable = reason.flatMap { $0.isAboutContent ? (code: $0.code, text: $0.text) : nil }
    pace.lost(isAboutContent: culpable != nil)
    for outcome in window.lost(channelError: culpable) { ledger.add(outcome) }
    giveBackWaiting()
  }

  /// Never written, so "send again" is the truth, and it costs the document no attempt.
  private mutating func giveBackWaiting() {
    for message in waiting.reversed() { ledger.add((message.token, .unknown)) }
    waiting = []
  }

  private mutating func settle() throws {
    if try ledger.settle(with: source) { hasProgressed = true }
  }

  private mutating func settleOrEnd() throws {
    do { try settle() } catch { throw LinkEnd.store(error) }
  }
}
