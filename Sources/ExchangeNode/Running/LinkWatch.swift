import ExchangeCore
import Logging
import Synchronization

/// Follows the node's connections: says each change once in the log, and knows when the queues have
/// been empty for a moment.
final class LinkWatch: Sendable {
  private struct State {
    var failuresInARow: [String: Int] = [:]
    /// The broker that each connection uses or tries.
    var brokers: [String: String] = [:]
    var idle: Set<Lane> = []
    var failure: NodeError?
    /// Why each connection is down, as far as that was logged: true when the cause is the node's own
    /// storage.
    var isDown: [String: Bool] = [:]
  }

  /// With `--until-idle`: so many failures of all brokers in a row mean that none can be used.
  private static let patience = 4

  let bell = Doorbell()
  private let log: Logger
  private let givesUp: Bool
  private let state = Mutex(State())

  init(log: Logger, givesUp: Bool) {
    self.log = log
    self.givesUp = givesUp
  }

  var failure: NodeError? { state.withLock { $0.failure } }
  var areConsumersIdle: Bool { state.withLock { $0.idle.count == Lane.allCases.count } }

  func consumer(_ lane: Lane, isIdle: Bool) {
    state.withLock { state in
      if isIdle { state.idle.insert(lane) } else { state.idle.remove(lane) }
    }
    if isIdle { bell.ring() }
  }

  func changed(_ link: String, _ change: LinkState) {
    switch change {
    case .stopped: return
    case .connecting(let broker): state.withLock { $0.brokers[link] = broker }
    case .up:
      let broker = state.withLock { state in
        state.failuresInARow[link] = 0
        state.isDown[link] = nil
        return state.brokers[link]
      }
      log.info("connected", metadata: ["link": "\(link)", "broker": "\(broker ?? "?")"])
    case .blocked(let reason):
      log.warning(
        "the broker holds publishers back", metadata: ["link": "\(link)", "reason": "\(reason)"])
    case .down(let code, let reason, let retryIn):
      let isOwn = code.hasPrefix("STORE-")
      let (isNew, broker) = state.withLock { state in
        if retryIn > .zero { state.failuresInARow[link, default: 0] += 1 }
        if givesUp, state.failuresInARow[link, default: 0] >= Self.patience {
          state.failure = NodeError(.unreachable, "\(code): \(reason)")
        }
        return (state.isDown.updateValue(isOwn, forKey: link) != isOwn, state.brokers[link])
      }
      // A long outage is one line, not one per attempt.
      log.log(
        level: isNew ? .warning : .debug,
        isOwn
          ? "the node cannot store, so it keeps no connection to the broker; messages wait there"
          : "no connection to the broker",
        metadata: [
          "link": "\(link)", "broker": "\(broker ?? "?")", "code": "\(code)",
          "reason": "\(reason)", "retryIn": "\(retryIn.seconds)",
        ])
      bell.ring()
    }
  }
}
