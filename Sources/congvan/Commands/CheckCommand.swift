import ArgumentParser
import ExchangeCore
import ExchangeNode
import ExchangeStore
import Foundation

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check the database and the stored content for damage, and repair it.",
    discussion: """
      Looks whether the database is sound and every content file is there with its size; --full also \
      compares all content with its digest. The exit status is 1 when something is damaged.

      --repair sets damaged content aside, so that the sender of an incoming document sends it again \
      after its next tally, and takes in FILE…, or what is in a folder such as a restored blobs/, \
      when it is content that is damaged or missing here.
      """)

  @Argument(help: "With --repair: files, or folders with files, to take content from.")
  var files: [String] = []
  @Flag(help: "Read all content and compare it with its digest.") var full = false
  @Flag(help: "Set aside what is damaged, and take in content from the files.") var repair = false
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func validate() throws {
    guard files.isEmpty || repair else { throw ValidationError("Files need --repair.") }
  }

  func run() throws {
    // Before this process becomes the folder's owner: only root can look everywhere and give back.
    let ownership = OwnershipCheck(folder: try folder.path)
    let (foreign, given) = ownership?.run(repair: repair) ?? ([], [])
    let owner = ownership?.owner.name ?? "?"
    for file in given { Output.hasDone("“\(file.path)” is given to \(owner)") }
    let assembly = try folder.assembly()
    let store = try assembly.store()
    var repaired: [ContentFinding] = []
    if repair {
      repaired = try repair(store)
      if !repaired.isEmpty { Output.hasDone("\(repaired.count) contents are taken in") }
    }
    let database = try store.databaseFindings(full: full)
    let (looked, damaged, lost) = try store.contentFindings(full: full)
    let findings = damaged + lost
    let isSound = database.isEmpty && findings.isEmpty && foreign.isEmpty
    let next =
      "Give it to \(owner), who owns the folder: sudo congvan check --repair --dir "
      + assembly.settings.folder
    if json {
      Console.print(
        .object([
          "sound": .bool(isSound), "full": .bool(full), "contents": .integer(Int64(looked)),
          "database": .array(
            database.map {
              .object([
                "code": .string(StoreErrorCode.corrupt.rawValue), "detail": .string($0),
                "next": .string(StoreErrorCode.corrupt.hint),
              ])
            }),
          "access": .array(
            foreign.map {
              .object([
                "code": .string(StoreErrorCode.denied.rawValue), "path": .string($0.path),
                "owner": .string(UserName.of($0.owner)), "detail": .string($0.reason),
                "next": .string(next),
              ])
            }),
          "given": .array(given.map { .string($0.path) }),
          "findings": .array(findings.map(\.json)), "repaired": .array(repaired.map(\.json)),
        ]))
    } else {
      for finding in repaired { Console.print("taken in  \(finding.sha256)  \(finding.names)") }
      for file in given { Console.print("given to \(owner)  \(file.path)") }
      for file in foreign {
        Console.print("FAIL  [\(StoreErrorCode.denied.rawValue)] \(file.reason)")
        Console.print("      next: \(next)")
      }
      for finding in database {
        Console.print("FAIL  [\(StoreErrorCode.corrupt.rawValue)] \(finding)")
        Console.print("      next: \(StoreErrorCode.corrupt.hint)")
      }
      for finding in findings {
        Console.print(
          "FAIL  [\(finding.code)] content \(finding.sha256) \(finding.condition.text)")
        for place in finding.places {
          Console.print("      \(place.direction) \(place.document)  “\(place.name)”")
        }
        Console.print("      next: \(finding.next)")
      }
      Console.print(
        isSound
          ? "ok    database, \(looked) contents\(full ? ", all read" : "")"
          : "\(database.count) findings in the database, \(findings.count) of \(looked) contents"
            + (foreign.isEmpty ? "" : ", \(foreign.count) files of another user"))
      if ContentCare.isMassive(damaged.count, of: looked) {
        Console.print("      Most likely the folder blobs/ is not complete: restore it first.")
      }
    }
    if !isSound { throw ExitCode(1) }
  }

  /// Sets aside what is damaged and takes in what the files have of it.
  private func repair(_ store: Store) throws -> [ContentFinding] {
    let (now, actor) = (SystemClock().now, Assembly.actor)
    // One act for the whole command, made by its first change.
    var act: Int64?
    for finding in try store.contentFindings(full: full).damaged
    where finding.condition.isDamage {
      _ = try store.setAside(finding.sha256, at: now, by: actor, act: &act)
    }
    let lost = try store.lostContent()
    let adopted = Set(try store.adoptContent(at: now, by: actor, act: &act))
    var repaired = lost.filter { adopted.contains($0.sha256) }
    for path in files {
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw DocumentError(.attachmentMissing, "file “\(path)”: does not exist")
      }
      var paths = [path]
      if isFolder.boolValue {
        let inside = FileManager.default.enumerator(atPath: path)?.allObjects ?? []
        paths = inside.compactMap { ($0 as? String).map { "\(path)/\($0)" } }.sorted()
      }
      var found: [ContentFinding] = []
      for path in paths {
        if let finding = try store.repairContent(from: path, at: now, by: actor, act: &act) {
          found.append(finding)
        }
      }
      if found.isEmpty { Console.note("“\(path)”: nothing of it is missing or damaged here") }
      repaired += found
    }
    return repaired
  }
}

extension ContentFinding {
  var names: String {
    places.map { "\($0.document) “\($0.name)”" }.joined(separator: ", ")
  }

  /// The next step, by what the content belongs to.
  fileprivate var next: String {
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

  fileprivate var json: JSON {
    .object([
      "code": .string(code), "detail": .string(condition.text), "next": .string(next),
      "sha256": .string(sha256.hex), "size": .integer(size), "setAside": .bool(!isStored),
      "documents": .array(
        places.map { place in
          .object([
            "id": .string(place.document.rawValue), "direction": .string(place.direction),
            "from": .string(place.sender.rawValue), "name": .string(place.name),
          ])
        }),
    ])
  }
}
