/// The messages that were published and not yet answered, as a value: bounded in count and bytes,
/// settled by the broker's frames. No I/O; the publisher feeds it and performs what it says.
///
/// Confirms come out of order and `multiple` covers every open tag up to the named one;
/// `basic.return` has no tag and precedes the ack of its message, so it is matched by message id
/// and routing key (RabbitMQ guide, Publisher Confirms).
package struct PublishWindow: Sendable {
  private struct Entry {
    let token: UInt64
    let messageID: String
    let routingKey: String
    let bytes: Int
    /// `basic.return` has been seen; the ack that follows is only its echo.
    var returned: PublishOutcome?
  }

  /// The caller's token and what the broker said about it; exactly once per message.
  package typealias Settled = (token: UInt64, outcome: PublishOutcome)

  private var entries: [UInt64: Entry] = [:]
  /// Open tags in publishing order; settled ones are dropped lazily.
  private var order: [UInt64] = []
  private var orderStart = 0
  private var nextTag: UInt64 = 1
  /// Sum of the open messages' bodies, in bytes.
  package private(set) var bytes = 0

  /// Messages that may be open at once.
  package let maximumCount: Int
  /// Bytes that may be open at once; one larger message may be open alone.
  package let maximumBytes: Int

  /// An empty window of a fresh channel, whose first message gets tag 1.
  package init(maximumCount: Int, maximumBytes: Int) {
    self.maximumCount = maximumCount
    self.maximumBytes = maximumBytes
  }

  /// Open messages.
  package var count: Int { entries.count }
  /// True when every message has its outcome.
  package var isEmpty: Bool { entries.isEmpty }
  /// Messages that may still be added.
  package var roomCount: Int { max(0, maximumCount - entries.count) }
  /// Bytes that may still be added.
  package var roomBytes: Int { max(0, maximumBytes - bytes) }

  /// Registers a message before it is written, because its answer may come before the write
  /// returns. The tag is the channel's next sequence number.
  package mutating func add(token: UInt64, messageID: String, routingKey: String, bytes: Int) {
    let entry = Entry(
      token: token, messageID: messageID, routingKey: routingKey, bytes: bytes)
    entries[nextTag] = entry
    order.append(nextTag)
    self.bytes += bytes
    nextTag += 1
  }

  /// `basic.ack` and `basic.nack`. Unknown tags are ignored: the broker is a peer, not an oracle.
  package mutating func confirmed(tag: UInt64, multiple: Bool, accepted: Bool) -> [Settled] {
    var settled: [Settled] = []
    let outcome: PublishOutcome = accepted ? .confirmed : .rejected
    if multiple {
      while orderStart < order.count, tag == 0 || order[orderStart] <= tag {
        if let entry = remove(order[orderStart]) {
          settled.append((entry.token, entry.returned ?? outcome))
        }
        orderStart += 1
      }
    } else if let entry = remove(tag) {
      settled.append((entry.token, entry.returned ?? outcome))
    }
    compact()
    return settled
  }

  /// `basic.return`: remembered until the message's ack comes.
  package mutating func returned(messageID: String, routingKey: String, code: Int, text: String) {
    for tag in order[orderStart...] {
      guard var entry = entries[tag], entry.returned == nil, entry.messageID == messageID,
        entry.routingKey == routingKey
      else { continue }
      entry.returned = .returned(code: code, text: text)
      entries[tag] = entry
      return
    }
  }

  /// The channel or connection is gone. What was returned had its answer; everything else open is
  /// unknown, unless it was alone and the broker gave a reason, which then is about that message.
  package mutating func lost(channelError: (code: Int, text: String)?) -> [Settled] {
    let open = order[orderStart...].compactMap { entries[$0] }
    let isAlone = open.count { $0.returned == nil } == 1
    self = PublishWindow(maximumCount: maximumCount, maximumBytes: maximumBytes)
    return open.map { entry in
      if let returned = entry.returned {
        (entry.token, returned)
      } else if isAlone, let error = channelError {
        (entry.token, .refused(code: error.code, text: error.text))
      } else {
        (entry.token, .unknown)
      }
    }
  }

  private mutating func remove(_ tag: UInt64) -> Entry? {
    guard let entry = entries.removeValue(forKey: tag) else { return nil }
    bytes -= entry.bytes
    return entry
  }

  private mutating func compact() {
    while orderStart < order.count, entries[order[orderStart]] == nil { orderStart += 1 }
    if orderStart == order.count {
      order.removeAll(keepingCapacity: true)
      orderStart = 0
    } else if order.count > 2 * entries.count + 1024 {
      // Also when the oldest message stays unanswered while thousands pass it by.
      order.removeAll { entries[$0] == nil }
      orderStart = 0
    }
  }
}
