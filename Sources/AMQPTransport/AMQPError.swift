package import ExchangeCore

/// What a person can meet when the node talks to the broker.
package typealias AMQPError = Failure<AMQPErrorCode>

/// The reasons for which a connection is refused, lost or unusable. Codes are only ever added.
package enum AMQPErrorCode: String, FailureCode, CaseIterable {
  case unreachable = "BROKER-UNREACHABLE"
  case timeout = "BROKER-TIMEOUT"
  case loginRefused = "BROKER-LOGIN-REFUSED"
  case vhost = "BROKER-VHOST"
  case tls = "BROKER-TLS"
  case exchangeMissing = "BROKER-EXCHANGE-MISSING"
  case queueMissing = "BROKER-QUEUE-MISSING"
  case permission = "BROKER-PERMISSION"
  case tlsMismatch = "BROKER-TLS-MISMATCH"
  case notAMQP = "BROKER-NOT-AMQP"
  case connectionLimit = "BROKER-CONNECTION-LIMIT"
  case closed = "BROKER-CLOSED"
  case consumerCancelled = "BROKER-CONSUMER-CANCELLED"
  case `protocol` = "BROKER-PROTOCOL"
  case storeFailed = "STORE-FAILED"
  case channelRenewed = "BROKER-CHANNEL-RENEWED"

  /// The next step for the person who meets this failure.
  package var hint: String {
    switch self {
    case .unreachable:
      "check the broker's host and port in the configuration and that the network lets them through"
    case .timeout:
      "the broker or the network does not answer: check the line; the node tries again by itself"
    case .loginRefused:
      "check the unit id and password (or certificate) with `congvan config check`, or ask the "
        + "federation's operator whether the broker's user exists"
    case .vhost: "correct broker.virtualHost, or ask the operator for access to it"
    case .tls:
      "check that broker.port is a TLS port, broker.caFile, and the unit's own certificate and key; "
        + "`congvan config check` looks at what listens there"
    case .tlsMismatch: "make broker.tls and broker.port fit each other"
    case .notAMQP: "correct broker.host and broker.port: another service listens there"
    case .connectionLimit:
      "the broker's user has as many connections as it may: is a second daemon running as this unit? "
        + "Those of a broken line end within a minute; if it lasts, ask the operator"
    case .exchangeMissing, .queueMissing:
      "the unit is not provisioned on the broker: ask the federation's operator to do it"
    case .permission:
      "the broker's user lacks a right: ask the operator to provision the unit again"
    case .closed:
      "the broker ended the connection for the reason it names; the node tries again by itself"
    case .consumerCancelled:
      "the broker stopped delivering (queue deleted or its node down): ask the operator if it lasts"
    case .protocol:
      "the peer does not speak AMQP 0-9-1 as expected: check that host and port are a RabbitMQ's "
        + "with `congvan config check`"
    case .channelRenewed:
      "nothing to do: the node connects again by itself; if it lasts, ask the operator whether the "
        + "queue is full or has lost its leader"
    case .storeFailed:
      "the node could not use its own database: see its log and the free disk space; nothing was lost"
    }
  }
}
