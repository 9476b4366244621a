import ExchangeCore
import Foundation

/// File names and the judgement of formats. Input: a line with the name, then the file's beginning;
/// what follows a second `\n--\n` is its end.
enum AttachmentTarget {
  private static let separator = Data("\n--\n".utf8)
  private static let types: Set<String> = [
    "application/pdf", "image/png", "image/jpeg", "image/tiff", "application/zip", "text/plain",
    "text/csv", "application/xml",
  ]

  static func run(_ bytes: Data) {
    let line = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
    let name = String(decoding: bytes[..<line], as: UTF8.self)
    let rest = bytes[line...].dropFirst()
    let cut = rest.firstRange(of: separator)
    let head = rest[..<(cut?.lowerBound ?? rest.endIndex)]
    let tail = cut.map { rest[$0.upperBound...] } ?? head

    if (try? AttachmentRules.check(name: name)) != nil {
      require(isSafe(name), "unsafe file name “\(name)”")
    }
    guard let type = try? AttachmentRules.mediaType(name: name, head: head, tail: tail) else {
      return
    }
    require(isKnown(type), "unknown media type \(type)")
    require(
      (try? TextRules.check(type, field: "", maximum: 100)) != nil, "\(type) cannot be sent")
    let copies = try? AttachmentRules.mediaType(name: name, head: Data(head), tail: Data(tail))
    require(copies == type, "a slice is judged differently from a copy")
    // A PDF reader takes anything for the first kilobyte; nothing else may be a program.
    let isProgram = head.starts(with: Data("MZ".utf8)) || head.starts(with: Data("\u{7F}ELF".utf8))
    require(!isProgram || type == "application/pdf", "a program passes as \(type)")
    if type.hasPrefix("text/") || type == "application/xml" {
      require(!head.contains(0) && !tail.contains(0), "\(type) with a NUL")
    }
  }

  /// One component of a path on any system, fit to be shown.
  static func isSafe(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 255 && name != "." && name != ".."
      && (name as NSString).lastPathComponent == name && !name.contains("\\") && !name.contains(":")
      && !name.utf8.contains { $0 < 0x20 || $0 == 0x7F } && !name.contains("\u{202E}")
      && name.precomposedStringWithCanonicalMapping.utf8.elementsEqual(name.utf8)
  }

  private static func isKnown(_ type: String) -> Bool {
    types.contains(type) || type.hasPrefix("application/vnd.openxmlformats-officedocument.")
      || type.hasPrefix("application/vnd.oasis.opendocument.")
  }
}
