import ExchangeCore

/// The consumer's loop over one connection after another: read, store a batch, acknowledge it.
///
/// A delivery is acknowledged only after the sink has it on disk; whatever happens before leaves it
/// with the broker, which delivers it again.
struct ConsumeSession: LinkSession {
  static let batchCount = 128
  /// With one message more, what a consumer holds in memory.
  static let batchBytes = 8 << 20
  /// How long the first message of a batch waits for company.
  static let linger = Duration.milliseconds(5)

  var role: String { "consume \(lane.rawValue)" }
  var hasProgressed = false

  private let lane: Lane
  private let sink: any DeliverySink
  private let settings: BrokerSettings
  private let stop: StopSignal

  private var batch: [InboundMessage] = []
  private var bytes = 0
  private var lastTag: UInt64 = 0
  /// True when the last connection ended at a message that could not be read. When the next one does
  /// too, before any other came, it is the message, which comes first again, and no accident of the
  /// line.
  private var hasMetUnreadable = false
  /// When the batch must be stored (`Monotonic`); nil while it is empty.
  private var dueAt: UInt64?
  /// When the queue counts as quiet; nil once that has been said.
  private var quietAt: UInt64?

  init(lane: Lane, sink: any DeliverySink, settings: BrokerSettings, until stop: StopSignal) {
    self.lane = lane
    self.sink = sink
    self.settings = settings
    self.stop = stop
  }

  func report(_ state: LinkState) { sink.connectionChanged(state) }

  mutating func prepare() throws { try sink.requireRoom() }

  mutating func serve(_ connection: inout BrokerConnection) throws {
    // Tags count per channel: a batch of the last connection can no longer be acknowledged.
    discard()
    try connection.openConsumer(queue: Topology.queue(lane, of: settings.user))
    report(.up)
    quietAt = Monotonic.after(settings.quietTime)
    while !stop.isRequested {
      let event = try connection.nextEvent(until: min(dueAt ?? .max, quietAt ?? .max))
      try handle(event, on: connection)
      if isBatchDue { try storeAndAcknowledge(connection) }
      sayWhenQuiet(connection)
    }
    try storeAndAcknowledge(connection)
  }

  mutating func finish() { discard() }

  private mutating func handle(_ event: BrokerEvent, on connection: borrowing BrokerConnection)
    throws
  {
    switch event {
    case .delivery(let tag, let redelivered, let exchange, let content):
      hasMetUnreadable = false
      var message = InboundMessage(
        assertedSender: content.properties.assertedSender(exchange: exchange), lane: lane,
        redelivered: redelivered, envelope: content.properties.envelope, body: content.body,
        bodySize: content.bodySize)
      // Before the first failure the header is the sender's, if there is one.
      message.failedDeliveries = redelivered ? content.properties.failedDeliveries : 0
      batch.append(message)
      bytes += content.body?.count ?? 0
      lastTag = tag
      if dueAt == nil { dueAt = Monotonic.after(Self.linger) }
    case .unreadable(let tag, let redelivered):
      throw try passOver(tag, redelivered: redelivered, on: connection)
    case .woken, .idle: break
    // A consumer's connection never publishes, so an alarm does not stop it.
    case .blocked, .unblocked: break
    case .consumerCancelled:
      throw LinkEnd(
        AMQPError(
          .consumerCancelled,
          "the broker cancelled the consumer of \(Topology.queue(lane, of: settings.user))"),
        parting: .goodbye)
    case .channelClosed(let reason): throw LinkEnd.channelClosed(reason, doing: "consuming")
    case .connectionClosed(let reason): throw LinkEnd.connectionClosed(reason)
    case .ack, .nack, .returned:
      throw AMQPError(.protocol, "the broker sent a confirm to a consumer")
    }
  }

  /// What came before is stored; a message that cannot be read a second time is stored as unreadable
  /// and acknowledged, because the broker would bring it first for ever. Returns why the connection
  /// ends.
  private mutating func passOver(
    _ tag: UInt64, redelivered: Bool, on connection: borrowing BrokerConnection
  ) throws -> LinkEnd {
    try storeAndAcknowledge(connection)
    if hasMetUnreadable {
      batch = [.unreadable(lane, redelivered: redelivered)]
      lastTag = tag
      try storeAndAcknowledge(connection)
    }
    hasMetUnreadable.toggle()
    return LinkEnd(
      AMQPError(
        .protocol,
        hasMetUnreadable
          ? "the header of a message cannot be read"
          : "the header of a message cannot be read: it is in quarantine without its content"),
      parting: .goodbye)
  }

  /// With as many unacknowledged messages as the prefetch allows, no more can come.
  private var isBatchDue: Bool {
    guard let dueAt else { return false }
    return batch.count >= min(Self.batchCount, max(1, Int(settings.prefetch)))
      || bytes >= Self.batchBytes || Monotonic.now >= dueAt
  }

  private mutating func storeAndAcknowledge(_ connection: borrowing BrokerConnection) throws {
    guard !batch.isEmpty else { return }
    do { try sink.store(batch) } catch { throw LinkEnd.store(error) }
    hasProgressed = true
    try connection.acknowledge(upTo: lastTag)
    discard()
    quietAt = Monotonic.after(settings.quietTime)
  }

  /// A message that is still coming in over a slow line is not silence.
  private mutating func sayWhenQuiet(_ connection: borrowing BrokerConnection) {
    guard let moment = quietAt, Monotonic.now >= moment else { return }
    if connection.isMidContent || !batch.isEmpty {
      quietAt = Monotonic.after(settings.quietTime)
      return
    }
    quietAt = nil
    sink.wentIdle()
  }

  private mutating func discard() {
    batch = []
    bytes = 0
    dueAt = nil
  }
}
