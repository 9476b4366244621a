import ExchangeCore
import ExchangeStore
import Foundation
import Logging
import NodeDatabase
import Synchronization

/// Statements that were not believed once. Theirs: judged anew when the directory or the anchors
/// change. Ours: signed anew when somebody asks for them and the certificates have changed since.
extension MessageReview {
  struct Reconsidering {
    /// The directory that the verdicts rest on; nil before the first look.
    var units: [Directory.Unit]?
    var basis = ""
    /// Messages that are still to be judged anew, the newest last; nil when there are none.
    var keys: [Int64]?
    var isAnnounced = false
    /// No document of an earlier version is left whose details are to be read.
    var isAllDetailed = false
    /// When signing failed: not before then.
    var restateAgainAt: Timestamp?
  }

  private static let lookBackBatch = 32
  /// Of each unit that many statuses are judged anew after a change, and so many in all.
  private static let reconsideredPerUnit = 1000
  private static let reconsidered = 10_000

  /// Writes down which certificates this node signs with, so that it is known what was signed with
  /// others. To be called before anything is taken in.
  package func announce() throws {
    guard !reconsidering.withLock({ $0.isAnnounced }) else { return }
    try reviewAnewAfterUpdate()
    if let identity = context.signer.identity {
      try context.store.review.announce(signer: identity, at: context.clock.now)
    }
    reconsidering.withLock { $0.isAnnounced = true }
  }

  /// What an earlier version of the program could not read is judged anew by one that reads more.
  private func reviewAnewAfterUpdate() throws {
    let readable = (MessageKind.allCases.map(\.rawValue) + ["version \(Envelope.version)"])
      .joined(separator: ", ")
    guard try context.store.review.readable() != readable else { return }
    let now = context.clock.now
    let keys = try context.store.review.unreadable(
      perUnit: Self.reconsideredPerUnit, limit: Self.reconsidered)
    let count = try context.store.review.reconsider(keys, cause: "program updated", at: now)
    try context.store.review.setReadable(readable, at: now)
    if count > 0 {
      log.notice(
        "program updated: messages that it could not read are judged anew",
        metadata: ["count": "\(count)"])
    }
  }

  /// Returns how many statements got ahead. What has just come goes first.
  func lookBack(isIdle: Bool) throws -> Int {
    try restate() + (isIdle ? reconsider() + detail() : 0)
  }

  /// Judges old statuses anew after a change of what verdicts rest on, a batch at a time.
  private func reconsider() throws -> Int {
    let units = context.directory.current.units
    if reconsidering.withLock({ $0.units != units }) {
      let basis = self.basis(units)
      let isNew = try context.store.review.trustBasis() != basis
      let keys =
        isNew
        ? try context.store.review.reconsiderable(
          perUnit: Self.reconsideredPerUnit, limit: Self.reconsidered) : nil
      reconsidering.withLock {
        $0.units = units
        $0.basis = basis
        $0.keys = keys
      }
    }
    let (next, basis) = reconsidering.withLock { ($0.keys?.suffix(Self.lookBackBatch), $0.basis) }
    guard let next else { return 0 }
    let count = try context.store.review.reconsider(
      Array(next), cause: "directory or trust changed", at: context.clock.now)
    let isOver = reconsidering.withLock { state in
      state.keys?.removeLast(next.count)
      if state.keys?.isEmpty == true { state.keys = nil }
      return state.keys == nil
    }
    if isOver { try context.store.review.setTrustBasis(basis, at: context.clock.now) }
    if count > 0 {
      log.notice(
        "directory or trust changed: statuses that were not believed are judged anew",
        metadata: ["count": "\(count)"])
    }
    return next.count
  }

  /// Reads the manifests of documents that an earlier version stored without their details.
  private func detail() throws -> Int {
    guard !reconsidering.withLock({ $0.isAllDetailed }) else { return 0 }
    let documents = try context.store.review.undetailed(limit: Self.lookBackBatch)
    let now = context.clock.now
    try context.store.review.detail(
      documents.map { document in
        let content = content(of: document.signed, from: document.sender, at: now)
        return (document.key, content.flatMap { try? ManifestCodec.decode($0) })
      }, at: now)
    if documents.isEmpty { reconsidering.withLock { $0.isAllDetailed = true } }
    return documents.count
  }

  /// A digest of the directory and of what the verifier relies on.
  private func basis(_ units: [Directory.Unit]) -> String {
    let lines = units.map { unit in
      ([unit.id.rawValue, unit.validFrom?.rawValue ?? "", unit.validTo?.rawValue ?? ""]
        + unit.aliases.map(\.rawValue).sorted() + unit.certificates.map(\.hex).sorted())
        .joined(separator: " ")
    }
    let text = (lines.sorted() + [context.verifier.basis]).joined(separator: "\n")
    return context.hashing.sha256(Data(text.utf8)).hex
  }

  /// Signs statements of ours anew that somebody asked for. Returns how many were looked at.
  private func restate() throws -> Int {
    let now = context.clock.now
    let isWaiting = reconsidering.withLock { state in
      state.restateAgainAt.map { now < $0 && $0 <= now.advanced(by: Self.asideTime) } ?? false
    }
    guard !isWaiting else { return 0 }
    let due = try context.store.review.dueRestatements(limit: Self.lookBackBatch)
    guard !due.isEmpty else { return 0 }
    do {
      var latest: [RecordID: Timestamp] = [:]
      let made = try due.map { old in
        (old: old, new: try signedAnew(old, latest: &latest, at: now))
      }
      try context.store.review.restate(made, at: now)
      reconsidering.withLock { $0.restateAgainAt = nil }
      return due.count
    } catch let error where !(error is StoreError) {
      reconsidering.withLock { $0.restateAgainAt = now.advanced(by: Self.asideTime) }
      log.error("statuses cannot be signed anew", metadata: ["error": "\(error)"])
      return 0
    }
  }

  /// The same statement under a new id and with the certificates in use now; nil when it was signed
  /// with these and is not dated ahead. Its timestamp stays, because that is when it was said, unless
  /// the clock that gave it was ahead.
  private func signedAnew(
    _ old: DueRestatement, latest: inout [RecordID: Timestamp], at now: Timestamp
  ) throws -> SignedStatus? {
    let isAhead = old.at > now.advanced(by: StatementTimes.clockSkew)
    let signer = old.signer ?? context.signer.identity(of: old.signed)
    guard isAhead || signer != context.signer.identity,
      var statement = statement(in: old.signed, at: now)
    else { return nil }
    if isAhead {
      let previous = latest[statement.documentID]?.advanced(by: .milliseconds(1))
      statement.timestamp = previous.map { max(now, $0) } ?? now
    }
    latest[statement.documentID] = statement.timestamp
    statement.statusID = RecordID(at: now)
    statement.from = context.unit
    return try context.statusSigner.sign(statement, at: now)
  }

  /// The content of a stored statement of ours.
  private func statement(in signed: Data, at now: Timestamp) -> StatusStatement? {
    content(of: signed, from: context.unit.organId, at: now).flatMap {
      try? StatusCodec.decode($0)
    }
  }

  /// The content of a stored CMS, whatever has become of its signature.
  private func content(of signed: Data, from unit: UnitID, at now: Timestamp) -> Data? {
    switch context.verifier.verify(signed, from: unit, arrivedAt: now) {
    case .valid(let content, _), .early(_, _, let content): content
    case .invalid(_, _, let content): content
    }
  }
}
