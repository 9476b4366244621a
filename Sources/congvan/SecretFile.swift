import DocumentSigning
import ExchangeCore
import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Files that only this user may read: keys, pass phrases, passwords. A link to such a file is one, too
/// (certbot, Kubernetes and systemd give secrets so): what counts is the file that is read.
enum SecretFile {
  /// The text of the file at `path` without line breaks at its ends; `name` is the key or option that
  /// names it.
  static func read(_ path: String, named name: String) throws -> String {
    let file = try open(path, named: name)
    guard let data = try? file.handle.readToEnd() ?? Data() else {
      throw ConfigError(.secretUnreadable, "\(name): “\(path)” cannot be read")
    }
    guard let text = String(validating: data, as: UTF8.self), !data.contains(0) else {
      throw ConfigError(
        .secretUnreadable, "\(name): “\(path)” is not UTF-8 text",
        next: "Save the file as UTF-8, with nothing in it but the secret.")
    }
    let mark = text.hasPrefix("\u{FEFF}") ? 1 : 0
    return String(text.unicodeScalars.dropFirst(mark)).trimmingCharacters(in: .newlines)
  }

  /// Throws when others may read the file at `path`. One that cannot be opened is for its reader to
  /// report, who knows what it is for.
  static func check(_ path: String, named name: String) throws {
    guard let file = try? OpenFile(path) else { return }
    try requirePrivate(file, path: path, named: name)
  }

  private static func open(_ path: String, named name: String) throws -> OpenFile {
    let file: OpenFile
    do throws(OpenFile.Problem) {
      file = try OpenFile(path)
    } catch {
      throw ConfigError(
        .secretUnreadable, "\(name): “\(path)” \(error.reason)", next: error.next)
    }
    try requirePrivate(file, path: path, named: name)
    return file
  }

  private static func requirePrivate(_ file: OpenFile, path: String, named name: String) throws {
    let real = realpath(path)
    let place = real == path ? "“\(path)”" : "“\(path)”, which is “\(real)”,"
    guard file.owner == 0 || file.owner == geteuid() else {
      throw ConfigError(
        .secretExposed,
        "\(name): \(place) belongs to user \(file.owner), not to this user (\(geteuid())) or root",
        next: "Give the file to the user of the node's daemon, and keep it private: "
          + "chown \(geteuid()) \(quoted(real)) && chmod 600 \(quoted(real))")
    }
    let exposed = file.mode & 0o077
    // systemd gives the service's user the right to read by an ACL, which shows as the group's.
    let isCredential = file.owner == 0 && exposed == 0o040 && isInCredentials(real)
    guard exposed == 0 || isCredential else {
      throw ConfigError(
        .secretExposed,
        "\(name): \(place) may be read or changed by other users (mode "
          + "0\(String(file.mode & 0o777, radix: 8)))",
        next: "Make the file private: chmod 600 \(quoted(real))")
    }
  }

  private static func isInCredentials(_ path: String) -> Bool {
    guard let folder = ProcessInfo.processInfo.environment["CREDENTIALS_DIRECTORY"],
      folder.hasPrefix("/")
    else { return false }
    return path.hasPrefix(realpath(folder) + "/")
  }

  private static func realpath(_ path: String) -> String {
    guard let real = Glibc.realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  private static func quoted(_ path: String) -> String {
    "'" + path.replacing("'", with: "'\\''") + "'"
  }
}
