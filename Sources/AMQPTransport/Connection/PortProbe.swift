import ExchangeCore
import Foundation
import Glibc

/// Finds out what listens on a port, after a login there has failed: a person is then told what was
/// seen and not what may be. Blocks; each of its three questions takes `limit` at most.
enum PortProbe {
  enum Finding: Equatable {
    /// AMQP 0-9-1 without TLS.
    case amqp
    /// AMQP, but only this version.
    case otherAMQP(String)
    case tls
    case http
    /// Anything else that answers: the printable beginning of what it says.
    case other(String)
    /// Takes connections and says nothing.
    case silent
    /// Takes connections and ends them without a word.
    case closes
    /// Takes no connection.
    case unreachable
  }

  private enum Answer {
    case bytes([UInt8])
    case silence
    case end
    case noConnection
  }

  static let limit = Duration.seconds(2)
  static let header: [UInt8] = Array("AMQP".utf8) + [0, 0, 9, 1]

  /// Asks as an AMQP client, then as a TLS client, then for a web page, until something answers.
  static func look(at host: BrokerHost, within limit: Duration = limit) -> Finding {
    var finding = Finding.unreachable
    for question in [header, clientHello, Array("GET / HTTP/1.0\r\n\r\n".utf8)] {
      switch ask(host, question, within: limit) {
      case .bytes(let bytes): return recognise(bytes)
      case .silence: finding = .silent
      case .end: if finding != .silent { finding = .closes }
      case .noConnection: return finding
      }
    }
    return finding
  }

  static func recognise(_ bytes: [UInt8]) -> Finding {
    if bytes.starts(with: [1, 0, 0]) || bytes.starts(with: header) { return .amqp }
    if bytes.starts(with: "AMQP".utf8), bytes.count >= 8 {
      return .otherAMQP(bytes[5..<8].map { "\($0)" }.joined(separator: "."))
    }
    // A handshake or an alert of TLS 1.x.
    if bytes.count >= 2, [0x15, 0x16].contains(bytes[0]), bytes[1] == 3 { return .tls }
    if bytes.starts(with: "HTTP/".utf8) { return .http }
    let text = bytes.prefix(60).prefix { (0x20...0x7E).contains($0) }
    return .other(String(decoding: text, as: UTF8.self))
  }

  /// A ClientHello of TLS 1.2 with some suites that every server knows or refuses with an alert.
  private static let clientHello: [UInt8] = {
    let suites: [UInt8] = [
      0xC0, 0x2F, 0xC0, 0x30, 0xC0, 0x2B, 0xC0, 0x2C, 0x00, 0x9C, 0x00, 0x9D, 0x00, 0x2F, 0x00,
      0x35,
    ]
    let groups: [UInt8] = [0, 10, 0, 6, 0, 4, 0, 23, 0, 24]
    let algorithms: [UInt8] = [0, 13, 0, 10, 0, 8, 4, 1, 5, 1, 4, 3, 5, 3]
    let extensions = groups + algorithms
    let random = (0..<32).map { UInt8($0) }
    var body: [UInt8] = [3, 3] + random + [0, 0, UInt8(suites.count)] + suites + [1, 0]
    body += [0, UInt8(extensions.count)] + extensions
    let handshake = [1, 0, 0, UInt8(body.count)] + body
    return [0x16, 3, 1, 0, UInt8(handshake.count)] + handshake
  }()

  // MARK: Sockets

  private static func ask(_ host: BrokerHost, _ question: [UInt8], within limit: Duration) -> Answer
  {
    let deadline = Monotonic.after(limit)
    guard let socket = connect(host, until: deadline) else { return .noConnection }
    defer { close(socket) }
    guard send(socket, question, question.count, Int32(MSG_NOSIGNAL)) == question.count else {
      return .end
    }
    var bytes = [UInt8](repeating: 0, count: 64)
    guard wait(socket, POLLIN, until: deadline) else { return .silence }
    let count = recv(socket, &bytes, bytes.count, 0)
    return count > 0 ? .bytes(Array(bytes.prefix(count))) : .end
  }

  private static func connect(_ host: BrokerHost, until deadline: UInt64) -> Int32? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host.name, "\(host.port)", &hints, &found) == 0 else { return nil }
    defer { freeaddrinfo(found) }
    var next = found
    while let address = next?.pointee {
      next = address.ai_next
      let kind = address.ai_socktype | Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      let socket = Glibc.socket(address.ai_family, kind, address.ai_protocol)
      guard socket >= 0 else { continue }
      if Glibc.connect(socket, address.ai_addr, address.ai_addrlen) == 0 { return socket }
      if errno == EINPROGRESS, wait(socket, POLLOUT, until: deadline) {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length)
        if error == 0 { return socket }
      }
      close(socket)
    }
    return nil
  }

  private static func wait(_ socket: Int32, _ events: Int32, until deadline: UInt64) -> Bool {
    while true {
      let now = Monotonic.now
      guard now < deadline else { return false }
      var waiting = pollfd(fd: socket, events: Int16(events), revents: 0)
      let count = poll(&waiting, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
      if count > 0 { return true }
      if count < 0 && errno != EINTR { return false }
    }
  }
}

extension AMQPError {
  /// This failure to log in at `host`, or the one that the probe of the port has shown to be behind
  /// it. A broker that answers and refuses the user is not probed.
  func diagnosed(at host: BrokerHost, settings: BrokerSettings) -> AMQPError {
    guard [.tls, .closed, .timeout, .protocol, .unreachable].contains(kind) else { return self }
    let isTLS = settings.tls != nil
    switch PortProbe.look(at: host) {
    case .unreachable: return self
    case .amqp:
      guard isTLS else { return self }
      return AMQPError(
        .tlsMismatch, "broker.tls is true, and \(host) speaks AMQP without TLS",
        next:
          "is broker.port a TLS port? By custom 5671 is the one with TLS, 5672 the one without; "
          + "without TLS (on one machine only) set broker.tls: false")
    case .tls:
      guard !isTLS else { return self }
      return AMQPError(
        .tlsMismatch, "broker.tls is false, and \(host) is a TLS port",
        next: "set broker.tls: true, or is broker.port meant to be the port without TLS (by custom "
          + "5672)?")
    case .http:
      return AMQPError(
        .notAMQP, "\(host) answers with HTTP, so it is a web server",
        next:
          "correct broker.port: 5671 (TLS) or 5672 by custom; 15671 and 15672 are the web pages "
          + "of RabbitMQ's management")
    case .otherAMQP(let version):
      return AMQPError(
        .notAMQP, "\(host) offers AMQP \(version) only, and congvan needs AMQP 0-9-1",
        next: "ask the operator for a RabbitMQ port with AMQP 0-9-1")
    case .other(let text):
      return AMQPError(
        .notAMQP,
        text.isEmpty
          ? "\(host) answers, but not with AMQP" : "\(host) answers “\(text)”, which is no AMQP",
        next: "another service listens there: correct broker.host and broker.port")
    case .silent:
      return AMQPError(
        .timeout, "\(host) takes the connection and says nothing, neither to AMQP nor TLS nor HTTP",
        next: "is broker.port the broker's port? If it is, the broker hangs or something between "
          + "here and there holds the line: ask the operator")
    case .closes:
      return AMQPError(
        .closed, "\(host) ends each connection without a word, whether AMQP, TLS or HTTP is spoken",
        next:
          "is broker.port the broker's port? If it is, the broker is starting or stopping, or a "
          + "proxy or firewall before it does not reach it: try again, then ask the operator")
    }
  }
}
