package import Foundation

/// Which of a unit's two queues a message travels through (design: statuses and urgent documents
/// never wait behind a backlog or a large file).
package enum Lane: String, Sendable, Hashable, CaseIterable, Codable {
  case ordinary
  case express
}

/// One AMQP message on its way out. Small by construction: a manifest, a piece or a status.
package struct OutboundMessage: Sendable {
  /// The caller's key, handed back with the outcome. Unique among the messages in flight.
  package let token: UInt64
  package let to: UnitID
  package let lane: Lane
  package let envelope: Envelope
  package let body: Data

  package init(token: UInt64, to: UnitID, lane: Lane, envelope: Envelope, body: Data) {
    self.token = token
    self.to = to
    self.lane = lane
    self.envelope = envelope
    self.body = body
  }
}

/// What the broker said about one published message. Exactly one outcome per message.
package enum PublishOutcome: Sendable, Hashable {
  /// The broker has it: on disk in every queue it was routed to.
  case confirmed
  /// `basic.return`: no queue took it (312), or another reply code with its text.
  case returned(code: Int, text: String)
  /// `basic.nack`: the queue is full or the broker could not keep it.
  case rejected
  /// The broker closed the channel and this message was alone in flight: it is the culprit.
  case refused(code: Int, text: String)
  /// The connection ended before an answer. It may or may not be in the queue: send it again with
  /// the same id; this costs no attempt.
  case unknown
}

/// Where the publisher gets its work from. Called only from the publisher's own thread, so an
/// implementation may read and write its database there; it must not touch the network.
package protocol PublishSource: Sendable {
  /// Up to `count` messages of together at most `bytes` (one message more than `bytes` is allowed
  /// when it is the only one). Empty when there is nothing due.
  func next(count: Int, bytes: Int) throws -> [OutboundMessage]
  /// Outcomes in the order they became known. Returns after they are committed.
  func settle(_ outcomes: [(token: UInt64, outcome: PublishOutcome)]) throws
  /// The earliest moment at which `next` may have something although nobody wakes the publisher.
  func nextDue() throws -> Timestamp?
  /// Connection events, for the log and for health.
  func connectionChanged(_ state: LinkState)
}

/// One AMQP message as it came in. Nothing in it has been believed yet.
package struct InboundMessage: Sendable {
  /// The unit the broker vouches for: from the exchange `congvan.out.<unit>` and the validated
  /// `user-id`. Nil when they are missing or disagree.
  package let assertedSender: UnitID?
  package let lane: Lane
  package let redelivered: Bool
  package let envelope: Envelope
  /// The body, or nil when it was longer than the limit: then only `bodySize` is known.
  package let body: Data?
  package let bodySize: UInt64
  /// False for a message whose header the AMQP library cannot decode although the broker takes and
  /// gives it: nothing about it is known, and it is stored as such so that it blocks nobody.
  package var isReadable = true
  /// How many deliveries of this message ended without an acknowledgement before this one, as the
  /// broker counts them (`x-delivery-count` of a quorum queue); 0 when it does not say.
  package var failedDeliveries: Int64 = 0

  /// A message of which nothing can be read.
  package static func unreadable(_ lane: Lane, redelivered: Bool) -> InboundMessage {
    var message = InboundMessage(
      assertedSender: nil, lane: lane, redelivered: redelivered,
      envelope: Envelope(type: "", messageID: ""), body: nil, bodySize: 0)
    message.isReadable = false
    return message
  }

  package init(
    assertedSender: UnitID?, lane: Lane, redelivered: Bool, envelope: Envelope, body: Data?,
    bodySize: UInt64
  ) {
    self.assertedSender = assertedSender
    self.lane = lane
    self.redelivered = redelivered
    self.envelope = envelope
    self.body = body
    self.bodySize = bodySize
  }
}

/// Where the consumer puts what it receives. Called only from the consumer's own thread.
package protocol DeliverySink: Sendable {
  /// Throws while nothing can be stored. Called before each connection is opened: a message that was
  /// delivered and is not acknowledged counts against the broker's delivery limit, also when it only
  /// waited in the prefetch window, and a broker may delete it at that limit.
  func requireRoom() throws
  /// Stores the batch durably. The broker is told (ack) only after this returned; when it throws,
  /// nothing is acknowledged and the connection is closed, so the broker keeps the messages.
  func store(_ batch: [InboundMessage]) throws
  func connectionChanged(_ state: LinkState)
  /// The queue has been empty for a moment (used by `node --until-idle`).
  func wentIdle()
}

extension DeliverySink {
  /// A sink that always has room.
  package func requireRoom() throws {}
}

/// What a connection is doing. Values for the log and the health page, never for decisions.
package enum LinkState: Sendable, Hashable {
  /// Trying this broker.
  case connecting(to: String)
  case up
  /// The broker holds publishers back (memory or disk alarm), with its reason.
  case blocked(reason: String)
  /// Down, with the failure's code and text; the next try comes after `retryIn`, which is zero while
  /// another broker of the cluster has not been tried.
  case down(code: String, reason: String, retryIn: Duration)
  case stopped
}

/// A connection to the broker, as two blocking loops that the caller gives a thread each.
///
/// Both reconnect by themselves with jittered back-off and return only after `stop` was requested.
package protocol DocumentTransport: Sendable {
  func publish(from source: any PublishSource, until stop: StopSignal)
  func consume(_ lane: Lane, into sink: any DeliverySink, until stop: StopSignal)
}
