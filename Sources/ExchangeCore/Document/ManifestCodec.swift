package import Foundation

/// Writes and reads a manifest as JSON. Reading checks every rule of the schema, so a `Manifest`
/// that came from the wire is as valid as one that this node made.
package enum ManifestCodec {
  /// UTF-8 JSON with sorted members: the bytes that are signed.
  package static func encode(_ manifest: Manifest) throws -> Data {
    try validate(manifest)
    return try WireJSON.encode(WireManifest(manifest))
  }

  /// Throws `DocumentError`: `.malformed`, `.version`, `.secrecy`, or the rule that is broken.
  package static func decode(_ bytes: Data) throws -> Manifest {
    try WireJSON.read(bytes, kind: "document", as: WireManifest.self) { wire in
      let manifest = try wire.manifest()
      try validate(manifest)
      return manifest
    }
  }

  /// True when the text declares a secrecy mark, whatever else may be wrong with it: also one that is
  /// no text, or that stands in a text that is no JSON.
  package static func declaresSecrecy(_ bytes: Data) -> Bool { SecrecyMark.isDeclared(in: bytes) }

  /// The digests that a manifest names, however many other rules it breaks: what has to go when
  /// the manifest is refused under Điều 5.
  package static func namedDigests(_ bytes: Data) -> [SHA256Digest] {
    SecrecyMark.namedDigests(bytes)
  }

  /// The rules that hold for every manifest, whoever wrote it.
  package static func validate(_ manifest: Manifest) throws(DocumentError) {
    try check(organ: manifest.from, field: "from")
    guard (1...WireLimits.recipients).contains(manifest.to.count) else {
      throw DocumentError(
        .recipients, "to: \(manifest.to.count) recipients, 1 to \(WireLimits.recipients) allowed")
    }
    guard Set(manifest.to.map(\.organId)).count == manifest.to.count else {
      throw DocumentError(.recipients, "to: a unit is named twice")
    }
    guard !manifest.to.contains(where: { $0.organId == manifest.from.organId }) else {
      throw DocumentError(.recipients, "to: the sender itself is named as a recipient")
    }
    for organ in manifest.to { try check(organ: organ, field: "to") }
    try TextRules.check(manifest.typeName, field: "typeName", maximum: 100)
    try TextRules.check(manifest.subject, field: "subject", maximum: 500)
    if let signer = manifest.signer {
      try TextRules.check(signer.fullName, field: "signerInfo.fullName", maximum: 50)
      try checkOptional(signer.position, field: "signerInfo.position", maximum: 100)
      try checkOptional(signer.competence, field: "signerInfo.competence", maximum: 10)
    }
    try checkOptional(manifest.note, field: "description", maximum: 500)
    for (field, amount) in [
      ("pageAmount", manifest.pageAmount), ("issuedAmount", manifest.issuedAmount),
    ] {
      guard (0...999).contains(amount ?? 0) else {
        throw DocumentError(.text, "\(field): must be 0 to 999")
      }
    }
    guard manifest.toPlaces.count <= WireLimits.toPlaces else {
      throw DocumentError(.text, "toPlaces: more than \(WireLimits.toPlaces) lines")
    }
    for place in manifest.toPlaces { try TextRules.check(place, field: "toPlaces", maximum: 200) }
    for (field, list) in [
      ("responseFor", manifest.responseFor), ("replaces", manifest.replaces),
      ("recalls", manifest.recalls),
    ] {
      try check(references: list, of: manifest.documentID, field: field)
    }
    try checkAttachments(manifest.attachments)
  }

  private static func checkAttachments(_ attachments: [Attachment]) throws(DocumentError) {
    guard (1...WireLimits.attachments).contains(attachments.count) else {
      throw DocumentError(
        .tooLarge,
        "attachments: \(attachments.count) files, 1 to \(WireLimits.attachments) are allowed")
    }
    var total: Int64 = 0
    var names: Set<String> = []
    for attachment in attachments {
      try AttachmentRules.check(name: attachment.name)
      guard names.insert(attachment.name.lowercased()).inserted else {
        throw DocumentError(
          .attachmentDuplicate, "attachments: two files are named “\(attachment.name)”")
      }
      try TextRules.check(attachment.mediaType, field: "mediaType", maximum: 100)
      guard attachment.size > 0, attachment.size <= WireLimits.documentBytes else {
        throw DocumentError(
          .attachmentSize, "attachments: “\(attachment.name)” has \(attachment.size) bytes")
      }
      total += attachment.size
    }
    guard total <= WireLimits.documentBytes else {
      throw DocumentError(
        .tooLarge, "attachments: \(total) bytes, at most \(WireLimits.documentBytes) are allowed")
    }
  }

  private static func check(references: [RecordID], of document: RecordID, field: String)
    throws(DocumentError)
  {
    guard references.count <= WireLimits.references else {
      throw DocumentError(
        .text,
        "\(field): \(references.count) documents, at most \(WireLimits.references) are allowed")
    }
    guard Set(references).count == references.count else {
      throw DocumentError(.text, "\(field): a document is named twice")
    }
    guard !references.contains(document) else {
      throw DocumentError(.text, "\(field): names the document itself")
    }
  }

  private static func check(organ: Organ, field: String) throws(DocumentError) {
    try checkOptional(
      organ.organName, field: "\(field).organName", maximum: Organ.maximumNameLength)
  }

  private static func checkOptional(_ text: String?, field: String, maximum: Int)
    throws(DocumentError)
  {
    if let text { try TextRules.check(text, field: field, maximum: maximum) }
  }
}

