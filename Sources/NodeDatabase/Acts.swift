package import ExchangeCore
package import GRDB

/// What an act is about.
package enum ActSubject: Sendable {
  case document(Int64, RecordID)
  /// Deliveries of several documents: each names the act in its history.
  case deliveries
  /// A message of `received`, and the document that it is or is about, when that is known.
  case message(Int64, document: Int64?)
  case unit(UnitID)
  case content(SHA256Digest)
}

/// An act of a person, as it is shown.
package struct ActSummary: Sendable {
  package let key: Int64
  package let at: Timestamp
  /// A raw value of `ActVerb`, or what a newer version wrote.
  package let verb: String
  /// `unit`, `own` or `operator`.
  package let capacity: String
  package let account: String?
  package let osUser: String?
  package let sudoUser: String?
  package let onBehalfOf: String?
  package let delegation: String?
  /// `cli`, or the address of a browser.
  package let place: String
  /// `document`, `deliveries`, `message`, `unit` or `content`.
  package let kind: String
  /// The document's or unit's id, the content's digest, the message's key in the quarantine; nil for
  /// deliveries.
  package let subject: String?
  /// What the person wrote, unless it was removed.
  package let reason: String?

  /// Who did it, in one word.
  package var who: String {
    account ?? Actor.OSUser(name: osUser ?? "?", sudoUser: sudoUser).shown
  }
}

extension ActSummary {
  package init(_ row: Row) {
    self.init(
      key: row["key"], at: row.time("at"), verb: row["verb"], capacity: row["capacity"],
      account: row["account"], osUser: row["osUser"], sudoUser: row["sudoUser"],
      onBehalfOf: row["onBehalfOf"], delegation: row["delegation"], place: row["place"],
      kind: row["kind"],
      subject: row["subjectID"] ?? (row["subjectKey"] as Int64?).map(String.init),
      reason: row["reason"])
  }
}

extension WriteTransaction {
  /// Logs what a person does, in the transaction that does it. Returns the key of the new row in
  /// `act`; nil for the daemon, whose work is not an act.
  @discardableResult
  package func act(
    _ verb: ActVerb, about subject: ActSubject, reason: String? = nil
  ) throws -> Int64? {
    let person: (capacity: String, account: Actor.Account?, osUser: Actor.OSUser?)
    switch actor {
    case .daemon: return nil
    case .operator(let user): person = ("operator", nil, user)
    case .account(let account): person = (account.capacity.rawValue, account, account.osUser)
    }
    let about: (kind: String, key: Int64?, id: String?, document: Int64?) =
      switch subject {
      case .document(let key, let id): ("document", key, id.rawValue, key)
      case .deliveries: ("deliveries", nil, nil, nil)
      case .message(let key, let document): ("message", key, nil, document)
      case .unit(let unit): ("unit", nil, unit.rawValue, nil)
      case .content(let digest): ("content", nil, digest.hex, nil)
      }
    try run(
      """
      INSERT INTO act (at, verb, capacity, account, osUser, sudoUser, onBehalfOf, delegation, place,
        kind, subjectKey, subjectID, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      [
        time.microseconds, verb.rawValue, person.capacity, person.account?.id, person.osUser?.name,
        person.osUser?.sudoUser, person.account?.onBehalfOf, person.account?.delegation,
        person.account?.place ?? "cli", about.kind, about.key, about.id, about.document,
      ])
    let key = database.lastInsertedRowID
    if let reason {
      try run("INSERT INTO actText (act, reason) VALUES (?, ?)", [key, reason])
    }
    return key
  }
}
