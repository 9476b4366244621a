package import ExchangeCore
package import ExchangeStore
import Foundation
import NodeDatabase

/// What a clerk enters to send a document.
package struct OutgoingDraft: Sendable {
  package var files: [String]
  package var recipients: [String]
  package var number: String
  package var date: String
  package var typeName: String
  package var subject: String
  package var signerName: String?
  package var position: String?
  package var competence: String?
  package var urgency: Urgency = .normal
  package var dueDate: String?
  package var replyTo: String?
  /// The document of this unit that this one replaces.
  package var replaces: String?
  package var secrecyMark: String?
  /// True when texts go out as they are although they look like TCVN3 or VNI.
  package var textAsIs = false
  /// When the deliveries end although no receipt came.
  package var expiresAt: Timestamp?
  /// `expiresAt` in the words of the clerk: a span such as 3d ends at another moment each time.
  package var expiresAsGiven: String?
  /// Under which the document is issued at most once.
  package var key: String?

  package init(
    files: [String], recipients: [String], number: String, date: String, typeName: String,
    subject: String
  ) {
    self.files = files
    self.recipients = recipients
    self.number = number
    self.date = date
    self.typeName = typeName
    self.subject = subject
  }
}

/// What `Office.send` did.
package struct SentDocument: Sendable {
  package let id: RecordID
  package let deliveries: [DeliverySummary]
  /// What the clerk should know although the document is issued.
  package let warnings: [Warning]
  package let key: String?
  /// True when it had been issued before under the same key, and nothing was done.
  package let isRepeated: Bool
}

