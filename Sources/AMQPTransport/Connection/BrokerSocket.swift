import CRabbitMQ
import ExchangeCore
import Glibc

/// Opens the TCP or TLS socket of a connection and logs in.
enum BrokerSocket {
  /// Connects within `settings.connectTimeout`, the TLS handshake and the check of the broker's
  /// certificate included; nothing secret has been sent when that fails.
  static func open(
    _ handle: borrowing ConnectionHandle, to host: BrokerHost, settings: BrokerSettings
  ) throws(AMQPError) {
    // The socket becomes part of the connection state and is freed with it.
    let socket =
      if let tls = settings.tls {
        try secureSocket(handle, tls: tls)
      } else {
        amqp_tcp_socket_new(handle.state)
      }
    guard let socket else { throw AMQPError(.unreachable, "no memory for a socket") }
    var limit = settings.connectTimeout.timeValue
    // Over TLS it is this name that the broker's certificate must have.
    let status = amqp_socket_open_noblock(socket, host.name, Int32(clamping: host.port), &limit)
    guard status == 0 else {
      throw ReplyErrors.opening(status: status, host: host, settings: settings)
    }
    tune(amqp_get_sockfd(handle.state), settings: settings)
  }

  /// Logs in with the capabilities that make the broker talk (see `congvan_login`).
  static func login(
    _ handle: borrowing ConnectionHandle, settings: BrokerSettings, role: String
  ) -> amqp_rpc_reply_t {
    let name = "congvan \(settings.user) \(role)"
    let heartbeat = Int32(clamping: settings.heartbeatSeconds)
    switch settings.authentication {
    case .password(let password):
      return congvan_login(
        handle.state, settings.vhost, heartbeat, name, "congvan", Product.version,
        settings.user.rawValue, password)
    case .external:
      return congvan_login(
        handle.state, settings.vhost, heartbeat, name, "congvan", Product.version,
        settings.user.rawValue, nil)
    }
  }

  private static func secureSocket(
    _ handle: borrowing ConnectionHandle, tls: BrokerSettings.TLS
  ) throws(AMQPError) -> OpaquePointer? {
    guard let socket = amqp_ssl_socket_new(handle.state) else { return nil }
    amqp_ssl_socket_set_verify_peer(socket, 1)
    amqp_ssl_socket_set_verify_hostname(socket, 1)
    // The library's default lets TLS 1.0 in.
    guard amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) == 0 else {
      throw AMQPError(.tls, "the OpenSSL library offers no TLS 1.2")
    }
    guard amqp_ssl_socket_set_cacert(socket, tls.caFile) == 0 else {
      throw AMQPError(
        .tls, "cannot read certificates from the CA file \(tls.caFile)",
        next: "put the PEM certificates of the broker's authority into broker.caFile")
    }
    if let certificate = tls.certificateFile {
      // Files, not buffers: amqp_ssl_socket_set_key_buffer reports success as failure in 0.11.
      guard amqp_ssl_socket_set_key(socket, certificate, tls.keyFile ?? certificate) == 0 else {
        throw AMQPError(
          .tls, "cannot read the unit's certificate \(certificate) or its private key",
          next: "both must be PEM, the key without a pass phrase and the one of the certificate: "
            + "check broker.certificateFile and broker.keyFile")
      }
    }
    return socket
  }

  /// rabbitmq-c sets TCP_NODELAY and SO_KEEPALIVE itself. What it leaves out is a limit for data
  /// that the peer does not take (RFC 5482): without it a write into a dead line lasts until the
  /// kernel gives up after about a quarter of an hour. Failure is harmless: the watchdog remains.
  private static func tune(_ socket: Int32, settings: BrokerSettings) {
    let milliseconds = settings.callTimeout.wholeNanoseconds / 1_000_000
    set(socket, TCP_USER_TIMEOUT, Int32(clamping: milliseconds))
    set(socket, TCP_KEEPIDLE, Int32(clamping: max(1, settings.heartbeatSeconds)))
    set(socket, TCP_KEEPINTVL, Int32(clamping: max(1, settings.heartbeatSeconds / 3)))
  }

  private static func set(_ socket: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(socket, Int32(IPPROTO_TCP), option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}

/// What the node calls itself towards the broker (client property `product`).
enum Product {
  static let version = "1"
}
