import ExchangeCore
import Foundation

/// File names and the judgement of formats. Input: a line with the name, then the file's beginning;
/// what follows a second `\n--\n` is its end.
enum AttachmentTarget {
  private static let separator = Data("\n--\n".utf8)
  private static let types: Set<String> = [
    "application/pdf", "image/png", "image/jpeg", "image/tiff", "application/zip", "text/plain",
    "text/csv", "application/xml", "application/msword", "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint", "application/rtf", "application/vnd.rar",
    "application/x-7z-compressed",
  ]

  static func run(_ bytes: Data) {
    let line = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
    let name = String(decoding: bytes[..<line], as: UTF8.self)
    let rest = bytes[line...].dropFirst()
    let cut = rest.firstRange(of: separator)
    let head = rest[..<(cut?.lowerBound ?? rest.endIndex)]
    let tail = cut.map { rest[$0.upperBound...] } ?? Data()
    // Between them zeros, so that the end is beyond the first page.
    let content = Data(head) + (cut == nil ? Data() : Data(count: 66_000)) + tail

    if (try? AttachmentRules.check(name: name)) != nil {
      require(isSafe(name), "unsafe file name “\(name)”")
    }
    guard let finding = try? AttachmentRules.examine(name: name, content: AttachmentBytes(content))
    else { return }
    let type = finding.mediaType
    require(isKnown(type), "unknown media type \(type)")
    require(
      (try? TextRules.check(type, field: "", maximum: 100)) != nil, "\(type) cannot be sent")
    let pieces = AttachmentBytes(size: Int64(content.count)) { offset, count in
      content.dropFirst(Int(offset)).prefix(count)
    }
    let again = try? AttachmentRules.examine(name: name, content: pieces)
    require(again == finding, "a file is judged differently the second time")
    let isProgram = head.starts(with: Data("MZ".utf8)) || head.starts(with: Data("\u{7F}ELF".utf8))
    require(!isProgram, "a program passes as \(type)")
    let isPlain = !head.starts(with: [0xFF, 0xFE]) && !head.starts(with: [0xFE, 0xFF])
    if type == "text/plain", isPlain, content.count % 2 == 1,
      !head.starts(with: [0, 0, 0xFE, 0xFF])
    {
      require(!content.prefix(65_536).contains(0), "\(type) with a NUL")
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
