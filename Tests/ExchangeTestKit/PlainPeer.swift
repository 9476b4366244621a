import Foundation
import Glibc

/// A port on loopback where something else than a broker listens: to the first bytes of each
/// connection it answers always the same, or nothing.
package final class PlainPeer: Sendable {
  /// What it does when a client has said something.
  package enum Manner: Sendable {
    case answers([UInt8])
    case closes
    case isSilent
    /// Answers a line that begins like a request of HTTP, and waits for more of anything else.
    case isWebServer
  }

  /// Where it listens.
  package let port: Int
  private let listener: Int32
  private let manner: Manner

  package init(_ manner: Manner) throws {
    self.manner = manner
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
        Thread.detachNewThread { [self] in
          serve(client)
          Glibc.close(client)
        }
      }
      Glibc.close(listener)
    }
  }

  /// Stops listening; a conversation goes on until the client leaves.
  package func close() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func serve(_ client: Int32) {
    while true {
      var bytes = [UInt8](repeating: 0, count: 512)
      let count = recv(client, &bytes, bytes.count, 0)
      guard count > 0 else { return }
      switch manner {
      case .isSilent: continue
      case .closes: return
      case .answers(let answer):
        _ = send(client, answer, answer.count, Int32(MSG_NOSIGNAL))
      case .isWebServer:
        guard bytes.starts(with: "GET ".utf8) else { continue }
        let answer = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
        _ = send(client, answer, answer.count, Int32(MSG_NOSIGNAL))
        return
      }
    }
  }
}
