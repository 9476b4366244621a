import Foundation
import Glibc
import Synchronization

/// A TCP proxy on loopback that can cut, black-hole and delay, one thread per direction.
package final class FaultProxy: Sendable {
  /// What happens to data from now on.
  package enum Mode: Sendable, Equatable {
    case pass
    /// Takes nothing and gives nothing, but keeps the connections open.
    case blackHole
    /// Every chunk waits this long.
    case delay(Duration)
  }

  private struct State {
    var mode = Mode.pass
    var sockets: [Int32] = []
    var isClosed = false
  }

  /// Where clients connect, on loopback.
  package let port: Int
  private let target: UInt16
  private let listener: Int32
  private let state = Mutex(State())
  private let accepted = Watched(0)

  /// Listens on a free port; forwards to `target` on loopback.
  package init(to target: Int) throws {
    self.target = UInt16(target)
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = Self.loopback(port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard isBound, listen(listener, 64) == 0 else { throw POSIXError(.EADDRINUSE) }
    self.listener = listener
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [self] in acceptLoop() }
  }

  /// Holds for open and for new connections.
  package func set(_ mode: Mode) { state.withLock { $0.mode = mode } }

  /// Resets all connections that are open now.
  package func cut() {
    let sockets = state.withLock { state in
      defer { state.sockets = [] }
      return state.sockets
    }
    for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
  }

  /// Stops listening and resets everything; the threads end by themselves.
  package func close() {
    state.withLock { $0.isClosed = true }
    shutdown(listener, Int32(SHUT_RDWR))
    cut()
  }

  /// The number of connections so far.
  package var connections: Watched<Int> { accepted }

  private func acceptLoop() {
    while true {
      let client = accept(listener, nil, nil)
      guard client >= 0 else { break }
      accepted.update { $0 += 1 }
      let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var address = Self.loopback(port: target)
      let isConnected = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
      guard isConnected else {
        Glibc.close(client)
        Glibc.close(server)
        continue
      }
      state.withLock { $0.sockets += [client, server] }
      let pair = Pair(client: client, server: server)
      Thread.detachNewThread { [self] in pump(from: client, to: server, of: pair) }
      Thread.detachNewThread { [self] in pump(from: server, to: client, of: pair) }
    }
    Glibc.close(listener)
  }

  private final class Pair: Sendable {
    let client: Int32
    let server: Int32
    private let ended = Atomic<Int>(0)

    init(client: Int32, server: Int32) {
      self.client = client
      self.server = server
    }

    /// True for the second of the two pumps.
    func end() -> Bool { ended.add(1, ordering: .acquiringAndReleasing).newValue == 2 }
  }

  private func pump(from source: Int32, to sink: Int32, of pair: Pair) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    transfer: while true {
      switch state.withLock({ $0.mode }) {
      case .blackHole:
        // Look again soon; only a cut ends it.
        if state.withLock({ !$0.sockets.contains(source) }) { break transfer }
        usleep(5000)
        continue
      case .delay(let duration): usleep(UInt32(duration / .microseconds(1)))
      case .pass: break
      }
      var polled = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
      guard poll(&polled, 1, 20) > 0 else { continue }
      if state.withLock({ $0.mode == .blackHole }) { continue }
      let count = recv(source, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      var sent = 0
      while sent < count {
        let written = buffer.withUnsafeBytes {
          send(sink, $0.baseAddress.map { $0 + sent }, count - sent, Int32(MSG_NOSIGNAL))
        }
        guard written > 0 else { break transfer }
        sent += written
      }
    }
    shutdown(source, Int32(SHUT_RDWR))
    shutdown(sink, Int32(SHUT_RDWR))
    guard pair.end() else { return }
    state.withLock { $0.sockets.removeAll { $0 == pair.client || $0 == pair.server } }
    Glibc.close(pair.client)
    Glibc.close(pair.server)
  }

  private static func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
