import ExchangeCore
import ExchangeStore
import Foundation
package import Logging
import NodeDatabase

/// Looks after the content files: whether all are there when the daemon starts, and whether each
/// still has its digest about once a week, in small steps. What is damaged is set aside; then its
/// sender is told by the answer to its next tally and sends it again. Used by one thread.
package final class ContentScrubber {
  package struct Policy: Sendable, Hashable {
    /// Bytes that one step reads.
    package var stepBytes: Int64 = 64 << 20
    /// How long a comparison holds good.
    package var interval = Duration.seconds(7 * 86_400)

    package init() {}
  }

  /// A file in the middle of which the last step ended.
  private struct Reading {
    let content: (sha256: SHA256Digest, size: Int64)
    let hash: any RunningHash
    var offset: Int64 = 0
  }

  private let context: NodeContext
  private let policy: Policy
  private let log: Logger
  private var hasBegun = false
  private var isToldOfMany = false
  private var reading: Reading?

  package init(context: NodeContext, policy: Policy = Policy(), log: Logger) {
    self.context = context
    self.policy = policy
    self.log = log
  }

  /// One round; the first one of a daemon also looks whether every file is there.
  package func step() throws {
    if !hasBegun {
      try begin()
      hasBegun = true
    }
    try scrub()
  }

  private func begin() throws {
    for digest in try context.store.contents.adoptContent(at: context.clock.now) {
      log.info("content that was put back is taken in", metadata: ["content": "\(digest)"])
    }
    try lookAtAll()
    let lost = try context.store.contents.lostContent()
    if !lost.isEmpty {
      log.warning(
        "content is missing: see `congvan check`", metadata: ["count": "\(lost.count)"])
    }
  }

  private func lookAtAll() throws {
    let (looked, damaged, _) = try context.store.contents.contentFindings(full: false)
    for finding in damaged where !finding.condition.isDamage {
      log.error(
        "content cannot be read",
        metadata: ["content": "\(finding.sha256)", "reason": "\(finding.condition.text)"])
    }
    let lost = damaged.filter(\.condition.isDamage)
    guard !Self.isMassive(lost.count, of: looked) else {
      // A disk that is not mounted looks like this. Nothing is given up before a person has looked.
      if isToldOfMany { return }
      isToldOfMany = true
      log.error(
        "many content files are missing: is the folder blobs/ complete? Nothing is set aside",
        metadata: [
          "code": "\(StoreErrorCode.contentMissing.rawValue)", "missing": "\(lost.count)",
          "of": "\(looked)", "next": "restore blobs/, or: congvan check --repair",
        ])
      return
    }
    isToldOfMany = false
    for finding in lost { try setAside(finding.sha256) }
  }

  /// More than single files: rather the folder than the files.
  package static func isMassive(_ damaged: Int, of looked: Int) -> Bool {
    damaged > 20 && damaged > looked / 10
  }

  /// Compares files with their digests, up to `stepBytes`.
  private func scrub() throws {
    let now = context.clock.now
    let old = now.advanced(by: .zero - policy.interval)
    var room = policy.stepBytes
    var intact: [SHA256Digest] = []
    var isAnyMissing = false
    var due = try context.store.contents.uncheckedContent(since: old, now: now, limit: 256)
    due = due.reversed().filter { $0.sha256 != reading?.content.sha256 }
    while room > 0 {
      if reading == nil {
        guard let content = due.popLast() else { break }
        reading = Reading(content: content, hash: context.hashing.makeHash())
      }
      switch read(&room) {
      case .goesOn: continue
      case .intact(let digest): intact.append(digest)
      case .missing: isAnyMissing = true
      case .damaged(let digest): try setAside(digest)
      }
    }
    try context.store.contents.markChecked(intact, at: now)
    // Not concluded from one file: the whole folder may be missing for a while.
    if isAnyMissing { try lookAtAll() }
  }

  private enum Look {
    case goesOn
    case intact(SHA256Digest)
    case damaged(SHA256Digest)
    case missing
  }

  /// Reads on in the open file.
  private func read(_ room: inout Int64) -> Look {
    guard var current = reading else { return .goesOn }
    reading = nil
    let (digest, size) = current.content
    let count = min(WireLimits.pieceBytes, size - current.offset)
    let data: Data
    do {
      data = try context.store.files.read(digest, offset: current.offset, count: Int(count))
    } catch {
      room -= 1
      return error.kind == .contentMissing ? .missing : .damaged(digest)
    }
    current.hash.update(data)
    current.offset += count
    room -= count
    guard data.count == count else { return .damaged(digest) }
    guard current.offset >= size else {
      reading = current
      return .goesOn
    }
    return current.hash.finish() == digest ? .intact(digest) : .damaged(digest)
  }

  /// Nothing happens when it is intact after all.
  private func setAside(_ digest: SHA256Digest) throws {
    let found = try context.store.contents.setAside(digest, at: context.clock.now, by: .daemon)
    guard let found else { return }
    log.error(
      "content is damaged and set aside: see `congvan check`",
      metadata: [
        "code": "\(found.code)", "content": "\(digest)", "reason": "\(found.condition.text)",
        "documents": "\(found.places.map(\.document.rawValue).joined(separator: " "))",
      ])
  }
}
