import Foundation
import Glibc
import Testing

/// Paths that cannot be used, each with its cause and its way out.
@Suite struct PathTests {
  @Test(arguments: [
    ("file/node", "is a file, not a folder", "CONFIG-UNREADABLE"),
    ("file", "is a file, not a folder", "CONFIG-UNREADABLE"),
    ("nowhere/node", "nowhere” does not exist", "CONFIG-MISSING"),
    ("dangling", "is a link to “/nowhere/else”, which does not exist", "CONFIG-MISSING"),
    ("circle", "lead in a circle", "CONFIG-UNREADABLE"),
    ("empty", "congvan.yaml” does not exist", "CONFIG-MISSING"),
    ("folder-as-file", "is a folder, a file is expected", "CONFIG-UNREADABLE"),
    (String(repeating: "a", count: 300), "more than the system allows", "CONFIG-UNREADABLE"),
  ])
  func aNodeFolderThatIsNone(_ name: String, words: String, code: String) async throws {
    let folder = try CleanUp.folder("paths")
    try Data().write(to: URL(filePath: "\(folder)/file"))
    symlink("/nowhere/else", "\(folder)/dangling")
    symlink("circle", "\(folder)/circle")
    mkdir("\(folder)/empty", 0o700)
    mkdir("\(folder)/folder-as-file", 0o700)
    mkdir("\(folder)/folder-as-file/congvan.yaml", 0o700)
    let result = try await Command.run(Places.congvan, ["inbox", "--dir", "\(folder)/\(name)"])
    #expect(result.failure == code, "\(result)")
    #expect(result.errors.contains(words), "\(result)")
  }

  @Test(arguments: ["may-chu:/var/lib/congvan", "smb://may-chu/congvan", #"\\may-chu\congvan"#])
  func aPlaceOnAnotherMachineIsRecognised(_ path: String) async throws {
    let result = try await Command.run(Places.congvan, ["inbox", "--dir", path])
    #expect(result.failure == "CONFIG-MISSING" && result.errors.contains("another machine"))
  }

  @Test func aMissingDatabaseIsSaid() async throws {
    let office = try await Office()
    unlink("\(office.node.path)/congvan.db")
    let result = try await office.node.congvan(["inbox"])
    #expect(
      result.failure == "STORE-MISSING" && result.errors.contains("congvan.db” does not exist"))
  }
}

/// What several users do with one node folder. Without root there are no several users.
@Suite(.enabled(if: geteuid() == 0, "only root can act as other users"))
struct AccessTests {
  private static let owner = 65_534
  private static let stranger = 65_533

  private static func run(as user: Int, _ office: Office, _ arguments: [String]) async throws
    -> CommandResult
  {
    try await Command.run(
      "/usr/bin/setpriv",
      ["--reuid=\(user)", "--regid=\(user)", "--clear-groups", Places.congvan] + arguments
        + ["--dir", office.node.path])
  }

  /// An office whose node folder is another user's, in a place that everybody can reach.
  private static func office() async throws -> Office {
    let office = try await Office()
    chmod(CleanUp.shared.folder, 0o711)
    chmod(office.folder, 0o711)
    try await Command.require("/usr/bin/chown", ["-R", "\(owner):\(owner)", office.node.path])
    let probe = try await Command.run(
      "/usr/bin/setpriv",
      ["--reuid=\(owner)", "--regid=\(owner)", "--clear-groups", Places.congvan, "--version"])
    try #require(probe.status == 0, "the program itself is out of reach of other users: \(probe)")
    return office
  }

  private static func foreign(_ office: Office) async throws -> String {
    try await Command.require("/usr/bin/find", [office.node.path, "-not", "-uid", "\(owner)"])
  }

  private func large(_ office: Office) throws -> String {
    try office.write(
      "%PDF-1.7\n" + String(repeating: "x", count: 700_000), as: "lớn.pdf", mode: 0o644)
  }

  @Test func rootActsAsTheOwnerOfTheFolder() async throws {
    let office = try await Self.office()
    let sent = try await office.node.congvan(
      try office.sendArguments(files: [try large(office)]))
    #expect(sent.status == 0, "\(sent)")
    for command in [
      ["check", "--full"], ["outbox"], ["reconcile"], ["config", "check", "--offline"],
    ] {
      _ = try await office.node.congvan(command)
    }
    #expect(try await Self.foreign(office).isEmpty)
    let check = try await Self.run(as: Self.owner, office, ["check", "--full"])
    #expect(check.status == 0, "\(check)")
    let id = sent.output.trimmingCharacters(in: .whitespacesAndNewlines)
    let history = try Shape.object(try await office.node.require("show", id, "--json"))
    #expect(history.members("history").first?["actor"] as? String == "root")
  }

  @Test(arguments: [0o700, 0o755, 0o777]) func anotherUserIsToldWhoToBe(_ mode: Int) async throws {
    let office = try await Self.office()
    chmod(office.node.path, mode_t(mode))
    if mode != 0o700 { chmod("\(office.node.path)/congvan.yaml", 0o644) }
    for command in [["inbox"], ["outbox"], ["check"], try office.sendArguments()] {
      let result = try await Self.run(as: Self.stranger, office, command)
      #expect(result.failure == "PERMISSION-DENIED", "\(command): \(result)")
      #expect(result.errors.contains("next: Run the command as that user: sudo -u nobody congvan"))
    }
    #expect(try await Self.foreign(office).isEmpty)
  }

