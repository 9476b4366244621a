import CRabbitMQ
import ExchangeCore
import ExchangeTestKit
import Glibc

/// A foreign client: logs in as a unit and publishes whatever a test wants, straight through
/// rabbitmq-c and without any code of the transport.
final class RawClient {
  struct Failed: Error { let status: Int32 }

  private let state: amqp_connection_state_t

  init(_ broker: TestBroker, as unit: TestBroker.Unit) throws {
    guard let state = amqp_new_connection(), let socket = amqp_tcp_socket_new(state) else {
      throw Failed(status: 0)
    }
    self.state = state
    let status = amqp_socket_open(socket, broker.host, Int32(broker.port))
    guard status == 0 else { throw Failed(status: status) }
    let reply = congvan_login(
      state, "/", 0, "raw", "test", "1", unit.id.rawValue, unit.password)
    guard reply.reply_type == AMQP_RESPONSE_NORMAL else {
      throw Failed(status: reply.library_error)
    }
    amqp_channel_open(state, 1)
    amqp_confirm_select(state, 1)
  }

  deinit {
    amqp_connection_close(state, 200)
    amqp_destroy_connection(state)
  }

  /// Every pointer lives as long as the value.
  final class Bytes {
    let value: amqp_bytes_t
    init(_ bytes: [UInt8]) {
      let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, bytes.count))
      copy.initialize(from: bytes, count: bytes.count)
      value = amqp_bytes_t(len: bytes.count, bytes: copy)
    }
    convenience init(_ text: String) { self.init(Array(text.utf8)) }
    deinit { value.bytes.deallocate() }
  }

  typealias Field = (name: Bytes, value: amqp_field_value_t)

  static func field(
    _ name: String, _ kind: amqp_field_value_kind_t,
    _ set: (inout amqp_field_value_t) -> Void = { _ in }
  ) -> Field {
    var value = amqp_field_value_t()
    value.kind = UInt8(truncatingIfNeeded: kind.rawValue)
    set(&value)
    return (Bytes(name), value)
  }

  func publish(
    to exchange: String, routingKey: String, messageID: [UInt8], userID: String? = nil,
    headers: [Field] = [], body: [UInt8] = []
  ) throws {
    let texts = (Bytes(exchange), Bytes(routingKey), Bytes(messageID), Bytes(userID ?? ""))
    let content = Bytes(body)
    var entries = headers.map { amqp_table_entry_t(key: $0.name.value, value: $0.value) }
    let status = entries.withUnsafeMutableBufferPointer { entries in
      var properties = amqp_basic_properties_t()
      var flags = AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_HEADERS_FLAG
      if userID != nil { flags |= AMQP_BASIC_USER_ID_FLAG }
      properties._flags = amqp_flags_t(flags)
      properties.message_id = texts.2.value
      properties.user_id = texts.3.value
      properties.headers = amqp_table_t(
        num_entries: Int32(entries.count), entries: entries.baseAddress)
      return withExtendedLifetime((texts, content, headers)) {
        amqp_basic_publish(
          state, 1, texts.0.value, texts.1.value, 0, 0, &properties, content.value)
      }
    }
    guard status == 0 else { throw Failed(status: status) }
    try awaitConfirm()
  }

  /// Publishes an empty message with property bytes that no library would write.
  func publish(to exchange: String, routingKey: String, properties: [UInt8]) throws {
    func short(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
    let bytes =
      ScriptedPeer.method(60, 40, [0, 0] + short(exchange) + short(routingKey) + [0])
      + ScriptedPeer.header(properties: properties)
    let sent = send(amqp_get_sockfd(state), bytes, bytes.count, Int32(MSG_NOSIGNAL))
    guard sent == bytes.count else { throw Failed(status: 0) }
    try awaitConfirm()
  }

  /// A quorum queue that is still electing its leader drops what a publisher without confirms sends
  /// and then leaves.
  private func awaitConfirm() throws {
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    var frame = amqp_frame_t()
    let status = amqp_simple_wait_frame_noblock(state, &frame, &limit)
    let isAck =
      Int32(frame.frame_type) == AMQP_FRAME_METHOD
      && frame.payload.method.id == AMQP_BASIC_ACK_METHOD
    guard status == 0, isAck else { throw Failed(status: status) }
    amqp_maybe_release_buffers(state)
  }
}
