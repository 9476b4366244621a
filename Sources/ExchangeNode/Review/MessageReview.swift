import ExchangeCore
import ExchangeStore
import Foundation
package import Logging
import NodeDatabase
import Synchronization

/// Decides about stored messages: what is believed, what is refused and why. Runs on one thread;
/// every batch is one commit.
package final class MessageReview: Sendable {
  let context: NodeContext
  private let limits: IntakeLimits
  let log: Logger
  private let quarantineLog: QuarantineLog
  /// One commit: at most so many messages, bodies of so many bytes, and judging for so long. What comes
  /// meanwhile from another sender waits no longer than that.
  private static let batchCount = 64
  private static let batchBytes = 4 << 20
  private static let batchTime = Duration.milliseconds(100)
  /// Of the time, what the express lane leaves to the ordinary one.
  private static let ordinaryTime = Duration.milliseconds(25)
  /// Senders that one batch looks at.
  private static let units = 64
  /// Messages that could not be judged (a key that cannot sign), with the time from which they are
  /// looked at again: they stay where they are and are not in the way of others meanwhile.
  private let aside = Mutex<[Int64: Timestamp]>([:])
  /// When documents whose attachments have come are looked at again although no content came since.
  private let ripeAgainAt = Mutex<Timestamp?>(nil)
  static let asideTime = Duration.seconds(60)
  private static let asideLimit = 10_000

  private struct Turns {
    var fair = FairTurns()
    /// The sender after which the next batch of a lane begins, when more wait than one looks at.
    var last: [Lane: String] = [:]
    /// Documents whose attachments have come and that could not go on, in this pass over them.
    var passedOver: Set<Int64> = []
    /// The last step has looked at all documents whose attachments have come.
    var hasSeenRipe = false
  }
  private let turns = Mutex(Turns())
  /// Documents for which a refusal waits to be applied: the database does not know of it yet.
  private let refusedNow = Mutex<Set<String>>([])

  /// What other directories, anchors or certificates make of old statements.
  let reconsidering = Mutex(Reconsidering())

  /// `quarantineLog`: the intake's, so that both count together.
  package init(
    context: NodeContext, limits: IntakeLimits, log: Logger, quarantineLog: QuarantineLog? = nil
  ) {
    self.context = context
    self.limits = limits
    self.log = log
    self.quarantineLog = quarantineLog ?? QuarantineLog(log: log, clock: context.clock)
  }

  /// Judges up to one batch. `ripe` also looks at documents whose attachments were missing.
  /// Returns how many messages got ahead; 0 means that there is nothing to do for now.
  package func step(ripe: Bool) throws -> Int {
    try announce()
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
    let done = try turns.withLock { turns in
      turns.hasSeenRipe = false
      let done = try reviewFresh(&turns, now: now, aside: aside)
      return try done + (ripe || ripeAgain ? reviewRipe(&turns) : 0)
    }
    quarantineLog.flush()
    return try done + lookBack(isIdle: done == 0)
  }

  /// True when the last step has looked at every document whose attachments had come before it: until
  /// content comes again, nobody needs to look.
  package var hasSeenRipe: Bool { turns.withLock { $0.hasSeenRipe } }

  // MARK: Batches

  /// What one transaction is to apply, and what it has cost so far.
  private struct Batch {
    var reviewed: [(row: UnjudgedMessage, decided: ReviewDecision)] = []
    var bytes = 0
    var done = 0
    var failed = 0
    /// Documents that wait as they did before.
    var stuck: Set<Int64> = []
    let begun = ContinuousClock.now

    var isFull: Bool {
      reviewed.count >= MessageReview.batchCount || bytes >= MessageReview.batchBytes
    }
    func lasts(_ time: Duration) -> Bool { ContinuousClock.now - begun >= time }
  }

  /// The express lane first: statuses and urgent documents do not wait for a backlog. Part of the time
  /// is kept for the ordinary lane, so that no amount of urgent messages starves it.
  private func reviewFresh(_ turns: inout Turns, now: Timestamp, aside: Set<Int64>) throws -> Int {
    func waiting(_ lane: Lane) throws -> [WaitingMessages] {
      let found = try context.store.review.waiting(
        lane, after: turns.last[lane] ?? "", units: Self.units, count: Self.batchCount, now: now,
        aside: aside)
      turns.last[lane] = found.count == Self.units ? found.last?.sender : nil
      return found
    }
    let wasAll = turns.last.isEmpty
    let ordinary = try waiting(.ordinary)
    let express = try waiting(.express)
    let isAll = wasAll && turns.last.isEmpty
    turns.fair.begin(waiting: (ordinary + express).map(\.sender), isAll: isAll)
    var batch = Batch()
    let reserve = ordinary.isEmpty ? Duration.zero : Self.ordinaryTime
    try review(express, within: Self.batchTime - reserve, &turns.fair, &batch)
    try review(ordinary, within: Self.batchTime, &turns.fair, &batch)
    try apply(&batch)
    if batch.failed > 0 { return batch.done }
    // The end of the list of senders was looked at; its beginning may have more.
    return batch.done == 0 && !(turns.last.isEmpty) ? 1 : batch.done
  }

  /// Judges what waits in one lane, sender by sender, for up to `time` since the batch began: at least
  /// one message.
  private func review(
    _ waiting: [WaitingMessages], within time: Duration, _ fair: inout FairTurns,
    _ batch: inout Batch
  ) throws {
    var queues = Dictionary(uniqueKeysWithValues: waiting.map { ($0.sender, $0.messages[...]) })
    queues = queues.filter { !$0.value.isEmpty }
    var isFirst = true
    while let sender = fair.next(of: queues.keys), isFirst || !(batch.isFull || batch.lasts(time)) {
      isFirst = false
      guard let next = queues[sender]?.popFirst() else { continue }
      if queues[sender]?.isEmpty == true { queues.removeValue(forKey: sender) }
      let begun = ContinuousClock.now
      // A take-back or a tally is about documents that came before it.
      let document = MessageKind.document.rawValue
      if next.type != document,
        batch.reviewed.contains(where: { $0.row.sender == sender && $0.row.type == document })
      {
        try apply(&batch)
      }
      if let row = try context.store.review.unjudged(key: next.key) { review(row, into: &batch) }
      fair.charge(sender, ContinuousClock.now - begun)
    }
  }

  private func review(_ row: UnjudgedMessage, into batch: inout Batch) {
    batch.bytes += row.body.count
    do {
      batch.reviewed.append((row, try review(row)))
    } catch {
      setAside(row, error, &batch)
    }
  }

  /// What cannot be judged, or whose decision cannot be written down, is no reason to let others wait.
  private func setAside(_ row: UnjudgedMessage, _ error: any Error, _ batch: inout Batch) {
    batch.failed += 1
    batch.stuck.insert(row.key)
    log.error(
      "a message cannot be judged and waits",
      metadata: ["sender": "\(row.sender)", "error": "\(error)"])
    let again = context.clock.now.advanced(by: Self.asideTime)
    if row.document != nil { ripeAgainAt.withLock { $0 = again } }
    aside.withLock { if $0.count < Self.asideLimit { $0[row.key] = again } }
  }

  /// Applies what was judged so far in one transaction.
  private func apply(_ batch: inout Batch) throws {
    guard !batch.reviewed.isEmpty else { return }
    var reviewed = batch.reviewed
    batch.reviewed = []
    refusedNow.withLock { $0 = [] }
    let failures = try context.store.review.apply(
      reviewed.map(\.decided), at: context.clock.now, quota: limits.quota)
    for item in reviewed {
      if let error = failures[item.row.key] { setAside(item.row, error, &batch) }
    }
    reviewed.removeAll { failures[$0.row.key] != nil }
    for item in reviewed { note(item.decided, item.row) }
    let stuck = reviewed.filter { $0.row.document != nil && $0.decided.isWaiting }
    batch.stuck.formUnion(stuck.map(\.row.key))
    batch.done += reviewed.count - stuck.count
  }

  /// One batch of documents whose attachments have come. Those that cannot go on all the same (a file
  /// that cannot be read) are passed over. Returns how many got ahead, or 1 when the pass is not over.
  private func reviewRipe(_ turns: inout Turns) throws -> Int {
    let before = ripeAgainAt.withLock { $0 }
    var batch = Batch()
    while true {
      let (rows, isAll) = try context.store.review.ripe(
        limit: Self.batchCount, passedOver: turns.passedOver, at: context.clock.now)
      if rows.isEmpty {
        guard !isAll else { break }
        if batch.lasts(Self.batchTime) { return max(batch.done, 1) }
        continue
      }
      var bySender = Dictionary(grouping: rows, by: \.sender).mapValues { $0[...] }
      while let sender = turns.fair.next(of: bySender.keys) {
        guard let row = bySender[sender]?.popFirst() else { continue }
        if bySender[sender]?.isEmpty == true { bySender.removeValue(forKey: sender) }
        let begun = ContinuousClock.now
        review(row, into: &batch)
        turns.fair.charge(sender, ContinuousClock.now - begun)
        if batch.isFull || batch.lasts(Self.batchTime) { break }
      }
      try apply(&batch)
      turns.passedOver.formUnion(batch.stuck)
      if batch.done > 0 || batch.lasts(Self.batchTime) { return max(batch.done, 1) }
    }
    // Forgotten when all was looked at and nothing failed again.
    turns.passedOver = []
    turns.hasSeenRipe = true
    if batch.done == 0 { ripeAgainAt.withLock { if $0 == before { $0 = nil } } }
    return batch.done
  }

  private func review(_ message: UnjudgedMessage) throws -> ReviewDecision {
    let decision: (ReviewDecision.Decision, String?)
    guard let sender = UnitID(message.sender), let unit = context.directory.current.unit(sender),
      unit.isValid(on: CalendarDate(message.receivedAt))
    else {
      let isStatus = message.type == MessageKind.status.rawValue
      return ReviewDecision(
        message: message.key,
        decision: .quarantine(
          .unknownSender, detail: "“\(message.sender)” is not in the directory, or no longer",
          refusal: nil), claim: isStatus ? claim(of: message) : nil)
    }
    switch MessageKind(rawValue: message.type) {
    case .document: decision = try reviewDocument(message, from: sender)
    case .status:
      let (decided, claim) = try reviewStatus(message, from: sender)
      return ReviewDecision(
        message: message.key, decision: decided.0, evidence: decided.evidence, claim: claim)
    case .tally: decision = try reviewTally(message, from: sender)
    case .tallyAnswer: decision = try reviewTallyAnswer(message, from: sender)
    case .piece, nil:
      decision = (
        .quarantine(
          .messageKind, detail: "type “\(message.type.prefix(60))”", refusal: nil), nil
      )
    }
    return ReviewDecision(message: message.key, decision: decision.0, evidence: decision.1)
  }

  // MARK: Documents

  private func reviewDocument(_ message: UnjudgedMessage, from sender: UnitID) throws
    -> (ReviewDecision.Decision, String?)
  {
    var isSigned = false
    func refuse(
      _ outcome: OutcomeCode, _ detail: String, content: Data?, discard: [SHA256Digest] = []
    ) throws -> (ReviewDecision.Decision, String?) {
      (
        .quarantine(
          outcome, detail: detail,
          refusal: try refusal(
            message, to: sender, outcome, detail, content: content, isSigned: isSigned),
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
      isSigned = true
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
    if let known = try context.store.review.incomingDocument(from: sender, id: manifest.documentID)
    {
      if known.manifestDigest != digest {
        return try refuse(
          .conflict, "document \(manifest.documentID) is known with another manifest",
          content: content)
      }
      if known.received != message.key { return (.duplicate(of: known.received), evidence) }
    }
    let here = try context.store.review.look(for: manifest.attachments, from: sender)
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
      where [.contentMissing, .fileSystem, .denied].contains(error.kind)
    {
      // A damaged blob folder must not stop the review: the document waits, and the log says why.
      log.error("content is missing", metadata: ["reason": "\(error.reason)"])
      return (.wait(manifest, digest, isArrived: true), evidence)
    }
    let receipt = try context.statusSigner.sign(
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
    var examiner = AttachmentRules.Examiner(policy: limits.formats)
    for attachment in manifest.attachments {
      do {
        _ = try examiner.examine(attachment) { context.store.bytes(of: attachment) }
      } catch let error as DocumentError {
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
      let known = try context.store.review.incomingDocument(from: sender, id: id),
      known.received != message.key,
      try context.store.relay.signedManifest(document: known.key) == message.body
    else { return nil }
    return known.received
  }

  /// A refusal, when the document can be named: by the content, or, when the signature holds
  /// (`isSigned`), by the message id. Of what is not believed, a document id gets one answer an hour at
  /// the most, so that nobody makes this unit sign and send at will.
  private func refusal(
    _ message: UnjudgedMessage, to sender: UnitID, _ outcome: OutcomeCode, _ detail: String,
    content: Data?, isSigned: Bool
  ) throws -> Refusal? {
    guard let content,
      let id = ManifestCodec.namedDocument(content)
        ?? (isSigned ? RecordID(message.messageID) : nil)
    else { return nil }
    let digest = context.hashing.sha256(content)
    // A damaged copy says nothing about the document that is here already.
    if let known = try context.store.review.incomingDocument(from: sender, id: id),
      known.received != message.key, known.manifestDigest == digest
    {
      return nil
    }
    let now = context.clock.now
    switch try context.store.review.refusal(
      of: message.key, about: id, to: sender, outcome, since: now.advanced(by: .seconds(-3600)),
      now: now, quota: limits.quota)
    {
    case .stored(let status): return .again(status)
    case .withheld: return nil
    case .due: break
    }
    let subject = "\(sender) \(id)"
    guard !refusedNow.withLock({ $0.contains(subject) }) else { return nil }
    let refusal = Refusal.new(
      try context.statusSigner.sign(
        documentID: id, manifestDigest: digest, to: sender, code: .refused, reasonCode: outcome,
        note: message.messageID == id.rawValue
          ? detail : "\(detail) (message-id “\(TextRules.fitting(message.messageID, maximum: 60))”)"
      ))
    refusedNow.withLock { _ = $0.insert(subject) }
    return refusal
  }

  /// Either this machine's clock is wrong or the sender's; an honest document is not refused for it.
  func postpone(_ message: UnjudgedMessage, until time: Timestamp, _ detail: String) -> (
    ReviewDecision.Decision, String?
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

  private func note(_ decided: ReviewDecision, _ message: UnjudgedMessage) {
    guard case .quarantine(let outcome, let detail, _, _) = decided.decision else { return }
    quarantineLog.note(
      sender: message.sender, message: message.messageID, outcome: outcome, detail: detail)
  }
}
