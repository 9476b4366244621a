/// Where one broker listens. A node may know several members of a cluster.
package struct BrokerHost: Sendable, Hashable, CustomStringConvertible {
  /// A DNS name; an address only without TLS.
  package let name: String
  /// 5672 for plain TCP and 5671 for TLS, by custom.
  package let port: Int

  package init(name: String, port: Int) {
    self.name = name
    self.port = port
  }

  /// `mq1.example`, `mq1.example:5671`, `10.0.0.1:5672`, `[::1]:5672`; nil for anything else.
  package init?(_ text: some StringProtocol, defaultPort: Int) {
    var name = Substring(text)
    var port: Int? = defaultPort
    if name.hasPrefix("[") {
      guard let end = name.firstIndex(of: "]") else { return nil }
      let rest = name[name.index(after: end)...]
      name = name[name.index(after: name.startIndex)..<end]
      guard rest.isEmpty || rest.hasPrefix(":"), name.contains(":") else { return nil }
      if !rest.isEmpty { port = Self.port(rest.dropFirst()) }
    } else if let colon = name.firstIndex(of: ":") {
      port = Self.port(name[name.index(after: colon)...])
      name = name[..<colon]
    }
    let isName = name.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || [0x2D, 0x2E, 0x3A, 0x5F].contains(byte)
    }
    guard let port, (1...65_535).contains(port), !name.isEmpty, name.utf8.count <= 253, isName
    else { return nil }
    self.init(name: String(name), port: port)
  }

  private static func port(_ digits: Substring) -> Int? {
    digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits) : nil
  }

  package var description: String { name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)" }
}

/// Which host is tried next, and when to wait. Each loop has its own.
///
/// A host that works is kept. After a failure the next one is tried at once, and a pause comes only
/// when every host has had its turn: a dead member of a cluster delays nobody, and a node whose
/// connections all break soon after the login does not hammer the brokers either.
struct HostRotation {
  private let count: Int
  private var index: Int
  private var tried = 0

  /// `first` below `count`; nodes begin at a random one, so that thousands spread over a cluster.
  init(count: Int, first: Int) {
    self.count = count
    index = first
  }

  var current: Int { index }

  /// The connection lasted: the next failure begins a new round.
  mutating func settled() { tried = 0 }

  /// Moves on to the next host. True when a pause has to come first.
  mutating func failed() -> Bool {
    index = (index + 1) % count
    tried = (tried + 1) % count
    return tried == 0
  }
}
