package import ExchangeCore

/// Where the brokers are and how this unit logs in. Times are durations, files are PEM paths that are
/// read at every connect, so a renewed certificate needs no restart.
///
/// Never prints the password: not in `description`, not in a mirror.
package struct BrokerSettings: Sendable, CustomStringConvertible {
  /// How the unit proves who it is (SASL).
  package enum Authentication: Sendable {
    /// PLAIN. Use it over TLS or on loopback only.
    case password(String)
    /// EXTERNAL: the TLS client certificate, whose name must be the unit id.
    case external
  }

  /// TLS 1.2 or newer. The broker's name is always checked: the host's name must be a DNS name in
  /// the certificate's subjectAltName. An IP address never matches (rabbitmq-c 0.11 compares DNS
  /// names only), so give hosts by name.
  package struct TLS: Sendable, Hashable {
    /// Certificates of the authorities that may vouch for the broker.
    package var caFile: String
    /// The unit's certificate and its chain. Needed for `.external`.
    package var certificateFile: String?
    /// The private key of `certificateFile`, unencrypted.
    package var keyFile: String?

    /// Paths of PEM files; nothing is read yet.
    package init(caFile: String, certificateFile: String? = nil, keyFile: String? = nil) {
      self.caFile = caFile
      self.certificateFile = certificateFile
      self.keyFile = keyFile
    }
  }

  /// Members of one cluster, at least one. Each (re)connect takes the next after a failure.
  package var hosts: [BrokerHost]
  /// The broker's virtual host; `/` is RabbitMQ's default.
  package var vhost: String
  /// The unit, which is also the name of the broker's user and the `user-id` of every message.
  package var user: UnitID
  /// Kept out of every description.
  package var authentication: Authentication
  /// Nil: plain TCP.
  package var tls: TLS?

  /// Seconds between heartbeats; the peer is given up after two misses. 5 to 20 is sensible
  /// (RabbitMQ guide, Heartbeats).
  package var heartbeatSeconds = 15
  /// For the TCP connect with the TLS handshake, and again for the login. Name resolution is not
  /// covered: `getaddrinfo` has its own limits (resolv.conf).
  package var connectTimeout = Duration.seconds(10)
  /// No call into rabbitmq-c lasts longer: the watchdog then cuts the connection. A publish gets a
  /// second more for every `slowestBytesPerSecond` of its body.
  package var callTimeout = Duration.seconds(20)
  /// The slowest line that a message is still given time for.
  package var slowestBytesPerSecond = 16_384
  /// How long a publisher that was asked to stop waits for outstanding confirms.
  package var stopTimeout = Duration.seconds(5)

  /// A channel on which the broker refused a message (`basic.nack`) is not used for longer. RabbitMQ
  /// 3.10 may keep a channel on the dead leader of a quorum queue and refuse everything on it, although
  /// the queue has a new leader (rabbitmq-server#9221).
  package var refusedChannelLife = Duration.seconds(2)

  /// Messages in flight, unconfirmed. Above 64 only the latency grows.
  package var windowCount = 64
  /// Bytes in flight, unconfirmed.
  package var windowBytes = 8 << 20
  /// Unacknowledged deliveries. Two batches of a consumer: while one is stored the next comes. So many
  /// small messages of one unit do not hold up for long what others sent after them into the same
  /// queue. What is read of large ones is bounded by the bytes of a batch; the rest waits in the socket.
  package var prefetch: UInt16 = 256
  /// How long a queue must have been quiet before `DeliverySink.wentIdle` is called.
  package var quietTime = Duration.milliseconds(500)

  /// Everything else has a default that suits a unit behind an ordinary Internet line.
  package init(
    hosts: [BrokerHost], vhost: String = "/", user: UnitID, authentication: Authentication,
    tls: TLS? = nil
  ) {
    precondition(!hosts.isEmpty, "settings without a broker")
    self.hosts = hosts
    self.vhost = vhost
    self.user = user
    self.authentication = authentication
    self.tls = tls
  }

  /// `amqps://unit@host:port/vhost`, without the password; several hosts as `host:port,host:port`.
  package var description: String { address(hosts.map(\.description).joined(separator: ",")) }

  /// The same for one host.
  package func address(of host: BrokerHost) -> String { address(host.description) }

  private func address(_ place: String) -> String {
    "\(tls == nil ? "amqp" : "amqps")://\(user)@\(place)/\(vhost == "/" ? "" : vhost)"
  }
}

extension BrokerSettings.Authentication: CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  /// The mechanism's name, never the secret.
  package var description: String {
    switch self {
    case .password: "password"
    case .external: "external"
    }
  }

  /// As `description`: a debugger or a `dump` must not show the secret either.
  package var debugDescription: String { description }

  /// A mirror without children, so that `dump(settings)` stays silent about the password.
  package var customMirror: Mirror { Mirror(self, children: []) }
}
