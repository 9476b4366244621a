import ExchangeCore
import ExchangeStore
import Foundation
package import Logging
import Synchronization

/// Decides about stored messages: what is believed, what is refused and why. Runs on one thread;
/// every batch is one commit.
package final class Judge: Sendable {
  let context: NodeContext
  private let limits: IntakeLimits
  private let log: Logger
  private static let batch = 32
  /// Messages that could not be judged (a key that cannot sign), with the time from which they are
  /// looked at again: they stay where they are and are not in the way of others meanwhile.
  private let aside = Mutex<[Int64: Timestamp]>([:])
  /// When documents whose attachments have come are looked at again although no content came since.
  private let ripeAgainAt = Mutex<Timestamp?>(nil)
  private static let asideTime = Duration.seconds(60)
  private static let asideLimit = 10_000
  /// Files that one call puts together: then the judge is to see them, and a stop to be heard.
  private static let assembleBatch = 16

  package init(context: NodeContext, limits: IntakeLimits, log: Logger) {
    self.context = context
    self.limits = limits
    self.log = log
  }

  /// Judges up to one batch. `ripe` also looks at documents whose attachments were missing.
  /// Returns how many messages got ahead; 0 means that there is nothing to do for now.
  package func step(ripe: Bool) throws -> Int {
    let now = context.clock.now
    let ripeAgain =
      ripeAgainAt.withLock { $0 }.map {
        now >= $0 || $0 > now.advanced(by: Self.asideTime)
      } ?? false
    let aside = aside.withLock { aside in
      // Also when the clock was set back.
      aside = aside.filter { now < $0.value && $0.value <= now.advanced(by: Self.asideTime) }
      return Set(aside.keys)
    }
    let fresh = try context.store.unjudged(limit: Self.batch, now: now, aside: aside)
    // Documents first: a take-back in the same batch is about one of them.
    let documents = fresh.filter { $0.type == MessageKind.document.rawValue }
    let others = fresh.filter { $0.type != MessageKind.document.rawValue }
    let done = try fresh.count - (judge(documents) + judge(others))
    return try done + (ripe || ripeAgain ? judgeRipe() : 0)
  }

  /// One batch of documents whose attachments have come. Those that cannot go on all the same (a file
  /// that cannot be read) are passed over. Returns how many got ahead.
  private func judgeRipe() throws -> Int {
    let before = ripeAgainAt.withLock { $0 }
    var last: Int64 = 0
    // Forgotten when all was looked at and nothing failed again.
    func end(_ done: Int) -> Int {
      if done == 0 { ripeAgainAt.withLock { if $0 == before { $0 = nil } } }
      return done
    }
    while true {
      let rows = try context.store.ripe(limit: Self.batch, after: last)
      let done = try rows.count - judge(rows)
      guard done == 0, rows.count == Self.batch, let key = rows.last?.key else { return end(done) }
      last = key
    }
  }

  /// Judges rows in one transaction. Returns how many go on waiting as they did before.
  private func judge(_ rows: [UnjudgedMessage]) throws -> Int {
    guard !rows.isEmpty else { return 0 }
    var judged: [(row: UnjudgedMessage, judgement: Judgement)] = []
    var failure: (any Error)?
    let again = context.clock.now.advanced(by: Self.asideTime)
    for row in rows {
      do {
        judged.append((row, try judge(row)))
      } catch {
        failure = error
        if row.document != nil { ripeAgainAt.withLock { $0 = again } }
        aside.withLock { if $0.count < Self.asideLimit { $0[row.key] = again } }
      }
    }
    if let failure {
      log.error(
        "messages cannot be judged and wait",
        metadata: ["count": "\(rows.count - judged.count)", "error": "\(failure)"])
    }
    try context.store.apply(
      judged.map(\.judgement), at: context.clock.now, quarantineBytes: limits.quarantineBytes)
    for item in judged { note(item.judgement, item.row) }
    return rows.count - judged.count
      + judged.count { $0.row.document != nil && $0.judgement.isWaiting }
  }

  /// Hashes attachments of which every piece is here. Runs on a thread of its own, because a large
  /// file takes seconds. Returns how many were finished; one that fails keeps no other back, and is
  /// thrown when nothing else is left.
  package func assemble() throws -> Int {
    var finished = 0
    var failure: (any Error)?
    for transfer in try context.store.completeTransfers() {
      do {
        try assemble(transfer)
        finished += 1
        if finished == Self.assembleBatch { return finished }
      } catch let error as StoreError
        where error.kind == .contentMissing || error.kind == .contentDamaged
      {
        log.error(
          "pieces that came are lost here and have to come again", metadata: ["error": "\(error)"])
        try context.store.lose(transfer)
      } catch {
        failure = error
      }
    }
    if let failure, finished == 0 { throw failure }
    return finished
  }

  private func assemble(_ transfer: Transfer) throws {
    let files = context.store.files
    let name = files.spoolName(
      sender: transfer.sender, sha256: transfer.sha256, size: transfer.size)
    try files.keeping {
      let isIntact = try files.assemble(name, digest: transfer.sha256, size: transfer.size)
      try context.store.finish(transfer, isIntact: isIntact, at: context.clock.now)
    }
  }

  private func judge(_ message: UnjudgedMessage) throws -> Judgement {
    let decision: (Judgement.Decision, String?)
    guard let sender = UnitID(message.sender), let unit = context.directory.current.unit(sender),
      unit.isValid(on: CalendarDate(message.receivedAt))
    else {
      return Judgement(
        message: message.key,
        decision: .quarantine(
          .unknownSender, detail: "“\(message.sender)” is not in the directory, or no longer",
          refusal: nil))
    }
    switch MessageKind(rawValue: message.type) {
    case .document: decision = try judgeDocument(message, from: sender)
    case .status: decision = try judgeStatus(message, from: sender)
    case .tally: decision = try judgeTally(message, from: sender)
    case .tallyAnswer: decision = try judgeTallyAnswer(message, from: sender)
    case .piece, nil:
      decision = (
        .quarantine(
          .messageKind, detail: "type “\(message.type.prefix(60))”", refusal: nil), nil
      )
    }
    return Judgement(message: message.key, decision: decision.0, evidence: decision.1)
  }

  // MARK: Documents

  private func judgeDocument(_ message: UnjudgedMessage, from sender: UnitID) throws
    -> (Judgement.Decision, String?)
  {
    func refuse(
      _ outcome: OutcomeCode, _ detail: String, content: Data?, discard: [SHA256Digest] = []
    ) throws -> (Judgement.Decision, String?) {
      (
        .quarantine(
          outcome, detail: detail,
          refusal: try refusal(message, to: sender, outcome, detail, content: content),
          discard: discard), nil
      )
    }

    let content: Data
    let signers: [SignerIdentity]
    switch context.verifier.verify(message.body, from: sender, arrivedAt: message.arrival) {
    case .early(_, _, let content) where ManifestCodec.declaresSecrecy(content),
      .invalid(_, _, let content?) where ManifestCodec.declaresSecrecy(content):
      return try refuse(
        .dieu5, "a secrecy mark is declared", content: content,
        discard: ManifestCodec.namedDigests(content))
    case .early(let time, let detail, _): return postpone(message, until: time, detail)
    case .invalid(let problem, let detail, let content):
      if let known = try believedBefore(message, problem, from: sender) {
        return (.duplicate(of: known), nil)
      }
      return try refuse(OutcomeCode(problem), detail, content: content)
    case .valid(let verified, let identities):
      content = verified
      signers = identities
    }
    let manifest: Manifest
    do {
      try checkVersion(message)
      manifest = try ManifestCodec.decode(content)
    } catch let error as DocumentError {
      // Also when something else is wrong with it.
      let isSecret = ManifestCodec.declaresSecrecy(content)
      return try refuse(
        isSecret ? .dieu5 : outcome(of: error),
        isSecret ? "a secrecy mark is declared" : error.reason,
        content: content, discard: isSecret ? ManifestCodec.namedDigests(content) : [])
    }
    if let (outcome, detail) = breach(manifest, message: message, sender: sender) {
      return try refuse(outcome, detail, content: content)
    }
    let digest = context.hashing.sha256(content)
    let evidence = signers.map(\.evidence).joined(separator: "; ")
    if let known = try context.store.incomingDocument(from: sender, id: manifest.documentID) {
      if known.manifestDigest != digest {
        return try refuse(
          .conflict, "document \(manifest.documentID) is known with another manifest",
          content: content)
      }
      if known.received != message.key { return (.duplicate(of: known.received), evidence) }
    }
    let here = try context.store.look(for: manifest.attachments, from: sender)
    if let contradiction = here.contradiction {
      return try refuse(.rule, "attachments: \(contradiction)", content: content)
    }
    if let altered = manifest.attachments.first(where: { here.spoiled.contains($0.sha256) }) {
      return try refuse(
        .attachmentAltered, "“\(altered.name)” does not have its digest", content: content)
    }
    guard here.missing.isEmpty else {
      return (.wait(manifest, digest, isArrived: here.isArrived), evidence)
    }
    do {
      if let detail = try formatBreach(manifest) {
        return try refuse(.attachmentFormat, detail, content: content)
      }
    } catch let error as StoreError
      where [.contentMissing, .fileSystem].contains(error.kind)
    {
      // A damaged blob folder must not stop the judge: the document waits, and the log says why.
      log.error("content is missing", metadata: ["reason": "\(error.reason)"])
      return (.wait(manifest, digest, isArrived: true), evidence)
    }
    let receipt = try context.sign(
      documentID: manifest.documentID, manifestDigest: digest, to: sender, code: .arrived)
    return (.accept(manifest, digest, receipt: receipt), evidence)
  }

  private func breach(_ manifest: Manifest, message: UnjudgedMessage, sender: UnitID) -> (
    OutcomeCode, String
  )? {
    if context.directory.current.unit(manifest.from.organId)?.id
      != context.directory.current.unit(sender)?.id
    {
      return (.senderMismatch, "from: “\(manifest.from.organId)”, but “\(sender)” sent it")
    }
    if message.messageID != manifest.documentID.rawValue {
      return (.rule, "message-id: is not the document's id")
    }
    let own = context.directory.current.unit(context.unit.organId)
    if own?.id == context.directory.current.unit(sender)?.id {
      return (.notAddressed, "from: is “\(context.unit.organId)” itself")
    }
    if !manifest.to.contains(where: { organ in
      organ.organId == context.unit.organId || own?.aliases.contains(organ.organId) == true
    }) {
      return (.notAddressed, "to: does not name “\(context.unit.organId)”")
    }
    let total = manifest.attachments.reduce(0) { $0 + $1.size }
    if total > limits.documentBytes {
      return (.tooLarge, "attachments: \(total) bytes, this unit takes \(limits.documentBytes)")
    }
    return nil
  }

  /// The content of every attachment must be what its name says.
  private func formatBreach(_ manifest: Manifest) throws -> String? {
    let window: Int64 = 65_536
    for attachment in manifest.attachments {
      let count = Int(min(window, attachment.size))
      let head = try context.store.content(attachment.sha256, offset: 0, count: count)
      let tail = try context.store.content(
        attachment.sha256, offset: max(0, attachment.size - window), count: count)
      do {
        _ = try AttachmentRules.mediaType(name: attachment.name, head: head, tail: tail)
      } catch {
        return error.reason
      }
    }
    return nil
  }

  /// The received row of a document that was believed, when the very same bytes come again and only
  /// its certificate counts no longer: it left the directory, or ended. The sender may have lost the
  /// receipt, and gets the stored one.
  private func believedBefore(
    _ message: UnjudgedMessage, _ problem: SignatureProblem, from sender: UnitID
  ) throws -> Int64? {
    guard [.unknownSigner, .expired, .untrustedChain].contains(problem),
      let id = RecordID(message.messageID),
      let known = try context.store.incomingDocument(from: sender, id: id),
      known.received != message.key,
      try context.store.signedManifest(document: known.key) == message.body
    else { return nil }
    return known.received
  }

  /// A refusal, when the document can be named: from the content, or from the message id when even
  /// that is unreadable.
  private func refusal(
    _ message: UnjudgedMessage, to sender: UnitID, _ outcome: OutcomeCode, _ detail: String,
    content: Data?
  ) throws -> SignedStatus? {
    guard let id = RecordID(message.messageID) else { return nil }
    let digest = context.hashing.sha256(content ?? message.body)
    // A damaged copy says nothing about the document that is here already.
    if let known = try context.store.incomingDocument(from: sender, id: id),
      known.received != message.key, content == nil || known.manifestDigest == digest
    {
      return nil
    }
    return try context.sign(
      documentID: id, manifestDigest: digest, to: sender, code: .refused, reasonCode: outcome,
      note: detail)
  }

  /// Either this machine's clock is wrong or the sender's; an honest document is not refused for it.
  func postpone(_ message: UnjudgedMessage, until time: Timestamp, _ detail: String) -> (
    Judgement.Decision, String?
  ) {
    log.warning(
      "a message waits, because it was signed ahead of this machine's clock: check the clock",
      metadata: [
        "sender": "\(message.sender)", "message": "\(message.messageID)", "detail": "\(detail)",
        "judgedAt": "\(time.shown)",
      ])
    return (.postpone(until: time, detail: detail), nil)
  }

  func checkVersion(_ message: UnjudgedMessage) throws(DocumentError) {
    guard message.version == Envelope.version else {
      throw DocumentError(.version, "congvan-version: is not \(Envelope.version)")
    }
  }

  func outcome(of error: DocumentError) -> OutcomeCode {
    switch error.kind {
    case .secrecy: .dieu5
    case .malformed: .malformed
    case .version: .version
    case .tooLarge, .attachmentSize: .tooLarge
    default: .rule
    }
  }

  private func note(_ judgement: Judgement, _ message: UnjudgedMessage) {
    guard case .quarantine(let outcome, let detail, _, _) = judgement.decision else { return }
    log.warning(
      "message is quarantined",
      metadata: [
        "sender": "\(message.sender)", "message": "\(message.messageID)", "code": "\(outcome)",
        "detail": "\(detail)",
      ])
  }
}
