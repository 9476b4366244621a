import CRabbitMQ
import ExchangeCore

/// Turns what rabbitmq-c reports into the module's errors.
enum ReplyErrors {
  /// For a negative status of a call made while `doing` something with an open connection.
  static func error(status: Int32, doing: String) -> AMQPError {
    let text = String(cString: amqp_error_string2(status))
    return switch status {
    case AMQP_STATUS_TIMEOUT.rawValue:
      AMQPError(.timeout, "\(doing): the broker did not answer in time")
    case AMQP_STATUS_HEARTBEAT_TIMEOUT.rawValue:
      AMQPError(.timeout, "\(doing): nothing heard from the broker for two heartbeats")
    case AMQP_STATUS_CONNECTION_CLOSED.rawValue, AMQP_STATUS_SOCKET_CLOSED.rawValue,
      AMQP_STATUS_SOCKET_ERROR.rawValue, AMQP_STATUS_TCP_ERROR.rawValue,
      AMQP_STATUS_SSL_ERROR.rawValue:
      AMQPError(
        .closed, "\(doing): the connection broke (\(text))",
        next: "the line or the broker ended it without a reason; the node tries again by itself")
    default:
      AMQPError(.protocol, "\(doing): \(text)")
    }
  }

  /// For the status of `amqp_socket_open_noblock`. Over TLS the status says what was wrong.
  static func opening(
    status: Int32, host: BrokerHost, settings: BrokerSettings
  ) -> AMQPError {
    let place = "\(host)"
    let text = String(cString: amqp_error_string2(status))
    return switch status {
    case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED.rawValue:
      AMQPError(
        .tls, "name mismatch: the broker's certificate is not for \(host.name)",
        next: "give in broker.host a DNS name of the broker's certificate; an IP address never "
          + "matches")
    case AMQP_STATUS_SSL_PEER_VERIFY_FAILED.rawValue:
      AMQPError(
        .tls, "untrusted: no authority in the CA file vouches for \(place)",
        next:
          "put the certificate of the authority that issued the broker's into broker.caFile, and "
          + "its intermediate authorities too; ask the operator for them")
    case AMQP_STATUS_SSL_CONNECTION_FAILED.rawValue, AMQP_STATUS_SSL_ERROR.rawValue:
      AMQPError(.tls, "the TLS handshake with \(place) failed (\(text))")
    case AMQP_STATUS_TIMEOUT.rawValue:
      AMQPError(.unreachable, "\(place) does not answer within \(settings.connectTimeout)")
    case AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED.rawValue:
      AMQPError(.unreachable, "the name \(host.name) cannot be resolved")
    default:
      AMQPError(.unreachable, "cannot connect to \(place) (\(text))")
    }
  }

  /// Throws unless `reply` to an RPC on an open connection is normal.
  static func check(_ reply: amqp_rpc_reply_t, doing: String) throws(AMQPError) {
    switch reply.reply_type {
    case AMQP_RESPONSE_NORMAL: return
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      guard let close = CloseReason(method: reply.reply) else {
        throw AMQPError(.protocol, "\(doing): unexpected answer \(reply.reply.id)")
      }
      throw AMQPError(code(of: close, doing: doing), "\(doing): \(close)")
    default: throw error(status: reply.library_error, doing: doing)
    }
  }

  /// Throws unless the login succeeded. What a refusal means is known only here: 403 is the user,
  /// 530 the vhost (RabbitMQ rabbit_reader), and a TLS 1.3 server judges the client's certificate
  /// only after the handshake (RFC 8446 4.4.2), so its refusal shows as a broken first read.
  static func checkLogin(_ reply: amqp_rpc_reply_t, settings: BrokerSettings) throws(AMQPError) {
    switch reply.reply_type {
    case AMQP_RESPONSE_NORMAL: return
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      guard let close = CloseReason(method: reply.reply) else {
        throw AMQPError(.protocol, "login: unexpected answer \(reply.reply.id)")
      }
      let kind: AMQPErrorCode =
        switch close.code {
        case 403: .loginRefused
        case 530 where close.text.contains("limit"): .connectionLimit
        case 402, 530: .vhost
        default: .closed
        }
      throw AMQPError(
        kind, "login as \(settings.user) at \(settings.vhost): \(close)",
        next: kind == .vhost ? vhostHint(close, settings) : nil)
    default:
      let status = reply.library_error
      if status == AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD.rawValue {
        throw AMQPError(
          .loginRefused, "the broker does not offer login by \(settings.authentication)",
          next: "set broker.authentication to what the operator has set up: external (the unit's "
            + "certificate) or password")
      }
      if status == AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION.rawValue {
        throw AMQPError(.notAMQP, "login: the peer offers another version of AMQP than 0-9-1")
      }
      if let tls = settings.tls, isBroken(status) {
        throw AMQPError(
          .tls,
          tls.certificateFile == nil
            ? "no client cert: the broker ended the TLS connection, it may require a certificate"
            : "the peer ended the TLS connection: it may not accept the unit's certificate, or be no "
              + "AMQP broker",
          next: tls.certificateFile == nil
            ? "set broker.authentication: external and broker.certificateFile, or ask the operator "
              + "whether units may log in with a password"
            : "is broker.port the TLS port of AMQP (5671 by custom)? If it is, ask the operator "
              + "whether the broker trusts the authority of broker.certificateFile, and whether that is valid"
        )
      }
      if settings.tls == nil, isBroken(status) {
        throw AMQPError(
          .closed, "login: the peer ended the connection at the first bytes",
          next: "is broker.port a TLS port, and broker.tls false? `congvan config check` looks at "
            + "what listens there")
      }
      throw error(status: status, doing: "login")
    }
  }

  /// RabbitMQ closes with 530 for a virtual host that does not exist, that is down, and that the user
  /// may not use; only its text tells them apart.
  private static func vhostHint(_ close: CloseReason, _ settings: BrokerSettings) -> String? {
    if close.text.contains("not found") {
      return "the broker has no virtual host “\(settings.vhost)”: correct broker.virtualHost (the "
        + "definitions make “congvan”), or ask the operator to import them"
    }
    if close.text.contains("refused for user") {
      return "the user “\(settings.user)” has no rights in “\(settings.vhost)”: correct "
        + "broker.virtualHost, or ask the operator to import the definitions again"
    }
    return nil
  }

  private static func isBroken(_ status: Int32) -> Bool {
    status == AMQP_STATUS_SSL_ERROR.rawValue || status == AMQP_STATUS_CONNECTION_CLOSED.rawValue
      || status == AMQP_STATUS_SOCKET_ERROR.rawValue
      || status == AMQP_STATUS_SOCKET_CLOSED.rawValue
  }

  private static func code(of close: CloseReason, doing: String) -> AMQPErrorCode {
    switch close.code {
    case 403: .permission
    case 404 where doing.contains("exchange"): .exchangeMissing
    case 404: .queueMissing
    default: .closed
    }
  }
}
