import DocumentSigning
package import ExchangeCore
package import ExchangeTestKit
package import Foundation

/// Messages as a stranger's software, or an enemy with a broker user, would send them.
package struct Hostile {
  package let from: Organ
  package let to: Organ
  package let clock: ManualClock
  package let documentID: RecordID
  /// Content of the only attachment, when the test does not replace it.
  package let content: Data
  /// Who signs, when it is not `from`.
  private let signer: Organ?

  package init(
    from: Organ, to: Organ, clock: ManualClock, mark: String = "văn bản", signer: Organ? = nil
  ) {
    self.signer = signer
    self.from = from
    self.to = to
    self.clock = clock
    documentID = RecordID(at: clock.now)
    content = pdf(mark)
  }

  package var digest: SHA256Digest { OpenSSLHashing().sha256(content) }

  /// A valid manifest as a JSON object, to be spoiled.
  package func manifest() -> [String: Any] {
    [
      "kind": "document", "version": 1, "documentId": documentID.rawValue,
      "createdAt": clock.now.iso8601, "from": ["organId": from.organId.rawValue],
      "to": [["organId": to.organId.rawValue]], "codeNumber": "12", "codeNotation": "CV-CĐCS",
      "issuedDate": "2026-09-21", "typeName": "Công văn", "subject": "Tình hình đoàn viên",
      "priority": 0, "attachments": [attachment("bao-cao.pdf", size: content.count)],
    ]
  }

  package func attachment(_ name: String, size: Int, sha256: SHA256Digest? = nil) -> [String: Any] {
    [
      "name": name, "mediaType": "application/pdf", "size": size,
      "sha256": (sha256 ?? digest).hex,
    ]
  }

  /// The manifest with `change` applied, signed by `signer` (the sender when nil).
  package func document(
    signedBy signer: Organ? = nil, _ change: (inout [String: Any]) -> Void = { _ in }
  ) throws -> Data {
    var json = manifest()
    change(&json)
    return try sign(JSONSerialization.data(withJSONObject: json, options: [.sortedKeys]), signer)
  }

  package func sign(_ content: Data, _ signer: Organ? = nil) throws -> Data {
    try Province.shared.get().signer(signer ?? self.signer ?? from).sign(content, at: clock.now)
  }

  /// A signed status about `document`.
  package func status(
    _ code: String, about document: RecordID, digest: SHA256Digest, id: RecordID? = nil,
    reason: String? = nil, at time: Timestamp? = nil
  ) throws -> (id: RecordID, body: Data) {
    guard let code = StatusCode(code) else { fatalError("a test gives an impossible status code") }
    let statement = StatusStatement(
      statusID: id ?? RecordID(at: clock.now), documentID: document, manifestDigest: digest,
      from: from, to: to.organId, code: code, timestamp: time ?? clock.now, reasonCode: reason)
    return (statement.statusID, try sign(StatusCodec.encode(statement)))
  }

  package func message(
    _ kind: MessageKind = .document, id: String? = nil, type: String? = nil, version: Int64? = 1,
    sender: UnitID?? = nil, lane: Lane = .ordinary, body: Data
  ) -> InboundMessage {
    InboundMessage(
      assertedSender: sender ?? from.organId, lane: lane, redelivered: false,
      envelope: Envelope(
        type: type ?? kind.rawValue, messageID: id ?? documentID.rawValue, version: version),
      body: body, bodySize: UInt64(body.count))
  }

  /// The pieces of `content`, as `digest` says they are.
  package func pieces(_ content: Data? = nil, digest: SHA256Digest? = nil) -> [InboundMessage] {
    let content = content ?? self.content
    let digest = digest ?? OpenSSLHashing().sha256(content)
    return stride(from: 0, to: Int64(content.count), by: Int(WireLimits.pieceBytes)).compactMap {
      PieceAddress(sha256: digest, offset: $0, size: Int64(content.count))
    }.map { address in
      let start = content.startIndex + Int(address.offset)
      let body = Data(content[start..<start + Int(address.length)])
      return InboundMessage(
        assertedSender: from.organId, lane: .ordinary, redelivered: false,
        envelope: Envelope(
          type: MessageKind.piece.rawValue, messageID: address.messageID,
          correlationID: documentID.rawValue, piece: address),
        body: body, bodySize: UInt64(body.count))
    }
  }

  /// The manifest's JSON, as `document()` signs it when nothing is changed.
  package func manifestJSON() throws -> Data {
    try JSONSerialization.data(withJSONObject: manifest(), options: [.sortedKeys])
  }

  /// The content of `signed` (of `other`; of this sender when nil) under this sender's signature.
  /// What the verifier does not believe is signed as well.
  package func resign(_ signed: Data, of other: Organ? = nil) throws -> Data {
    let verdict = try Province.shared.get().verifier.verify(
      signed, from: (other ?? from).organId, arrivedAt: clock.now)
    switch verdict {
    case .valid(let content, _), .early(_, _, let content): return try sign(content)
    case .invalid(_, _, let content): return try sign(content ?? Data())
    }
  }
}
