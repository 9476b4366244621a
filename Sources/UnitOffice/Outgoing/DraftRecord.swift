import ExchangeCore
import ExchangeStore

extension Office {
  /// The record fields of a draft, checked before any file is read.
  func record(of draft: OutgoingDraft, _ warnings: inout [Warning]) throws -> Manifest {
    if let mark = draft.secrecyMark.map({ CleanedText($0).text }), mark.lowercased() != "thường" {
      throw DocumentError(.secrecy, "secrecy: “\(mark)” must not be entered in the system (Điều 5)")
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
    let signer = try signerInfo(of: draft, &warnings)
    let recipients = try recipients(of: draft, at: now)
    return Manifest(
      documentID: RecordID(at: now), createdAt: now, from: context.unit, to: recipients,
      number: try ReferenceNumber(CleanedText(draft.number).text),
      issuedDate: try date(draft.date, "date"),
      typeName: try text(draft.typeName, "type", 100, of: draft, &warnings),
      subject: try text(draft.subject, "subject", 500, of: draft, &warnings), signer: signer,
      urgency: draft.urgency, dueDate: try draft.dueDate.map { try date($0, "due") },
      responseFor: try draft.replyTo.map { [try context.store.reader.find($0).summary.id] } ?? [],
      replaces: try draft.replaces.map { [try outgoing($0).id] } ?? [],
      attachments: [])
  }

  /// A text of at most `maximum` characters, as a clerk entered it.
  private func text(
    _ value: String, _ field: String, _ maximum: Int, of draft: OutgoingDraft,
    _ warnings: inout [Warning]
  ) throws -> String {
    let text = try entered(value, field, asIs: draft.textAsIs, &warnings)
    try TextRules.check(text, field: field, maximum: maximum)
    return text
  }

  private func date(_ value: String, _ field: String) throws -> CalendarDate {
    guard let date = CalendarDate(CleanedText(value).text) else {
      throw DocumentError(.date, "\(field): “\(value)” is not an existing date (yyyy-MM-dd)")
    }
    return date
  }

  private func signerInfo(of draft: OutgoingDraft, _ warnings: inout [Warning]) throws
    -> SignerInfo?
  {
    guard let name = draft.signerName else {
      guard draft.position == nil, draft.competence == nil else {
        throw DocumentError(
          .text, "signer: a position or capacity needs the signer's name",
          next: "Give the name in --signer, or leave out --position and --capacity.")
      }
      return nil
    }
    return SignerInfo(
      fullName: try text(name, "signer", 50, of: draft, &warnings),
      position: try draft.position.map { try text($0, "position", 100, of: draft, &warnings) },
      competence: try draft.competence.map { try text($0, "capacity", 10, of: draft, &warnings) })
  }

  /// The units that the draft names, each once, in its order; `@group` stands for its members.
  private func recipients(of draft: OutgoingDraft, at now: Timestamp) throws -> [Organ] {
    var recipients: [Organ] = []
    var named: Set<UnitID> = []
    for name in draft.recipients {
      let isGroup = name.hasPrefix("@")
      for unit in try context.directory.current.resolve(recipient: CleanedText(name).text) {
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
    return recipients
  }
}
