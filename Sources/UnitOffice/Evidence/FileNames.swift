import ExchangeCore
import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Names as file systems have them. macOS and some ZIP programs take Vietnamese letters apart (NFD), and
/// old archives bring names in TCVN3 that are no UTF-8 at all.
enum FileNames {
  /// The path of an existing file or folder that `path` names, whatever Unicode form the names on the
  /// disk have. Throws a `DocumentError` that tells a missing file from one whose name cannot be typed.
  static func resolve(_ path: String, what: String = "file") throws -> String {
    if exists(path) { return path }
    var found = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/").map(String.init) {
      if exists(found + part) {
        found += part + "/"
        continue
      }
      let isForbidden = errno == EACCES
      let folder = found.isEmpty ? "." : found
      let names = list(folder)
      let same = names.compactMap(\.text).filter { $0 == part }
      if same.count == 1 {
        found += same[0] + "/"
        continue
      }
      if names.contains(where: { $0.text == nil && $0.shown == part }) {
        throw DocumentError(
          .attachmentName, "\(what) “\(part)”: its name is not UTF-8 but in an older encoding",
          next: "Rename it, with mv or for many with: convmv -f cp1258 -t utf8 --notest …")
      }
      guard !isForbidden else {
        throw DocumentError(.attachmentUnreadable, "\(what) “\(path)”: permission denied")
      }
      throw DocumentError(
        .attachmentMissing,
        part.unicodeScalars.contains("\u{FFFD}")
          ? "\(what) “\(path)”: does not exist, and its name is not UTF-8"
          : "\(what) “\(path)”: does not exist")
    }
    // A slash after a file's name.
    guard !found.isEmpty, exists(String(found.dropLast())) else {
      throw DocumentError(.attachmentMissing, "\(what) “\(path)”: does not exist")
    }
    return String(found.dropLast())
  }

  /// One name of a folder.
  struct Name {
    /// Nil when the bytes are no UTF-8.
    let text: String?
    /// With U+FFFD for what is none, as the system hands over arguments.
    let shown: String
  }

  /// Names in `folder`, in no order; none when it cannot be read.
  static func list(_ folder: String) -> [Name] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [Name] = []
    while let entry = readdir(directory) {
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      let shown = String(decoding: bytes, as: UTF8.self)
      names.append(Name(text: shown.utf8.elementsEqual(bytes) ? shown : nil, shown: shown))
    }
    return names.filter { $0.shown != "." && $0.shown != ".." }
  }

  /// Follows links; sets `errno`.
  private static func exists(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0
  }
}
