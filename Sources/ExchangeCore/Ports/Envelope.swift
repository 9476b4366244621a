/// The AMQP properties and headers that congvan uses (schemas/README.md section 3): what stands
/// outside the signature, so nothing here is believed, only used to store and to route.
package struct Envelope: Sendable, Hashable {
  package static let version: Int64 = 1

  /// `type`: a raw value of `MessageKind`, or whatever a newer or foreign sender wrote.
  package var type: String
  /// `message-id`: unique per sender; the same on every resend.
  package var messageID: String
  /// `correlation-id`: the document that a piece or a status is about.
  package var correlationID: String?
  /// Header `congvan-version`. Nil when absent.
  package var version: Int64?
  /// Headers of a piece. Nil when absent or not well-formed.
  package var piece: PieceAddress?

  package init(
    type: String, messageID: String, correlationID: String? = nil,
    version: Int64? = Envelope.version, piece: PieceAddress? = nil
  ) {
    self.type = type
    self.messageID = messageID
    self.correlationID = correlationID
    self.version = version
    self.piece = piece
  }

  package var kind: MessageKind? { MessageKind(rawValue: type) }
}

/// The kinds of message on the wire: the AMQP `type` property.
package enum MessageKind: String, Sendable, Hashable, CaseIterable {
  case document = "congvan.document"
  case piece = "congvan.piece"
  case status = "congvan.status"
  case tally = "congvan.tally"
  case tallyAnswer = "congvan.tally-answer"

  package var contentType: String {
    self == .piece ? "application/octet-stream" : "application/pkcs7-mime"
  }
}

/// The names that units and broker agree on (schemas/README.md section 2).
package enum Topology {
  package static let hub = "congvan.hub"

  package static func outExchange(of unit: UnitID) -> String { "congvan.out.\(unit)" }

  package static func queue(_ lane: Lane, of unit: UnitID) -> String {
    "congvan.\(lane.rawValue).\(unit)"
  }

  package static func routingKey(_ lane: Lane, to unit: UnitID) -> String {
    "\(lane.rawValue).\(unit)"
  }

  /// The unit whose exchange `name` is, or nil.
  package static func sender(fromExchange name: String) -> UnitID? {
    let prefix = "congvan.out."
    guard name.hasPrefix(prefix) else { return nil }
    return UnitID(String(name.dropFirst(prefix.count)))
  }
}
