import CRabbitMQ
import ExchangeCore

/// The few questions that the node asks the broker. Each waits for the answer, at most the call
/// timeout. All declarations are passive: nodes declare nothing (design section 5).
extension BrokerConnection {
  /// Opens the channel and makes sure that the unit's exchange is there: publishing to a missing one
  /// would close the channel and be held against an innocent message.
  borrowing func openPublisher() throws(AMQPError) {
    try openChannel()
    try checkExchange()
    try request(doing: "asking for confirms") {
      amqp_confirm_select($0, FrameInterpreter.channel)
    }
  }

  /// Opens the channel and starts consuming `queue` with manual acknowledgement. Deliveries arrive
  /// from now on, up to the prefetch limit.
  borrowing func openConsumer(queue: String) throws(AMQPError) {
    try openChannel()
    let prefetch = settings.prefetch
    try request(doing: "setting the prefetch") {
      amqp_basic_qos($0, FrameInterpreter.channel, 0, prefetch, 0)
    }
    try request(doing: "consuming \(queue)") { state in
      withBytes(queue) { name in
        _ = amqp_basic_consume(
          state, FrameInterpreter.channel, name, amqp_empty_bytes, 0, 0, 0, amqp_empty_table)
      }
    }
  }

  borrowing func openChannel() throws(AMQPError) {
    try request(doing: "opening a channel") { amqp_channel_open($0, FrameInterpreter.channel) }
  }

  /// Throws `exchangeMissing` unless the unit's own exchange exists.
  borrowing func checkExchange() throws(AMQPError) {
    let exchange = Topology.outExchange(of: settings.user)
    try request(doing: "looking for exchange \(exchange)") { state in
      withBytes(exchange) { name in
        _ = amqp_exchange_declare(
          state, FrameInterpreter.channel, name, amqp_empty_bytes, 1, 0, 0, 0, amqp_empty_table)
      }
    }
  }

  /// The number of messages that wait in `queue`. Throws `queueMissing` unless it exists.
  borrowing func waitingMessages(in queue: String) throws(AMQPError) -> Int {
    var count = 0
    try request(doing: "looking for queue \(queue)") { state in
      withBytes(queue) { name in
        let answer = amqp_queue_declare(
          state, FrameInterpreter.channel, name, 1, 0, 0, 0, amqp_empty_table)
        count = answer.map { Int($0.pointee.message_count) } ?? 0
      }
    }
    return count
  }

  /// Acknowledges everything up to `tag`. Says nothing about success: on a channel that the broker
  /// has closed it returns OK too, so the answer is that no close follows.
  borrowing func acknowledge(upTo tag: UInt64) throws(AMQPError) {
    CrashPoint.ackBefore.pass()
    let status = call { amqp_basic_ack($0, FrameInterpreter.channel, tag, 1) }
    try check(status: status, doing: "acknowledging")
    CrashPoint.ackAfter.pass()
  }
}

/// Lends `text` as `amqp_bytes_t` for the duration of `body`; the library copies what it keeps.
func withBytes<Result>(_ text: String, _ body: (amqp_bytes_t) -> Result) -> Result {
  var text = text
  return text.withUTF8 { bytes in
    body(
      amqp_bytes_t(
        len: bytes.count, bytes: UnsafeMutableRawPointer(mutating: bytes.baseAddress)))
  }
}
