import ExchangeCore

/// What a loop does with its connections; `LinkRunner` opens and reopens them.
protocol LinkSession {
  /// For the connection's name in the broker's management pages.
  var role: String { get }
  /// True when something was achieved since the last connect: the back-off then starts anew.
  var hasProgressed: Bool { get set }

  func report(_ state: LinkState)
  /// Before each connect. An error means that connecting is of no use yet.
  mutating func prepare() throws
  /// Works until stop is requested, then returns. An error ends the connection.
  mutating func serve(_ connection: inout BrokerConnection) throws
  /// After the last connection, once.
  mutating func finish()
}

/// Why a connection ended, and how to leave it.
struct LinkEnd: Error {
  enum Parting {
    /// The line works: say goodbye to the broker.
    case goodbye
    /// The broker has closed: acknowledge it.
    case acknowledge
  }

  let error: any ReportableError
  let parting: Parting
  /// The broker's own words when it closed the channel or the connection.
  let reason: CloseReason?

  init(_ error: any ReportableError, parting: Parting, reason: CloseReason? = nil) {
    self.error = error
    self.parting = parting
    self.reason = reason
  }

  /// The source or the sink failed: its own code and words when it has them.
  static func store(_ error: any Error) -> LinkEnd {
    LinkEnd(storeError(error), parting: .goodbye)
  }

  static func storeError(_ error: any Error) -> any ReportableError {
    (error as? any ReportableError) ?? AMQPError(.storeFailed, "\(error)")
  }

  /// The broker closed the channel while the loop was `doing` its work.
  static func channelClosed(_ reason: CloseReason, doing: String) -> LinkEnd {
    let kind: AMQPErrorCode =
      switch reason.code {
      case 403: .permission
      case 404: doing == "publishing" ? .exchangeMissing : .queueMissing
      default: .closed
      }
    return LinkEnd(
      AMQPError(kind, "\(doing): the broker closed the channel: \(reason)"), parting: .goodbye,
      reason: reason)
  }

  static func connectionClosed(_ reason: CloseReason) -> LinkEnd {
    LinkEnd(
      AMQPError(.closed, "the broker closed the connection: \(reason)"), parting: .acknowledge,
      reason: reason)
  }
}
