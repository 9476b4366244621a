import CRabbitMQ
import ExchangeCore

/// Sole owner of an `amqp_connection_state_t`.
///
/// rabbitmq-c connections must not be shared between threads (README, Threading), so the handle is
/// created, used and destroyed on one thread: it is neither copyable nor `Sendable`. Destroying it
/// frees the socket and everything the library allocated, on every path.
struct ConnectionHandle: ~Copyable {
  let state: amqp_connection_state_t

  /// Fails only when memory is exhausted.
  init() throws(AMQPError) {
    guard let state = amqp_new_connection() else {
      throw AMQPError(.protocol, "no memory for a connection")
    }
    self.state = state
  }

  // Not amqp_connection_close: that is a call to the broker, which may be gone (#380).
  deinit { amqp_destroy_connection(state) }
}
