import ExchangeCore
import ExchangeNode
import ExchangeStore
import NodeDatabase
import NodeOperations

/// What `check` did and found, so far as it came: it is shown also when a later step fails.
struct CheckReport {
  /// Whose the node folder is, as a user's name.
  let owner: String
  let full: Bool
  /// Files of another user that are left.
  let foreign: [ForeignFile]
  /// Files that were given to the owner.
  let given: [ForeignFile]
  /// What to do about files of another user.
  var next = ""
  var setAside: [ContentFinding] = []
  var repaired: [ContentFinding] = []
  /// Nil until they were looked for.
  var database: [String]?
  var found: (looked: Int, damaged: [ContentFinding], lost: [ContentFinding])?

  init(owner: String, full: Bool, foreign: [ForeignFile], given: [ForeignFile]) {
    self.owner = owner
    self.full = full
    self.foreign = foreign
    self.given = given
  }

  mutating func take(_ finding: ContentFinding) {
    repaired.append(finding)
    Output.hasDone("content \(finding.sha256) is taken in")
  }

  /// False also when not everything was looked at.
  var isSound: Bool { database?.isEmpty == true && findings?.isEmpty == true && foreign.isEmpty }

  private var findings: [ContentFinding]? { found.map { $0.damaged + $0.lost } }

  /// Members about what was not looked at before the failure are null.
  func print(failure: (any Error)?) {
    let damage = database.map { findings in
      JSON.array(
        findings.map {
          .object([
            "code": .string(StoreErrorCode.corrupt.rawValue), "detail": .string($0),
            "next": .string(StoreErrorCode.corrupt.hint),
          ])
        })
    }
    let access = foreign.map { file in
      JSON.object([
        "code": .string(StoreErrorCode.denied.rawValue), "path": .string(file.path),
        "owner": .string(UserName.of(file.owner)), "detail": .string(file.reason),
        "next": .string(next),
      ])
    }
    let sound: JSON = failure == nil ? .bool(isSound) : .null
    let contents = found.map { JSON.integer(Int64($0.looked)) }
    let findings = findings.map { JSON.array($0.map(\.json)) }
    let problem = failure.map { Explanation($0).json }
    Console.print(
      .object([
        "sound": sound, "full": .bool(full), "contents": contents ?? .null,
        "database": damage ?? .null, "access": .array(access),
        "given": .array(given.map { .string($0.path) }), "findings": findings ?? .null,
        "setAside": .array(setAside.map { .string($0.sha256.hex) }),
        "repaired": .array(repaired.map(\.json)), "error": problem ?? .null,
      ]))
  }

  /// What was done, for a person, when the command does not come to its findings.
  func printDone() {
    for finding in setAside { Console.print("set aside  \(finding.sha256)  \(finding.names)") }
    printRepaired()
  }

  private func printRepaired() {
    for finding in repaired { Console.print("taken in  \(finding.sha256)  \(finding.names)") }
    for file in given { Console.print("given to \(owner)  \(file.path)") }
  }

  /// Everything, for a person.
  func print() {
    guard let database, let found, let findings else { return }
    printRepaired()
    for file in foreign {
      Console.print("FAIL  [\(StoreErrorCode.denied.rawValue)] \(file.reason)")
      Console.print("      next: \(next)")
    }
    for finding in database {
      Console.print("FAIL  [\(StoreErrorCode.corrupt.rawValue)] \(finding)")
      Console.print("      next: \(StoreErrorCode.corrupt.hint)")
    }
    for finding in findings {
      Console.print("FAIL  [\(finding.code)] content \(finding.sha256) \(finding.condition.text)")
      for place in finding.places {
        Console.print("      \(place.direction) \(place.document)  “\(place.name)”")
      }
      Console.print("      next: \(finding.next)")
    }
    Console.print(
      isSound
        ? "ok    database, \(found.looked) contents\(full ? ", all read" : "")"
        : "\(database.count) findings in the database, \(findings.count) of \(found.looked) contents"
          + (foreign.isEmpty ? "" : ", \(foreign.count) files of another user"))
    if ContentScrubber.isMassive(found.damaged.count, of: found.looked) {
      Console.print("      Most likely the folder blobs/ is not complete: restore it first.")
    }
  }
}

extension ContentFinding {
  var names: String {
    places.map { "\($0.document) “\($0.name)”" }.joined(separator: ", ")
  }

  var json: JSON {
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