  /// What root left behind before it acted as the owner.
  @Test func filesOfRootAreFoundAndGivenBack() async throws {
    let office = try await Self.office()
    let sent = try await office.node.congvan(
      try office.sendArguments(files: [try large(office)]))
    let id = sent.output.trimmingCharacters(in: .whitespacesAndNewlines)
    let blob = try #require(office.node.files(in: "blobs").first { $0.contains("/") })
    let folder = "\(office.node.path)/blobs/\(blob.prefix(2))"
    try await Command.require("/usr/bin/chown", ["-R", "0:0", folder])
    let user = try await Self.run(as: Self.owner, office, ["check"])
    #expect(user.status == 1 && user.output.contains("[PERMISSION-DENIED]"), "\(user)")
    #expect(!user.output.contains("is missing"), "\(user)")
    let export = try await Self.run(
      as: Self.owner, office, ["export", id, "--out", "\(office.node.path)/out"])
    #expect(export.failure == "PERMISSION-DENIED", "\(export)")
    let root = try await office.node.congvan(["check", "--json"])
    #expect(root.status == 1)
    let access = try Shape.object(root.output).members("access")
    #expect(
      access.compactMap { $0["path"] as? String }.sorted() == [
        folder, "\(office.node.path)/blobs/\(blob)",
      ])
    #expect(access.allSatisfy { $0["owner"] as? String == "root" })
    let repair = try await office.node.congvan(["check", "--repair"])
    #expect(repair.status == 0 && repair.output.contains("given to nobody"), "\(repair)")
    #expect(try await Self.foreign(office).isEmpty)
    let healed = try await Self.run(as: Self.owner, office, ["check", "--full"])
    #expect(healed.status == 0, "\(healed)")
  }

  /// Root's database in a user's folder: what it is, is not known, so nothing is handed over unasked; the
  /// command that does it is named for the shell as it must be typed.
  @Test func aDatabaseOfRootInTheFolderOfAUserIsHandedOverByOrderOnly() async throws {
    let first = try await Self.office()
    let path = "\(first.folder)/nút 'một'"
    try FileManager.default.moveItem(atPath: first.node.path, toPath: path)
    let node = NodeFolder(unit: first.node.unit, path: path)
    chown("\(path)/congvan.db", 0, 0)
    let listing = try await node.congvan(["inbox"])
    #expect(listing.status == 0, "\(listing)")
    #expect(
      listing.errors.hasPrefix(
        "warning[MIXED-OWNERS]: “\(path)” belongs to nobody, its database to root;"),
      "\(listing)")
    var status = stat()
    #expect(stat("\(path)/congvan.db", &status) == 0 && status.st_uid == 0)
    let command = try #require(
      listing.errors.firstMatch(of: /If the daemon runs as nobody: sudo congvan (.+); if it runs/))
    let repair = try await Command.run(
      "/bin/bash", ["-c", "exec \(Places.congvan) \(command.1)"])
    #expect(repair.status == 0, "\(repair)")
    #expect(repair.output.contains("given to nobody  \(path)/congvan.db\n"), "\(repair)")
    #expect(stat("\(path)/congvan.db", &status) == 0 && status.st_uid == Self.owner)
    let again = try await node.congvan(["inbox"])
    #expect(again.status == 0 && again.errors.isEmpty, "\(again)")
    let others = try await Command.require(
      "/usr/bin/find", [path, "-not", "-uid", "\(Self.owner)"])
    #expect(others.isEmpty, "\(others)")
  }

  /// A file with a second name may be anybody's: it is named and not given away.
  @Test func aFileWithTwoNamesIsNotGivenAway() async throws {
    let office = try await Self.office()
    let secret = try office.write("bí mật", as: "secret", mode: 0o600)
    link(secret, "\(office.node.path)/tmp/x")
    symlink(secret, "\(office.node.path)/tmp/y")
    let repair = try await office.node.congvan(["check", "--repair"])
    #expect(repair.status == 1, "\(repair)")
    var status = stat()
    #expect(stat(secret, &status) == 0 && status.st_uid == 0 && status.st_mode & 0o777 == 0o600)
  }

  @Test(arguments: [
    ("congvan.yaml", 0o600, ["units"]), ("congvan.db", 0o600, ["inbox"]),
    ("content.lock", 0o600, ["send"]), ("node.lock", 0o600, ["node", "--until-idle"]),
    ("blobs", 0o700, ["check"]), ("tmp", 0o700, ["send"]), ("unit.key", 0o600, ["send"]),
    ("directory.json", 0o600, ["units"]), ("ca.crt", 0o600, ["send"]),
  ])
  func aFileOfRootInTheFolderIsNamed(_ name: String, mode: Int, command: [String]) async throws {
    let office = try await Self.office()
    let file = "\(office.node.path)/\(name)"
    if !FileManager.default.fileExists(atPath: file) {
      try Data().write(to: URL(filePath: file))
    }
    chown(file, 0, 0)
    chmod(file, mode_t(mode))
    let arguments =
      command == ["send"] ? try office.sendArguments(files: [try large(office)]) : command
    let result = try await Self.run(as: Self.owner, office, arguments)
    #expect(result.status == 1, "\(result)")
    let said = (result.errors + result.output).lowercased()
    #expect(said.contains(/permission.denied/) && said.contains("belongs to root"), "\(result)")
    #expect(said.contains(name) && !said.contains("does not exist"), "\(result)")
  }

  @Test(arguments: [("congvan.db", 0o400), ("congvan.yaml", 0o200)])
  func anOwnFileWithoutTheRightIsNamed(_ name: String, mode: Int) async throws {
    let office = try await Self.office()
    chmod("\(office.node.path)/\(name)", mode_t(mode))
    let result = try await Self.run(as: Self.owner, office, try office.sendArguments())
    #expect(result.failure == "PERMISSION-DENIED", "\(result)")
    #expect(result.errors.contains("chmod u+rw"), "\(result)")
  }
}
