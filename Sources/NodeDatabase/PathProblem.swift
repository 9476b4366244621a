import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Why a path cannot be used: which part of it is to blame, whose it is, and the next step. Says only
/// what was looked at.
package struct PathProblem: Sendable {
  package enum Kind: Sendable { case missing, denied, other }

  package let kind: Kind
  /// `“/x/y”: permission denied: the folder “/x” belongs to congvan (mode 0700)`.
  package let reason: String
  /// Nil when there is nothing better to say than the code does.
  package let next: String?

  /// What keeps this process from reading the file or folder at `path`, or nil when nothing does.
  package static func reading(_ path: String) -> PathProblem? {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    if descriptor < 0 { return PathProblem(errno, path: path) }
    close(descriptor)
    return nil
  }

  /// As `reading`, for a path that has to be a regular file.
  package static func readingFile(_ path: String) -> PathProblem? {
    if let problem = reading(path) { return problem }
    var status = stat()
    guard stat(path, &status) == 0 else { return PathProblem(errno, path: path) }
    guard status.st_mode & S_IFMT != S_IFREG else { return nil }
    let what = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "a device, pipe or socket"
    return PathProblem(
      kind: .other, reason: "“\(path)”: is \(what), a file is expected", next: nil)
  }

  private init(kind: Kind, reason: String, next: String?) {
    self.kind = kind
    self.reason = reason
    self.next = next
  }

  /// `code` is the `errno` of the call that failed on `path`.
  package init(_ code: CInt, path: String) {
    let parts = Self.prefixes(of: path)
    switch code {
    case EACCES, EPERM: self = Self.denied(path, parts)
    case ENOENT: self = Self.missing(path, parts)
    case ENOTDIR:
      let file = parts.dropLast().first { Self.status($0).map { !$0.isFolder } == true }
      self.init(
        kind: .other, reason: "“\(path)”: “\(file ?? path)” is a file, not a folder",
        next: "Give the path of a folder there.")
    case ELOOP:
      self.init(
        kind: .other, reason: "“\(path)”: its symbolic links lead in a circle",
        next: "Correct the links: readlink -f “\(path)”")
    case ENAMETOOLONG:
      self.init(
        kind: .other,
        reason:
          "“\(path.prefix(80))…”: the path has \(path.utf8.count) bytes, more than the system allows",
        next: "Use a shorter path or a shorter file name (255 bytes at most).")
    default:
      self.init(kind: .other, reason: "“\(path)”: \(String(cString: strerror(code)))", next: nil)
    }
  }

  private static func denied(_ path: String, _ parts: [String]) -> PathProblem {
    // Search permission of a folder on the way, or the right to the file itself.
    let folder = parts.dropLast().first { faccessat(AT_FDCWD, $0, X_OK, AT_EACCESS) != 0 }
    let culprit = folder ?? path
    guard let status = status(culprit) else {
      return PathProblem(kind: .denied, reason: "“\(path)”: permission denied", next: nil)
    }
    let what = folder == nil && !status.isFolder ? "the file" : "the folder"
    let mode = String(status.st_mode & 0o7777, radix: 8)
    let owner = UserName.of(status.st_uid)
    let reason =
      "“\(path)”: permission denied: \(what) “\(culprit)” belongs to \(owner) (mode 0\(mode))"
    let me = geteuid()
    let next: String
    if status.st_uid == me {
      next = "Give its owner the right: chmod u+rwX “\(culprit)”"
    } else if status.st_uid == 0, status.isFolder {
      next =
        "Run the command as root (sudo), or give the node's folder to the user that runs congvan."
    } else if status.st_uid == 0 {
      next = "Give it to the user that runs congvan: sudo chown \(UserName.of(me)) “\(culprit)”"
    } else {
      next = "Run the command as that user: sudo -u \(owner) congvan …"
    }
    return PathProblem(kind: .denied, reason: reason, next: next)
  }

  private static func missing(_ path: String, _ parts: [String]) -> PathProblem {
    for part in parts {
      guard let link = link(part), status(part) == nil else { continue }
      return PathProblem(
        kind: .missing, reason: "“\(path)”: “\(part)” is a link to “\(link)”, which does not exist",
        next: "Correct the link, or mount what it leads to.")
    }
    let first = parts.first { status($0) == nil } ?? path
    let isRemote =
      path.contains("://") || path.hasPrefix("\\\\") || path.hasPrefix("//")
      || path.contains(/^[A-Za-z0-9._@-]+:/)
    return PathProblem(
      kind: .missing,
      reason: first == path
        ? "“\(path)” does not exist" : "“\(path)”: “\(first)” does not exist",
      next: isRemote
        ? "This looks like a place on another machine; congvan works with paths of this one." : nil)
  }

  /// `/a/b/c` → `/a`, `/a/b`, `/a/b/c`.
  private static func prefixes(of path: String) -> [String] {
    var parts: [String] = []
    var current = path.hasPrefix("/") ? "" : "."
    if !path.hasPrefix("/") { parts.append(".") } else { parts.append("/") }
    for name in path.split(separator: "/") {
      current = current == "." ? String(name) : "\(current)/\(name)"
      parts.append(current)
    }
    // The path as it was given, for comparisons.
    if let last = parts.last, last != path { parts[parts.count - 1] = path }
    return parts
  }

  private static func status(_ path: String) -> stat? {
    var status = stat()
    return stat(path, &status) == 0 ? status : nil
  }

  private static func link(_ path: String) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: path)
  }
}

extension stat {
  fileprivate var isFolder: Bool { st_mode & S_IFMT == S_IFDIR }
}

/// Users as people know them.
package enum UserName {
  /// The name of a user, or `uid 1234` when the system knows none.
  package static func of(_ uid: UInt32) -> String {
    getpwuid(uid).map { String(cString: $0.pointee.pw_name) } ?? "uid \(uid)"
  }
}
