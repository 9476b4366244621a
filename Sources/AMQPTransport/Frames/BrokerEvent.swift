import Foundation

/// One thing that the broker said, already copied out of the library's memory.
enum BrokerEvent {
  case delivery(tag: UInt64, redelivered: Bool, exchange: String, content: Content)
  /// A delivery whose header the library cannot decode. Nothing more can be read on this connection;
  /// writing still works.
  case unreadable(tag: UInt64, redelivered: Bool)
  case ack(tag: UInt64, multiple: Bool)
  case nack(tag: UInt64, multiple: Bool)
  case returned(code: Int, text: String, routingKey: String, properties: MessageProperties)
  case blocked(reason: String)
  case unblocked
  case consumerCancelled
  case channelClosed(CloseReason)
  case connectionClosed(CloseReason)
  /// Somebody woke the loop: stop requested, or new work.
  case woken
  /// Nothing happened until the deadline.
  case idle
}

/// A message's content: header frame and body frames put together.
struct Content {
  let properties: MessageProperties
  /// Nil when longer than the limit.
  let body: Data?
  let bodySize: UInt64
}
