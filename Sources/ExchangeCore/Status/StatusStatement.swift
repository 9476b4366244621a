package import Foundation

/// A signed statement about a document (schemas/status.schema.json): the only thing that makes a
/// delivery "delivered" or "refused".
package struct StatusStatement: Sendable, Hashable {
  package var statusID: RecordID
  package var documentID: RecordID
  /// Digest of the manifest's JSON as the reporting unit received it.
  package var manifestDigest: SHA256Digest
  package var from: Organ
  package var to: UnitID
  package var code: StatusCode
  package var timestamp: Timestamp
  /// Outcome code (schemas/outcome-codes.json) of a refusal.
  package var reasonCode: String?
  /// Reason or remark in words.
  package var note: String?
  /// Số đến, once the receiver has registered the document.
  package var arrivalNumber: String?
  /// The officer responsible.
  package var staff: String?

  package init(
    statusID: RecordID, documentID: RecordID, manifestDigest: SHA256Digest, from: Organ,
    to: UnitID, code: StatusCode, timestamp: Timestamp, reasonCode: String? = nil,
    note: String? = nil, arrivalNumber: String? = nil, staff: String? = nil
  ) {
    self.statusID = statusID
    self.documentID = documentID
    self.manifestDigest = manifestDigest
    self.from = from
    self.to = to
    self.code = code
    self.timestamp = timestamp
    self.reasonCode = reasonCode
    self.note = note
    self.arrivalNumber = arrivalNumber
    self.staff = staff
  }
}

/// A business status code as QCVN 102 packets use it: two digits. Codes without a known meaning are
/// kept and shown, never dropped.
package struct StatusCode: Sendable, Hashable, Codable, CustomStringConvertible {
  package let rawValue: String

  /// Nil unless `text` is two ASCII digits.
  package init?(_ text: String) {
    guard text.utf8.count == 2, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    rawValue = text
  }

  private init(known: String) { rawValue = known }

  package static let arrived = StatusCode(known: "01")
  package static let refused = StatusCode(known: "02")
  package static let accepted = StatusCode(known: "03")
  package static let assigned = StatusCode(known: "04")
  package static let processing = StatusCode(known: "05")
  package static let done = StatusCode(known: "06")
  package static let takeBack = StatusCode(known: "13")
  package static let changeAccepted = StatusCode(known: "15")
  package static let changeRefused = StatusCode(known: "16")

  /// The words that users know, or nil for a code without a known meaning.
  package var vietnamese: String? {
    switch self {
    case .arrived: "đã đến"
    case .refused: "từ chối"
    case .accepted: "đã tiếp nhận"
    case .assigned: "phân công"
    case .processing: "đang xử lý"
    case .done: "hoàn thành"
    case .takeBack: "lấy lại"
    case .changeAccepted: "đồng ý thay đổi"
    case .changeRefused: "từ chối thay đổi"
    default: nil
    }
  }

  /// True when the statement proves that the document reached the reporting unit.
  package var provesArrival: Bool {
    [.arrived, .accepted, .assigned, .processing, .done].contains(self)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let code = StatusCode(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not two digits")
    }
    self = code
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }

  package var description: String { rawValue }
}

/// Writes and reads a status as JSON.
package enum StatusCodec {
  package static func encode(_ status: StatusStatement) throws -> Data {
    try validate(status)
    return try WireJSON.encode(
      Wire(
        statusId: status.statusID, documentId: status.documentID,
        manifestSha256: status.manifestDigest, from: status.from, to: Organ(organId: status.to),
        statusCode: status.code, timestamp: status.timestamp, reasonCode: status.reasonCode,
        description: status.note, arrivalNumber: status.arrivalNumber,
        staffInfo: status.staff.map(Wire.Staff.init(staff:))))
  }

  /// Throws `DocumentError`: `.malformed`, `.version` or `.text`.
  package static func decode(_ bytes: Data) throws -> StatusStatement {
    try WireJSON.read(bytes, kind: "status", as: Wire.self) { wire in
      if let name = wire.to.organName {
        try TextRules.check(name, field: "to.organName", maximum: Organ.maximumNameLength)
      }
      let status = StatusStatement(
        statusID: wire.statusId, documentID: wire.documentId, manifestDigest: wire.manifestSha256,
        from: wire.from, to: wire.to.organId, code: wire.statusCode, timestamp: wire.timestamp,
        reasonCode: wire.reasonCode, note: wire.description, arrivalNumber: wire.arrivalNumber,
        staff: wire.staffInfo?.staff)
      try validate(status)
      return status
    }
  }

  private static func validate(_ status: StatusStatement) throws(DocumentError) {
    for (field, text, maximum) in [
      ("from.organName", status.from.organName, Organ.maximumNameLength),
      ("reasonCode", status.reasonCode, 50), ("description", status.note, 500),
      ("arrivalNumber", status.arrivalNumber, 10), ("staffInfo.staff", status.staff, 50),
    ] {
      if let text { try TextRules.check(text, field: field, maximum: maximum) }
    }
  }

  private struct Wire: Codable {
    struct Staff: Codable { var staff: String }

    var kind = "status"
    var version = 1
    var statusId: RecordID
    var documentId: RecordID
    var manifestSha256: SHA256Digest
    var from: Organ
    var to: Organ
    var statusCode: StatusCode
    var timestamp: Timestamp
    var reasonCode: String?
    var description: String?
    var arrivalNumber: String?
    var staffInfo: Staff?
  }
}