/// The acts of a clerk or an administrator, as the CLI and the web call them. None needs the daemon:
/// they write to the database, and the daemon acts.
package struct Office: Sendable {
  package let context: NodeContext
  package let actor: Actor
  let limits: IntakeLimits

  package init(context: NodeContext, actor: Actor, limits: IntakeLimits = IntakeLimits()) {
    self.context = context
    self.actor = actor
    self.limits = limits
  }

  // MARK: Sending

  /// Checks, signs and stores a document with its deliveries. Either all of it is queued when this
  /// returns, or nothing is. With a key that was used before, the document of then is the result.
  package func send(_ draft: OutgoingDraft) throws -> SentDocument {
    let key = try draft.key.map(Self.checkedKey)
    if let key, let before = try repeated(draft, key) { return before }
    try context.store.files.requireSpace(limits.freeBytes)
    try context.signer.requireBelieved(at: context.clock.now)
    var warnings: [Warning] = []
    do {
      let id = try context.store.files.keeping {
        var issued = try prepare(draft, &warnings)
        issued.expiresAt = draft.expiresAt
        issued.key = try key.map { try issueKey($0, of: draft, as: issued.manifest) }
        try context.store.joining.issue([issued], at: issued.manifest.createdAt, by: actor)
        return issued.manifest.documentID
      }
      // It is issued: what goes wrong from here on must not look as if it were not.
      return (try? sent(id, key: key, warnings: warnings, isRepeated: false))
        ?? SentDocument(
          id: id, deliveries: [], warnings: warnings, key: key, isRepeated: false)
    } catch is IssueKeyTaken {
      // Another command with the same key was faster.
      guard let key, let before = try repeated(draft, key) else { throw IssueKeyTaken() }
      return before
    }
  }

  func sent(_ id: RecordID, key: String?, warnings: [Warning], isRepeated: Bool) throws
    -> SentDocument
  {
    var filter = DeliveryFilter()
    filter.documents = [id]
    let deliveries = try context.store.reader.deliveries(filter)
    var warnings = warnings
    if !isRepeated {
      warnings += self.warnings(about: deliveries.map(\.to))
      CertificateEnd.warning(of: context.signer.certificate, at: context.clock.now)
        .map { warnings.append($0) }
    }
    return SentDocument(
      id: id, deliveries: deliveries, warnings: warnings, key: key, isRepeated: isRepeated)
  }

  /// Everything of `send` but the transaction. Adds what the clerk should know to `warnings`.
  func prepare(_ draft: OutgoingDraft, _ warnings: inout [Warning]) throws -> IssuedDocument {
    let manifest = try record(of: draft, &warnings)
    try checkPlausibility(of: manifest, &warnings)
    let (contents, attachments) = try takeFiles(of: draft, &warnings)
    var complete = manifest
    complete.attachments = attachments
    let total = attachments.reduce(0) { $0 + $1.size }
    guard total <= limits.documentBytes else {
      throw DocumentError(
        .tooLarge, "files: \(total) bytes together, at most \(limits.documentBytes) are allowed")
    }
    return try seal(complete, contents: contents)
  }

  /// Encodes and signs a manifest.
  func seal(_ manifest: Manifest, contents: [StoredContent]) throws -> IssuedDocument {
    let json = try ManifestCodec.encode(manifest)
    let signed = try context.signer.sign(json, at: manifest.createdAt)
    guard signed.count <= WireLimits.bodyBytes else {
      throw DocumentError(
        .tooLarge, "the signed manifest has \(signed.count) bytes: too many recipients or files")
    }
    return IssuedDocument(
      manifest: manifest, digest: context.hashing.sha256(json), signed: signed, contents: contents)
  }

  /// The record fields, checked before any file is read.
  private func record(of draft: OutgoingDraft, _ warnings: inout [Warning]) throws -> Manifest {
    if let mark = draft.secrecyMark.map({ CleanedText($0).text }), mark.lowercased() != "thường" {
      throw DocumentError(.secrecy, "secrecy: “\(mark)” must not be entered in the system (Điều 5)")
    }
    func text(_ value: String, _ field: String, _ maximum: Int) throws -> String {
      let text = try entered(value, field, asIs: draft.textAsIs, &warnings)
      try TextRules.check(text, field: field, maximum: maximum)
      return text
    }
    func date(_ value: String, _ field: String) throws -> CalendarDate {
      guard let date = CalendarDate(CleanedText(value).text) else {
        throw DocumentError(.date, "\(field): “\(value)” is not an existing date (yyyy-MM-dd)")
      }
      return date
    }
    guard !draft.files.isEmpty else { throw DocumentError(.attachmentMissing, "files: none given") }
    guard !draft.recipients.isEmpty else {
      throw DocumentError(
        .recipients, "to: no unit given", next: "Name units in --to; list them with: congvan units")
    }
    let now = context.clock.now
    if let expiry = draft.expiresAt, expiry <= now {
      throw DocumentError(
        .date, "expires: \(expiry.shown) is over", next: "Give a later moment in --expires.")
    }
    let signer = try draft.signerName.map { name in
      SignerInfo(
        fullName: try text(name, "signer", 50),
        position: try draft.position.map { try text($0, "position", 100) },
        competence: try draft.competence.map { try text($0, "capacity", 10) })
    }
    if signer == nil, draft.position != nil || draft.competence != nil {
      throw DocumentError(
        .text, "signer: a position or capacity needs the signer's name",
        next: "Give the name in --signer, or leave out --position and --capacity.")
    }
    var recipients: [Organ] = []
    var named: Set<UnitID> = []
    for name in draft.recipients {
      for unit in try context.directory.current.resolve(recipient: CleanedText(name).text) {
        let isGroup = name.hasPrefix("@")
        if unit.id == context.unit.organId {
          if isGroup { continue }
          throw DocumentError(
            .recipients, "to: “\(name)” is this unit itself",
            next: "Leave this unit out; the document is in its outbox anyway.")
        }
        guard unit.isValid(on: CalendarDate(now)) else {
          if isGroup { continue }
          let successor = unit.successor.map { "; its successor is “\($0)”" } ?? ""
          throw DirectoryError(.ended, "to: “\(name)” is not valid today\(successor)")
        }
        guard isGroup || named.insert(unit.id).inserted else {
          throw DocumentError(
            .recipients, "to: “\(name)” is named twice", next: "Name each unit once.")
        }
        // A unit may be named and be in a group too, whichever comes first.
        guard !recipients.contains(where: { $0.organId == unit.id }) else { continue }
        recipients.append(Organ(organId: unit.id, organName: unit.name))
      }
    }
    guard recipients.count <= WireLimits.recipients else {
      throw DocumentError(
        .recipients,
        "to: \(recipients.count) units, at most \(WireLimits.recipients) fit into one document",
        next: "Issue it as two or more documents, each with a part of the units.")
    }
    return Manifest(
      documentID: RecordID(at: now), createdAt: now, from: context.unit, to: recipients,
      number: try ReferenceNumber(CleanedText(draft.number).text),
      issuedDate: try date(draft.date, "date"),
      typeName: try text(draft.typeName, "type", 100),
      subject: try text(draft.subject, "subject", 500), signer: signer, urgency: draft.urgency,
      dueDate: try draft.dueDate.map { try date($0, "due") },
      responseFor: try draft.replyTo.map { [try context.store.reader.find($0).summary.id] } ?? [],
      replaces: try draft.replaces.map { [try outgoing($0).id] } ?? [],
      attachments: [])
  }

  // MARK: Refusing and resending

  /// Queues deliveries again: same id, same bytes. `ids` are document ids (or their beginnings) or
  /// delivery ids (`document/unit`).
  package func resend(
    ids: [String], filter: DeliveryFilter, reason: String, dryRun: Bool
  ) throws -> [ResendResult] {
    var results: [ResendResult] = []
    try resend(ids: ids, filter: filter, reason: reason, dryRun: dryRun) { results += $0 }
    return results
  }

  /// As above; `report` gets the results step by step, each when it is committed.
  package func resend(
    ids: [String], filter: DeliveryFilter, reason: String, dryRun: Bool,
    report: ([ResendResult]) throws -> Void
  ) throws {
    let reason = try Self.checkedReason(reason)
    var filter = filter
    // However many they are: only keys, and what may be refused again, are kept.
    var keys: [Int64] = []
    var doubtful: [DeliverySummary] = []
    func add(_ delivery: DeliverySummary) {
      keys.append(delivery.key)
      if delivery.state == .refused { doubtful.append(delivery) }
    }
    if ids.isEmpty {
      // What was cancelled goes out only when it is named.
      if filter.states.isEmpty {
        filter.states = OutgoingState.allCases.filter { $0 != .cancelled }
      }
      try context.store.reader.eachDelivery(filter) { add($0) }
    }
    for id in ids {
      let parts = id.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      let (document, direction) = try context.store.reader.find(
        String(parts[0]), preferring: "outgoing")
      guard direction == "outgoing" else {
        throw StoreError(
          .notFound, "document \(document.id) is an incoming one, which is not resent from here",
          next: "List what this unit issued with: congvan outbox")
      }
      var one = filter
      one.documents = [document.id]
      if parts.count == 2 {
        guard let unit = UnitID(String(parts[1])) else {
          throw StoreError(
            .notFound, "no delivery “\(id)”: what follows “/” is not a unit's identifier",
            next: "List deliveries with: congvan deliveries --document \(document.id)")
        }
        one.to = [context.directory.current.unit(unit)?.id ?? unit]
      }
      let these = try context.store.reader.deliveries(one)
      guard !these.isEmpty else {
        throw StoreError(
          .notFound, "no delivery “\(id)”, with the criteria given",
          next: "List deliveries with: congvan deliveries --document \(document.id)")
      }
      these.forEach(add)
    }
    let vain = try stillUnbelieved(among: doubtful)
    if !vain.isEmpty {
      let leftAlone = Set(vain.map(\.delivery))
      keys.removeAll { leftAlone.contains($0) }
      try report(vain)
    }
    try context.store.joining.resend(
      keys, reason: reason, dryRun: dryRun, at: context.clock.now, by: actor, report: report)
  }

  /// An outgoing document by its id or the beginning of it.
  func outgoing(_ id: String) throws -> DocumentSummary {
    let (document, direction) = try context.store.reader.find(id, preferring: "outgoing")
    guard direction == "outgoing" else {
      throw NodeError(.notOutgoing, "document \(document.id) is not an outgoing one")
    }
    return document
  }

  /// A reason as it is recorded: NFC, not empty, at most 500 characters.
  package static func checkedReason(_ text: String) throws -> String {
    let reason = CleanedText(text).text
    guard !reason.isEmpty else { throw NodeError(.reason, "reason: is empty") }
    try TextRules.check(reason, field: "reason", maximum: 500)
    return reason
  }
}

