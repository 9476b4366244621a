import Foundation
import Glibc
import Synchronization

/// A peer that lets anybody log in, open a channel and consume or publish, and then sends the bytes
/// that the test gave it: what a broken or hostile broker might do.
package final class ScriptedPeer: Sendable {
  /// Where it listens, on loopback.
  package let port: Int
  /// Logins so far.
  package let logins = Watched(0)
  /// Tags of `basic.ack` so far.
  package let acks = Watched<[UInt64]>([])
  private let listener: Int32
  private let bytes: [UInt8]

  /// Sends `bytes` after the answer to `basic.consume` or `confirm.select`.
  package init(sending bytes: [UInt8]) throws {
    self.bytes = bytes
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard isBound, listen(listener, 16) == 0 else { throw POSIXError(.EADDRINUSE) }
    self.listener = listener
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [self] in
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { break }
        serve(client)
        Glibc.close(client)
      }
      Glibc.close(listener)
    }
  }

  /// Stops listening; a conversation goes on until the client leaves.
  package func close() { shutdown(listener, Int32(SHUT_RDWR)) }

  // MARK: Frames

  /// A frame: type 1 method, 2 header, 3 body, 8 heartbeat.
  package static func frame(_ type: UInt8, channel: UInt16, _ payload: [UInt8]) -> [UInt8] {
    [type] + big(channel) + big(UInt32(payload.count)) + payload + [0xCE]
  }

  /// A method frame; `arguments` are encoded already.
  package static func method(
    _ classID: UInt16, _ methodID: UInt16, _ arguments: [UInt8] = [], channel: UInt16 = 1
  ) -> [UInt8] {
    frame(1, channel: channel, big(classID) + big(methodID) + arguments)
  }

  /// Network byte order.
  package static func big(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }

  /// `basic.deliver` with tag 1 from exchange `e` with key `k`.
  package static let deliver = method(
    60, 60, [1, 99] + big(UInt64(1)) + [0, 1, 101, 1, 107])

  /// A content header of class `basic` with these property bytes, flags first.
  package static func header(properties: [UInt8], size: UInt64 = 0) -> [UInt8] {
    frame(2, channel: 1, big(UInt16(60)) + big(UInt16(0)) + big(size) + properties)
  }

  /// A flag word that says that another one follows, which never does: RabbitMQ reads over it, and
  /// rabbitmq-c does not. `userID` follows as the only property.
  package static func endlessFlags(userID: String) -> [UInt8] {
    [0, 0x11, UInt8(userID.utf8.count)] + Array(userID.utf8)
  }

  /// Headers with one table in another, `depth` deep.
  package static func nestedHeaders(depth: Int) -> [UInt8] {
    var table: [UInt8] = []
    for _ in 0..<depth { table = [1, 97, 0x46] + big(UInt32(table.count)) + table }
    return [0x20, 0] + big(UInt32(table.count)) + table
  }

  /// A content header of class `basic` without properties.
  package static func header(size: UInt64, classID: UInt16 = 60) -> [UInt8] {
    frame(2, channel: 1, big(classID) + big(UInt16(0)) + big(size) + big(UInt16(0)))
  }

  // MARK: The conversation

  private func serve(_ client: Int32) {
    guard read(client, 8) != nil else { return }
    let start: [UInt8] = [0, 9] + Self.big(UInt32(0)) + Self.long("PLAIN") + Self.long("en_US")
    write(client, Self.method(10, 10, start, channel: 0))
    while let head = read(client, 7) {
      let size = head[3..<7].reduce(0) { $0 << 8 | Int($1) }
      guard let payload = read(client, size + 1) else { return }
      guard head[0] == 1, size >= 4 else { continue }
      let method = (UInt16(payload[0]) << 8 | UInt16(payload[1]), UInt16(payload[3]))
      if method == (60, 80), size >= 12 {
        acks.update { $0.append(payload[4..<12].reduce(0) { $0 << 8 | UInt64($1) }) }
      }
      answer(client, method)
    }
  }

  private func answer(_ client: Int32, _ method: (classID: UInt16, methodID: UInt16)) {
    switch method {
    case (10, 11):
      write(
        client,
        Self.method(
          10, 30, Self.big(UInt16(2047)) + Self.big(UInt32(131_072)) + Self.big(UInt16(2)),
          channel: 0))
    case (10, 40):
      logins.update { $0 += 1 }
      write(client, Self.method(10, 41, [0], channel: 0))
    case (10, 50): write(client, Self.method(10, 51, channel: 0))
    case (20, 10): write(client, Self.method(20, 11, Self.big(UInt32(0))))
    case (40, 10): write(client, Self.method(40, 11))
    case (60, 10): write(client, Self.method(60, 11))
    case (60, 20): write(client, Self.method(60, 21, [1, 99]) + bytes)
    case (85, 10): write(client, Self.method(85, 11) + bytes)
    default: break
    }
  }

  private static func long(_ text: String) -> [UInt8] {
    big(UInt32(text.utf8.count)) + Array(text.utf8)
  }

  private func read(_ client: Int32, _ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var got = 0
    while got < count {
      let part = bytes.withUnsafeMutableBytes {
        recv(client, $0.baseAddress.map { $0 + got }, count - got, 0)
      }
      guard part > 0 else { return nil }
      got += part
    }
    return bytes
  }

  private func write(_ client: Int32, _ bytes: [UInt8]) {
    _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }
}
