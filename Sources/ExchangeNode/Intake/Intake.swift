package import ExchangeCore
package import ExchangeStore
import Foundation
import Synchronization

/// Limits that this node sets itself, below those of the wire.
package struct IntakeLimits: Sendable, Hashable {
  /// Sum of the attachments of one document, in bytes.
  package var documentBytes: Int64
  /// Bytes that one sender may have here before a document of its names them: unfinished transfers
  /// and whole attachments.
  package var pendingBytes: Int64
  /// What else of one sender is kept here.
  package var quota: PeerQuota
  /// Bytes of the disk that are kept free: below, nothing is taken in from the queue or from a
  /// person, and what is in the queue stays there.
  package var freeBytes: Int64
  /// Which formats of files are sent and taken.
  package var formats: FormatPolicy

  package init(
    documentBytes: Int64 = 1 << 30, pendingBytes: Int64 = 8 << 30,
    quota: PeerQuota = PeerQuota(), freeBytes: Int64 = 200 << 20,
    formats: FormatPolicy = FormatPolicy()
  ) {
    self.documentBytes = documentBytes
    self.pendingBytes = pendingBytes
    self.quota = quota
    self.freeBytes = freeBytes
    self.formats = formats
  }
}

/// Stores what a queue delivers, raw and unjudged, in one commit per batch; the consumer
/// acknowledges after that.
///
/// Nothing signed is parsed here. The bytes of pieces go to their place at once, so that they are
/// written only once; they are believed only when a verified manifest names their digest.
package final class Intake: DeliverySink {
  private let store: Store
  private let hashing: any ContentHashing
  private let clock: any WallClock
  private let limits: IntakeLimits
  private let isKnown: @Sendable (UnitID) -> Bool
  private let events: any IntakeEvents
  private let quarantineLog: QuarantineLog?
  /// When messages that were delivered often were last warned of, in microseconds since 1970.
  private let lastWarning = Mutex<Int64?>(nil)

  /// From so many failed deliveries of one message on, somebody should look.
  package static let oftenDelivered: Int64 = 10
  /// Asked for beside `limits.freeBytes` before a consumer opens a connection, in bytes: two batches
  /// of a consumer of 8 MiB each, so that the first one fits. A prefetch window may hold more (256
  /// messages): so much need not be free, because each batch is checked against the floor anew.
  static let windowBytes = 16 * WireLimits.bodyBytes

  package init(
    store: Store, hashing: any ContentHashing, clock: any WallClock, limits: IntakeLimits,
    isKnown: @escaping @Sendable (UnitID) -> Bool, events: any IntakeEvents,
    quarantineLog: QuarantineLog? = nil
  ) {
    self.quarantineLog = quarantineLog
    self.store = store
    self.hashing = hashing
    self.clock = clock
    self.limits = limits
    self.isKnown = isKnown
    self.events = events
  }

  /// Throws while the disk has less than `limits.freeBytes` and `windowBytes` (16 MiB) free, or
  /// cannot be written. More than the floor, so that the first message does not end the connection
  /// again.
  package func requireRoom() throws {
    try store.files.requireRoom(for: Int64(Self.windowBytes), above: limits.freeBytes)
  }

  package func store(_ batch: [InboundMessage]) throws {
    var messages: [ReceivedMessage] = []
    var pieces: [ReceivedPiece] = []
    warnOfRedeliveries(batch)
    try store.files.requireSpace(limits.freeBytes)
    try store.files.keeping {
      for message in batch {
        switch try sort(message) {
        case .message(let received): messages.append(received)
        case .piece(let piece): pieces.append(piece)
        case .nothing: break
        }
      }
      try store.intake.store(messages: messages, pieces: pieces, quota: limits.quota, at: clock.now)
    }
    try store.review.removeDiscarded(waits: false)
    for message in messages {
      guard let (outcome, detail) = message.fault else { continue }
      quarantineLog?.note(
        sender: message.sender, message: message.messageID, outcome: outcome, detail: detail)
    }
    events.stored(hasMessages: !messages.isEmpty, hasPieces: !pieces.isEmpty)
  }

  package func connectionChanged(_ state: LinkState) { events.connectionChanged(state) }
  package func wentIdle() { events.wentIdle() }

  /// Once an hour at most: the trouble may last for days, and in a classic queue it is the sender who
  /// may have written the count.
  private func warnOfRedeliveries(_ batch: [InboundMessage]) {
    let highest = batch.map(\.failedDeliveries).max() ?? 0
    guard highest >= Self.oftenDelivered else { return }
    let now = clock.now.microseconds
    let isDue = lastWarning.withLock { last in
      // A clock that was set back makes the age negative.
      if let last, (0..<3_600_000_000).contains(now - last) { return false }
      last = now
      return true
    }
    guard isDue else { return }
    let count = batch.count { $0.failedDeliveries >= Self.oftenDelivered }
    events.deliveredOften(messages: count, failures: highest)
  }

  private enum Sorted {
    case message(ReceivedMessage)
    case piece(ReceivedPiece)
    /// A piece of content that is here already, or that must not be.
    case nothing
  }

  private func sort(_ message: InboundMessage) throws -> Sorted {
    guard message.isReadable else {
      return .message(received(message, .messageKind, "its AMQP header cannot be read"))
    }
    guard let sender = message.assertedSender else {
      return .message(
        received(message, .senderMismatch, "the broker does not vouch for the sender"))
    }
    guard let body = message.body else {
      return .message(
        received(message, .tooLarge, "the message has \(message.bodySize) bytes"))
    }
    guard message.envelope.kind == .piece else { return .message(received(message)) }
    guard isKnown(sender) else {
      return .message(received(message, .unknownSender, "“\(sender)” is not in the directory"))
    }
    guard message.envelope.version == Envelope.version else {
      return .message(received(message, .version, "a piece of another version"))
    }
    guard let address = message.envelope.piece, address.length == body.count else {
      return .message(
        received(message, .pieceMalformed, "headers and length of the piece contradict"))
    }
    guard address.size <= limits.documentBytes else {
      return .message(received(message, .tooLarge, "an attachment of \(address.size) bytes"))
    }
    if try store.intake.has(address.sha256, from: sender)
      || store.intake.isSecret(address.sha256, from: sender)
    {
      return .nothing
    }
    guard try store.intake.hasRoom(for: address, from: sender, limit: try pendingLimit()) else {
      return .message(
        received(message, .tooLarge, "too much content of “\(sender)” that no document names"))
    }
    if address.size == Int64(body.count) {
      guard hashing.sha256(body) == address.sha256 else {
        return .piece(.spoiled(sender: sender, sha256: address.sha256))
      }
      if try store.intake.has(address.sha256) {
        return .piece(.known(address.sha256, size: address.size, from: sender))
      }
      return .piece(.whole(try store.files.ingest(body, digest: address.sha256), from: sender))
    }
    return .piece(.part(sender: sender, address: address, body: body))
  }

  /// What one unit may have here without a name: never more than half of the disk's free space.
  private func pendingLimit() throws -> Int64 {
    min(limits.pendingBytes, try store.files.freeSpace() / 2)
  }

  /// Bodies that a fault keeps from the review are not kept.
  private func received(
    _ message: InboundMessage, _ outcome: OutcomeCode? = nil, _ detail: String = ""
  ) -> ReceivedMessage {
    let body = outcome == nil ? message.body : nil
    return ReceivedMessage(
      sender: message.assertedSender?.rawValue ?? ReceivedMessage.unassertedSender,
      // Nothing tells one unreadable message from the next: each counts as one of its own.
      messageID: message.isReadable
        ? message.envelope.messageID : "unreadable-\(RecordID(at: clock.now))",
      correlationID: message.envelope.correlationID,
      bodyDigest: hashing.sha256(message.body ?? Data("\(message.bodySize)".utf8)),
      type: message.envelope.type, version: message.envelope.version, lane: message.lane,
      body: body,
      size: Int64(clamping: message.bodySize), fault: outcome.map { ($0, detail) })
  }
}

/// What the intake tells the rest of the node. Called on the consumer's thread, after the commit.
package protocol IntakeEvents: Sendable {
  func stored(hasMessages: Bool, hasPieces: Bool)
  /// So many messages of one batch were delivered at least `Intake.oftenDelivered` times without an
  /// acknowledgement; `failures` is the most of one of them. Called before the batch is stored, once
  /// per condition.
  func deliveredOften(messages: Int, failures: Int64)
  func connectionChanged(_ state: LinkState)
  func wentIdle()
}