extension ExchangeReader {
  /// The document whose id is `text` or begins with it (at least 8 characters). Of several, the one
  /// of the `preferred` direction: another unit may send a document under the id of one of ours.
  package func find(_ text: String, preferring preferred: String? = nil) throws -> (
    summary: DocumentSummary, direction: String
  ) {
    guard Self.isBeginning(text) else {
      throw StoreError(
        .notFound, "“\(text)” is not an id or the beginning of one",
        next: "Copy at least 8 characters of an id from: congvan outbox, congvan inbox")
    }
    let found = try documents(idPrefix: text.lowercased(), preferring: preferred)
    guard let first = found.first else { throw StoreError(.notFound, "no document “\(text)”") }
    guard found.count > 1 else { return first }
    let fitting = found.filter { $0.direction == preferred }
    guard let only = fitting.first, fitting.count == 1 else {
      let count = found.count < 10 ? "\(found.count)" : "10 or more"
      throw StoreError(.ambiguous, "“\(text)” is the beginning of \(count) documents")
    }
    return only
  }

  /// The full ids that begin with `text`, however many there are; none for what begins no id.
  func ids(beginning text: String) throws -> [String] {
    Self.isBeginning(text) ? try ids(idPrefix: text.lowercased()) : []
  }

  private static func isBeginning(_ text: String) -> Bool {
    text.utf8.count >= 8 && text.allSatisfy { $0.isHexDigit || $0 == "-" }
  }
}
