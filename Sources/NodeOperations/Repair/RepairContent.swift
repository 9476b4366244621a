package import ExchangeCore
package import ExchangeStore
import Foundation

/// Sets damaged content aside and takes the original from files: what `check --repair` does.
package struct RepairContent: Sendable {
  /// What was done, or could not be, in the order in which it happened.
  package enum Step: Sendable {
    /// The content is set aside; the sender of an incoming document sends it again.
    case setAside(ContentFinding)
    /// The content is whole again.
    case repaired(ContentFinding)
    /// Nothing in this file or folder is missing or damaged here.
    case nothingNeeded(path: String)
  }

  private let store: Store
  private let actor: Actor
  private let clock: any WallClock

  package init(store: Store, actor: Actor, clock: any WallClock) {
    self.store = store
    self.actor = actor
    self.clock = clock
  }

  /// Sets aside what is damaged, adopts what stands in `blobs/` without a row, and takes content from
  /// `files` (files, or folders with files). `full` compares all content with its digest first.
  ///
  /// `report` gets each step when it is committed: what was done before a failure stays done. Throws
  /// `DocumentError.attachmentMissing` for a path that does not exist.
  package func run(files: [String], full: Bool, report: (Step) -> Void) throws {
    let now = clock.now
    let contents = store.contents
    // One act for the whole command, made by its first change.
    var act: Int64?
    for finding in try contents.contentFindings(full: full).damaged
    where finding.condition.isDamage {
      if try contents.setAside(finding.sha256, at: now, by: actor, act: &act) != nil {
        report(.setAside(finding))
      }
    }
    let lost = try contents.lostContent()
    let adopted = Set(try contents.adoptContent(at: now, by: actor, act: &act))
    for finding in lost where adopted.contains(finding.sha256) { report(.repaired(finding)) }
    for path in files {
      var isNeeded = false
      for file in try Self.files(at: path) {
        if let finding = try contents.repairContent(from: file, at: now, by: actor, act: &act) {
          isNeeded = true
          report(.repaired(finding))
        }
      }
      if !isNeeded { report(.nothingNeeded(path: path)) }
    }
  }

  /// The path itself, or what is in the folder, sorted.
  private static func files(at path: String) throws -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw DocumentError(.attachmentMissing, "file “\(path)”: does not exist")
    }
    guard isFolder.boolValue else { return [path] }
    let inside = FileManager.default.enumerator(atPath: path)?.allObjects ?? []
    return inside.compactMap { ($0 as? String).map { "\(path)/\($0)" } }.sorted()
  }
}

extension ContentFinding {
  /// The next step, by what the content belongs to.
  package var next: String {
    if case .denied = condition {
      return "Give it back to the user that runs congvan: sudo congvan check --repair"
    }
    if !condition.isDamage { return "Look at the disk of the folder blobs/: dmesg, df" }
    guard let place = places.first else { return "Nothing needs it: congvan check --repair" }
    let isIncoming = places.allSatisfy { $0.direction == "incoming" }
    if isStored {
      return isIncoming
        ? "Set it aside with: congvan check --repair; “\(place.sender)” then sends it again."
        : "Take in the original with: congvan check --repair FILE"
    }
    return isIncoming
      ? "Nothing: “\(place.sender)” sends it again after its next tally; sooner, or when it wrote "
        + "nothing for a month, ask it to run: congvan reconcile UNIT"
      : "Take in the original with: congvan check --repair FILE; then: congvan resend ID"
  }
}
