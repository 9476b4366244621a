package import Foundation

/// A signed tally (schemas/tally.schema.json): "these documents I sent you". It finds losses that no
/// retry sees: a queue that was deleted, a broker or a node restored from an old backup.
package struct Tally: Sendable, Hashable {
  package struct Entry: Sendable, Hashable, Codable {
    /// Number of the delivery among all from this sender to this receiver, from 1.
    package var sequence: Int64
    package var documentId: RecordID
    package var manifestSha256: SHA256Digest
    /// How many statuses of the receiver about it the sender has; fewer than the receiver gave asks
    /// for them again.
    package var statuses: Int
    /// The latest of them, by time and then by id; another one than the receiver's latest asks for
    /// them again. Numbers alone may agree by chance: after a restore the receiver gives new ones.
    package var lastStatus: RecordID?
    /// True when the sender has no receipt for what it sent last, whatever it has from before: the
    /// receiver may have lost the document since, got it again, and its new receipt may be lost.
    /// Absent otherwise.
    package var awaiting: Bool?
    /// The sender's take-back (13) of it, while that stands.
    package var takeBack: RecordID?

    package init(
      sequence: Int64, documentId: RecordID, manifestSha256: SHA256Digest, statuses: Int,
      lastStatus: RecordID? = nil, awaiting: Bool? = nil, takeBack: RecordID? = nil
    ) {
      self.sequence = sequence
      self.documentId = documentId
      self.manifestSha256 = manifestSha256
      self.statuses = statuses
      self.lastStatus = lastStatus
      self.awaiting = awaiting
      self.takeBack = takeBack
    }
  }

  package var id: RecordID
  package var from: Organ
  package var to: UnitID
  package var timestamp: Timestamp
  package var entries: [Entry]
  /// True when further tallies of the same round name the rest.
  package var isPartial: Bool

  package init(
    id: RecordID, from: Organ, to: UnitID, timestamp: Timestamp, entries: [Entry],
    isPartial: Bool = false
  ) {
    self.isPartial = isPartial
    self.id = id
    self.from = from
    self.to = to
    self.timestamp = timestamp
    self.entries = entries
  }
}

/// The answer to a tally (schemas/tally-answer.schema.json): what the receiver does not have.
package struct TallyAnswer: Sendable, Hashable {
  package var id: RecordID
  package var tallyID: RecordID
  package var from: Organ
  package var to: UnitID
  package var timestamp: Timestamp
  /// Documents of the tally that are not here whole, or with another manifest.
  package var missing: [RecordID]
  /// Take-backs (13) of the tally that did not come.
  package var missingTakeBacks: [RecordID]
  /// True when the receiver owes more statuses than one tally can ask for: another tally asks for the
  /// rest.
  package var hasMore: Bool

  package init(
    id: RecordID, tallyID: RecordID, from: Organ, to: UnitID, timestamp: Timestamp,
    missing: [RecordID], missingTakeBacks: [RecordID] = [], hasMore: Bool = false
  ) {
    self.hasMore = hasMore
    self.missingTakeBacks = missingTakeBacks
    self.id = id
    self.tallyID = tallyID
    self.from = from
    self.to = to
    self.timestamp = timestamp
    self.missing = missing
  }
}

/// Writes and reads tallies and their answers as JSON.
package enum TallyCodec {
  /// Entries of one tally: 300 to 600 KB of JSON.
  package static let maximumEntries = 2_000

  package static func encode(_ tally: Tally) throws -> Data {
    try validate(tally)
    return try WireJSON.encode(
      Wire(
        tallyId: tally.id, from: tally.from, to: Organ(organId: tally.to),
        timestamp: tally.timestamp, partial: tally.isPartial ? true : nil,
        entries: tally.entries))
  }

  package static func encode(_ answer: TallyAnswer) throws -> Data {
    try validate(answer)
    return try WireJSON.encode(
      WireAnswer(
        answerId: answer.id, tallyId: answer.tallyID, from: answer.from,
        to: Organ(organId: answer.to), timestamp: answer.timestamp, missing: answer.missing,
        missingTakeBacks: answer.missingTakeBacks.isEmpty ? nil : answer.missingTakeBacks,
        more: answer.hasMore ? true : nil))
  }

  /// Throws `DocumentError`: `.malformed`, `.version`, `.text` or `.tooLarge`.
  package static func decodeTally(_ bytes: Data) throws -> Tally {
    try WireJSON.read(bytes, kind: "tally", as: Wire.self) { wire in
      let tally = Tally(
        id: wire.tallyId, from: wire.from, to: wire.to.organId, timestamp: wire.timestamp,
        entries: wire.entries, isPartial: wire.partial ?? false)
      try check(wire.to, field: "to")
      try validate(tally)
      return tally
    }
  }

  /// Throws `DocumentError`: `.malformed`, `.version`, `.text` or `.tooLarge`.
  package static func decodeAnswer(_ bytes: Data) throws -> TallyAnswer {
    try WireJSON.read(bytes, kind: "tallyAnswer", as: WireAnswer.self) { wire in
      let answer = TallyAnswer(
        id: wire.answerId, tallyID: wire.tallyId, from: wire.from, to: wire.to.organId,
        timestamp: wire.timestamp, missing: wire.missing,
        missingTakeBacks: wire.missingTakeBacks ?? [], hasMore: wire.more ?? false)
      try check(wire.to, field: "to")
      try validate(answer)
      return answer
    }
  }

  private static func validate(_ tally: Tally) throws(DocumentError) {
    try check(tally.from, field: "from")
    guard (1...maximumEntries).contains(tally.entries.count) else {
      throw DocumentError(.tooLarge, "entries: 1 to \(maximumEntries) are allowed")
    }
    guard tally.entries.allSatisfy({ $0.sequence > 0 && $0.statuses >= 0 }) else {
      throw DocumentError(.text, "entries: sequence begins at 1, statuses at 0")
    }
  }

  private static func validate(_ answer: TallyAnswer) throws(DocumentError) {
    try check(answer.from, field: "from")
    for (name, ids) in [
      ("missing", answer.missing), ("missingTakeBacks", answer.missingTakeBacks),
    ] where ids.count > maximumEntries {
      throw DocumentError(.tooLarge, "\(name): at most \(maximumEntries) are allowed")
    }
  }

  private static func check(_ organ: Organ, field: String) throws(DocumentError) {
    guard let name = organ.organName else { return }
    try TextRules.check(name, field: "\(field).organName", maximum: Organ.maximumNameLength)
  }

  private struct Wire: Codable {
    var kind = "tally"
    var version = 1
    var tallyId: RecordID
    var from: Organ
    var to: Organ
    var timestamp: Timestamp
    var partial: Bool?
    var entries: [Tally.Entry]
  }

  private struct WireAnswer: Codable {
    var kind = "tallyAnswer"
    var version = 1
    var answerId: RecordID
    var tallyId: RecordID
    var from: Organ
    var to: Organ
    var timestamp: Timestamp
    var missing: [RecordID]
    var missingTakeBacks: [RecordID]?
    var more: Bool?
  }
}
