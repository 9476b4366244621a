/// The signed description of a document (schemas/manifest.schema.json): what is sent, by whom, to
/// whom, with the record fields of NĐ 30/2020 Annex VI under their own names.
package struct Manifest: Sendable, Hashable {
  package var documentID: RecordID
  package var createdAt: Timestamp
  package var from: Organ
  package var to: [Organ]
  package var number: ReferenceNumber
  package var issuedDate: CalendarDate
  package var typeName: String
  package var subject: String
  package var signer: SignerInfo?
  package var urgency: Urgency
  package var dueDate: CalendarDate?
  package var pageAmount: Int?
  package var issuedAmount: Int?
  package var note: String?
  package var toPlaces: [String]
  /// Documents that this one answers, replaces or recalls.
  package var responseFor: [RecordID]
  package var replaces: [RecordID]
  package var recalls: [RecordID]
  package var attachments: [Attachment]

  package init(
    documentID: RecordID, createdAt: Timestamp, from: Organ, to: [Organ], number: ReferenceNumber,
    issuedDate: CalendarDate, typeName: String, subject: String, signer: SignerInfo? = nil,
    urgency: Urgency = .normal, dueDate: CalendarDate? = nil, pageAmount: Int? = nil,
    issuedAmount: Int? = nil, note: String? = nil, toPlaces: [String] = [],
    responseFor: [RecordID] = [], replaces: [RecordID] = [], recalls: [RecordID] = [],
    attachments: [Attachment]
  ) {
    self.documentID = documentID
    self.createdAt = createdAt
    self.from = from
    self.to = to
    self.number = number
    self.issuedDate = issuedDate
    self.typeName = typeName
    self.subject = subject
    self.signer = signer
    self.urgency = urgency
    self.dueDate = dueDate
    self.pageAmount = pageAmount
    self.issuedAmount = issuedAmount
    self.note = note
    self.toPlaces = toPlaces
    self.responseFor = responseFor
    self.replaces = replaces
    self.recalls = recalls
    self.attachments = attachments
  }
}

/// A unit as it stands in a document (`organId`, `organName`).
package struct Organ: Sendable, Hashable, Codable {
  package static let maximumNameLength = 200

  package var organId: UnitID
  package var organName: String?

  package init(organId: UnitID, organName: String? = nil) {
    self.organId = organId
    self.organName = organName
  }
}

/// The signatory (người ký) as printed: `competence` is TM., KT., TL., TUQ. or Q.
package struct SignerInfo: Sendable, Hashable, Codable {
  package var fullName: String
  package var position: String?
  package var competence: String?

  package init(fullName: String, position: String? = nil, competence: String? = nil) {
    self.fullName = fullName
    self.position = position
    self.competence = competence
  }
}

/// One file of a document. The first attachment is the main file (văn bản chính).
package struct Attachment: Sendable, Hashable, Codable {
  package var name: String
  package var mediaType: String
  /// Bytes.
  package var size: Int64
  package var sha256: SHA256Digest

  package init(name: String, mediaType: String, size: Int64, sha256: SHA256Digest) {
    self.name = name
    self.mediaType = mediaType
    self.size = size
    self.sha256 = sha256
  }
}

/// The limits of the wire, version 1 (schemas/README.md section 8).
package enum WireLimits {
  /// Length of every piece but the last of an attachment.
  package static let pieceBytes: Int64 = 1_048_576
  /// A message body is never longer than a piece; a signed manifest or status neither.
  package static let bodyBytes: UInt64 = 1_048_576
  package static let attachments = 100
  package static let recipients = 2_000
  package static let references = 100
  package static let toPlaces = 200
  package static let fileNameBytes = 255
  /// Sum of the sizes of a document's attachments; a node may set a lower limit of its own.
  package static let documentBytes: Int64 = 4 << 30
}