/// The JSON members of a manifest, exactly as in schemas/manifest.schema.json.
private struct WireManifest: Codable {
  struct Reference: Codable { var documentId: RecordID }

  var kind = "document"
  var version = 1
  var documentId: RecordID
  var createdAt: Timestamp
  var from: Organ
  var to: [Organ]
  var codeNumber: String
  var codeSeparator: ReferenceNumber.Separator?
  var codeNotation: String
  var issuedDate: CalendarDate
  var typeName: String
  var subject: String
  var signerInfo: SignerInfo?
  var priority: Urgency
  var dueDate: CalendarDate?
  var pageAmount: Int?
  var issuedAmount: Int?
  var description: String?
  var toPlaces: [String]?
  var responseFor: [Reference]?
  var replaces: [Reference]?
  var recalls: [Reference]?
  var secrecyMark: String?
  var attachments: [Attachment]

  init(_ manifest: Manifest) {
    documentId = manifest.documentID
    createdAt = manifest.createdAt
    from = manifest.from
    to = manifest.to
    codeNumber = manifest.number.codeNumber
    codeSeparator = manifest.number.separator == .slash ? nil : manifest.number.separator
    codeNotation = manifest.number.codeNotation
    issuedDate = manifest.issuedDate
    typeName = manifest.typeName
    subject = manifest.subject
    signerInfo = manifest.signer
    priority = manifest.urgency
    dueDate = manifest.dueDate
    pageAmount = manifest.pageAmount
    issuedAmount = manifest.issuedAmount
    description = manifest.note
    toPlaces = manifest.toPlaces.isEmpty ? nil : manifest.toPlaces
    responseFor = Self.references(manifest.responseFor)
    replaces = Self.references(manifest.replaces)
    recalls = Self.references(manifest.recalls)
    attachments = manifest.attachments
  }

  func manifest() throws(DocumentError) -> Manifest {
    Manifest(
      documentID: documentId, createdAt: createdAt, from: from, to: to,
      number: try ReferenceNumber(
        codeNumber: codeNumber, separator: codeSeparator ?? .slash, codeNotation: codeNotation),
      issuedDate: issuedDate, typeName: typeName, subject: subject, signer: signerInfo,
      urgency: priority, dueDate: dueDate, pageAmount: pageAmount, issuedAmount: issuedAmount,
      note: description, toPlaces: toPlaces ?? [],
      responseFor: (responseFor ?? []).map(\.documentId),
      replaces: (replaces ?? []).map(\.documentId), recalls: (recalls ?? []).map(\.documentId),
      attachments: attachments)
  }

  private static func references(_ ids: [RecordID]) -> [Reference]? {
    ids.isEmpty ? nil : ids.map(Reference.init(documentId:))
  }
}
