import ArgumentParser
import ExchangeCore
import ExchangeStore
import Foundation
import NodeOperations

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
    var report = CheckReport(
      owner: ownership?.owner.name ?? "?", full: full, foreign: foreign, given: given)
    for file in given { Output.hasDone("“\(file.path)” is given to \(report.owner)") }
    do {
      report.next =
        "Give it to \(report.owner), who owns the folder: "
        + NodeOwner.handingOver(try folder.path)
      let store = try folder.assembly().store()
      if repair { try repair(store, &report) }
      report.database = try store.contents.databaseFindings(full: full)
      let (looked, damaged, lost) = try store.contents.contentFindings(full: full)
      report.found = (looked, damaged, lost)
    } catch {
      // What was done before is done all the same.
      if json { report.print(failure: error) } else { report.printDone() }
      Output.hasReported()
      throw error
    }
    if json { report.print(failure: nil) } else { report.print() }
    if !report.isSound { throw ExitCode(1) }
  }

  private func repair(_ store: Store, _ report: inout CheckReport) throws {
    let repair = RepairContent(store: store, actor: Assembly.actor, clock: SystemClock())
    try repair.run(files: files, full: full) { step in
      switch step {
      case .setAside(let finding):
        report.setAside.append(finding)
        Output.hasDone("content \(finding.sha256) is set aside")
      case .repaired(let finding): report.take(finding)
      case .nothingNeeded(let path):
        Console.note("“\(path)”: nothing of it is missing or damaged here")
      }
    }
  }
}
