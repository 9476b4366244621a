import CRabbitMQ
import ExchangeCore
import Foundation

/// Puts the frames of one channel back together into events (AMQP 0-9-1, 4.2.6: method, header,
/// body frames, without other frames of that channel between them).
///
/// Holds at most one body of `WireLimits.bodyBytes`: of a longer one the bytes are counted and
/// dropped as they come. A frame out of place is an error, which ends the connection.
struct ContentAssembler {
  private enum Expecting {
    case method
    case header(Kind)
    case body(Kind, MessageProperties, size: UInt64, received: UInt64)
  }

  private enum Kind {
    case delivery(tag: UInt64, redelivered: Bool, exchange: String)
    case returned(code: Int, text: String, routingKey: String)
  }

  private var expecting = Expecting.method
  private var body = Data()

  /// True between a content method and its last body frame.
  var isMidContent: Bool {
    if case .method = expecting { false } else { true }
  }

  /// The delivery whose header comes next, if that is so.
  var awaitedDelivery: (tag: UInt64, redelivered: Bool)? {
    guard case .header(.delivery(let tag, let redelivered, _)) = expecting else { return nil }
    return (tag, redelivered)
  }

  /// Takes `basic.deliver`, the beginning of a delivery; `method` is only borrowed.
  mutating func begin(_ method: amqp_basic_deliver_t) throws(AMQPError) {
    try expectMethod()
    expecting = .header(
      .delivery(
        tag: method.delivery_tag, redelivered: method.redelivered != 0,
        exchange: method.exchange.text))
  }

  /// Takes `basic.return`, whose content follows like a delivery's; `method` is only borrowed.
  mutating func begin(_ method: amqp_basic_return_t) throws(AMQPError) {
    try expectMethod()
    expecting = .header(
      .returned(
        code: Int(method.reply_code), text: method.reply_text.text,
        routingKey: method.routing_key.text))
  }

  /// Throws when a method comes in the middle of a content.
  func expectMethod() throws(AMQPError) {
    guard !isMidContent else { throw Self.misplaced("a method") }
  }

  /// Takes a header frame; the event when the body is empty.
  mutating func header(_ properties: MessageProperties, size: UInt64) throws(AMQPError)
    -> BrokerEvent?
  {
    guard case .header(let kind) = expecting else { throw Self.misplaced("a content header") }
    body = Data()
    if case .delivery = kind, size <= WireLimits.bodyBytes { body.reserveCapacity(Int(size)) }
    expecting = .body(kind, properties, size: size, received: 0)
    return size == 0 ? finish() : nil
  }

  /// Takes a body frame, lent for the call; the event when it was the last one.
  mutating func fragment(_ bytes: UnsafeRawBufferPointer) throws(AMQPError) -> BrokerEvent? {
    guard case .body(let kind, let properties, let size, let received) = expecting else {
      throw Self.misplaced("a content body")
    }
    guard UInt64(bytes.count) <= size - received else {
      throw AMQPError(.protocol, "the broker sent more of a body than it announced")
    }
    let total = received + UInt64(bytes.count)
    if case .delivery = kind, size <= WireLimits.bodyBytes {
      body.append(contentsOf: bytes)
    }
    expecting = .body(kind, properties, size: size, received: total)
    return total == size ? finish() : nil
  }

  private mutating func finish() -> BrokerEvent? {
    guard case .body(let kind, let properties, let size, _) = expecting else { return nil }
    expecting = .method
    defer { body = Data() }
    switch kind {
    case .delivery(let tag, let redelivered, let exchange):
      let content = Content(
        properties: properties, body: size <= WireLimits.bodyBytes ? body : nil, bodySize: size)
      return .delivery(tag: tag, redelivered: redelivered, exchange: exchange, content: content)
    case .returned(let code, let text, let routingKey):
      return .returned(code: code, text: text, routingKey: routingKey, properties: properties)
    }
  }

  private static func misplaced(_ what: String) -> AMQPError {
    AMQPError(.protocol, "the broker sent \(what) frame out of place")
  }
}
