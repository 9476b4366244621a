import ExchangeCore
import ExchangeStore
import Foundation
import NodeDatabase

#if canImport(Glibc)
  import Glibc
#endif

/// Whose a node folder is. The daemon runs as that user, and what another user makes in the folder
/// (content, the files of SQLite) has mode 0600: the daemon could not read it.
struct NodeOwner: Sendable, Equatable {
  let uid: UInt32
  let gid: UInt32

  var name: String { UserName.of(uid) }

  /// Who called the program; differs from the process's user after `become`.
  static let invoker = getuid()

  /// The owner of the node's database, or of the folder while there is none; nil without a folder.
  static func of(folder: String) -> NodeOwner? {
    var status = stat()
    // A link in the folder is its owner's, whatever it leads to.
    if lstat("\(folder)/\(DatabaseFile.name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG {
      return NodeOwner(uid: status.st_uid, gid: status.st_gid)
    }
    guard stat(folder, &status) == 0 else { return nil }
    return NodeOwner(uid: status.st_uid, gid: status.st_gid)
  }

  /// Whom the folder is meant for: its owner, unless that is root and the database is another user's.
  static func intended(folder: String) -> NodeOwner? {
    var status = stat()
    guard stat(folder, &status) == 0 else { return nil }
    return status.st_uid == 0
      ? of(folder: folder) : NodeOwner(uid: status.st_uid, gid: status.st_gid)
  }

  /// Called as root for a folder of another user, the program goes on as that user, so that all that
  /// it makes is the daemon's to read. For everybody else nothing changes.
  static func enter(folder: String) throws {
    _ = invoker
    guard geteuid() == 0, let owner = of(folder: folder) else { return }
    guard owner.uid != 0 else {
      if let intended = intended(folder: folder), intended.uid != 0 {
        // Not handed over here: who owns a folder can move any file of root into it that stands in
        // another folder of theirs, and no look at the file tells. `check --repair` does it by order.
        Console.note(
          "warning[MIXED-OWNERS]: “\(folder)” belongs to \(intended.name), its database to root; "
            + "this command runs as root, and what it makes belongs to root")
        Console.note(
          "  next: If the daemon runs as \(intended.name): \(handingOver(folder)); "
            + "if it runs as root: sudo chown root \(ShellWord.quoted(absolute(folder)))")
      }
      return
    }
    try owner.become()
  }

  /// The command, for a shell, that gives files of another user in the folder to its owner.
  static func handingOver(_ folder: String) -> String {
    "sudo congvan check --repair --dir \(ShellWord.quoted(absolute(folder)))"
  }

  private static func absolute(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.path
  }

  private func become() throws {
    let groups = getpwuid(uid).map { initgroups($0.pointee.pw_name, gid) }
    var group = gid
    guard groups ?? setgroups(1, &group) == 0, setgid(gid) == 0, setuid(uid) == 0
    else {
      throw ConfigError(
        .denied, "the node folder belongs to \(name), and root may not act as that user here",
        next: "Run the command as that user: sudo -u \(name) congvan …")
    }
  }

  /// Throws when this process is not the owner's: what it makes could not be read by the daemon.
  static func requireOwner(of folder: String) throws {
    guard let owner = of(folder: folder), owner.uid != geteuid() else { return }
    // The own folder with a database that somebody else put there: opening it says whose it is.
    if intended(folder: folder)?.uid == geteuid() { return }
    throw ConfigError(
      .denied,
      "“\(folder)”: belongs to \(owner.name), this command runs as \(UserName.of(geteuid())); "
        + "the daemon could not read what it makes",
      next: "Run the command as that user: sudo -u \(owner.name) congvan …")
  }
}

/// Text that a person copies into a shell.
enum ShellWord {
  /// `text` as one word of a POSIX shell; as it is where nothing in it means anything to one.
  static func quoted(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"):
        true
      default: "/._-+@:,".utf8.contains(byte)
      }
    }
    return plain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
  }
}

/// A file of the node that the user who runs the daemon may not use.
struct ForeignFile {
  let path: String
  let owner: UInt32
  let mode: UInt32

  var reason: String {
    "“\(path)” belongs to \(UserName.of(owner)) (mode 0\(String(mode, radix: 8)))"
  }
}

/// Looks at what congvan itself makes in a node folder: is it all usable for the folder's owner?
struct OwnershipCheck {
  let folder: String
  let owner: NodeOwner

  init?(folder: String) {
    guard let owner = NodeOwner.intended(folder: folder) else { return nil }
    self.folder = folder
    self.owner = owner
  }

  private static let files = [
    "congvan.db", "congvan.db-wal", "congvan.db-shm", "node.lock", "content.lock", "resend.lock",
  ]
  private static let folders = ["blobs", "spool", "tmp", "damaged"]

  /// What the owner may not read and write. With `repair` (as root) it is given to the owner; `given`
  /// is what was, `left` what still is so.
  func run(repair: Bool) -> (left: [ForeignFile], given: [ForeignFile]) {
    let found = look(repair: repair)
    guard repair, !found.isEmpty else { return (found, []) }
    let left = look(repair: false)
    return (left, found.filter { was in !left.contains { $0.path == was.path } })
  }

  private func look(repair: Bool) -> [ForeignFile] {
    var found: [ForeignFile] = []
    let root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard root >= 0 else { return [] }
    defer { close(root) }
    for name in Self.files + Self.folders { look(at: name, in: root, folder, repair, &found) }
    return found
  }

  /// Names are looked up from the open folder and links are not followed: the folder is another
  /// user's, who may change it meanwhile.
  private func look(
    at name: String, in parent: CInt, _ parentPath: String, _ repair: Bool,
    _ found: inout [ForeignFile]
  ) {
    var status = stat()
    guard fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG || kind == S_IFDIR else { return }
    let path = "\(parentPath)/\(name)"
    if !isUsable(status) {
      found.append(ForeignFile(path: path, owner: status.st_uid, mode: status.st_mode & 0o7777))
      if repair { give(name, in: parent, status) }
    }
    guard kind == S_IFDIR else { return }
    let inside = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard inside >= 0, let entries = fdopendir(inside) else { return }
    defer { closedir(entries) }
    while let entry = readdir(entries) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard name != ".", name != ".." else { continue }
      look(at: name, in: dirfd(entries), path, repair, &found)
    }
  }

  private func isUsable(_ status: stat) -> Bool {
    let needed: UInt32 = status.st_mode & S_IFMT == S_IFDIR ? 0o7 : 0o6
    let shift: UInt32 =
      status.st_uid == owner.uid ? 6 : status.st_gid == owner.gid ? 3 : 0
    return (status.st_mode >> shift) & needed == needed
  }

  /// A file with several names may be somebody else's by its other name: it is left alone.
  private func give(_ name: String, in parent: CInt, _ seen: stat) {
    guard geteuid() == 0 else { return }
    let file = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { return }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_ino == seen.st_ino,
      status.st_mode & S_IFMT == S_IFDIR || status.st_nlink == 1
    else { return }
    _ = fchown(file, owner.uid, owner.gid)
    _ = fchmod(
      file, (status.st_mode & 0o777) | (status.st_mode & S_IFMT == S_IFDIR ? 0o700 : 0o600))
  }
}
