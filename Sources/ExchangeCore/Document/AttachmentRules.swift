package import Foundation

/// Rules for file names and formats.
package enum AttachmentRules {
  /// A name is 1 to 255 bytes of NFC text without `/`, `\`, control characters or the meaning of a
  /// path. It is shown and exported, never used as a path as it stands.
  package static func check(name: String) throws(DocumentError) {
    let shown = name.prefix(60)
    guard !name.isEmpty, name.utf8.count <= WireLimits.fileNameBytes else {
      throw DocumentError(
        .attachmentName, "file name: “\(shown)” has \(name.utf8.count) bytes, 1 to 255 are allowed")
    }
    guard !name.unicodeScalars.contains(where: { "/\\:*?\"<>|".unicodeScalars.contains($0) }) else {
      throw DocumentError(
        .attachmentName, "file name: “\(shown)” has one of the characters / \\ : * ? \" < > |")
    }
    guard !name.unicodeScalars.contains(where: TextRules.isHarmful) else {
      throw DocumentError(.attachmentName, "file name: has a control or text-direction character")
    }
    guard name != ".", name != "..", !name.hasPrefix(" "), !name.hasSuffix(" "),
      !name.hasSuffix(".")
    else {
      throw DocumentError(
        .attachmentName, "file name: “\(shown)” is a path, or begins or ends with a space or dot")
    }
    guard TextRules.isNFC(name) else {
      throw DocumentError(.attachmentName, "file name: “\(shown)” is not in Unicode form NFC")
    }
  }

  /// The media type of a file, judged by its first and last bytes (up to 64 KiB each) and required
  /// to agree with the extension of `name`. Throws `.attachmentFormat` otherwise.
  package static func mediaType(name: String, head: Data, tail: Data) throws(DocumentError)
    -> String
  {
    let fileExtension =
      name.split(separator: ".", omittingEmptySubsequences: false).dropFirst()
      .last?.lowercased() ?? ""
    guard let format = formats.first(where: { $0.extensions.contains(fileExtension) }) else {
      throw DocumentError(
        .attachmentFormat, "file “\(name)”: the extension “\(fileExtension)” is not allowed")
    }
    guard format.matches(head, tail) else {
      throw DocumentError(
        .attachmentFormat,
        "file “\(name)”: the content is not \(fileExtension.uppercased()) although the name says so"
      )
    }
    return format.mediaType
  }

  private struct Format: Sendable {
    let extensions: [String]
    let mediaType: String
    let matches: @Sendable (_ head: Data, _ tail: Data) -> Bool
  }

  private static let openDocument = "application/vnd.oasis.opendocument."
  private static let openXML = "application/vnd.openxmlformats-officedocument."

  private static let formats: [Format] = [
    Format(extensions: ["pdf"], mediaType: "application/pdf") { head, _ in
      // Readers accept the mark anywhere in the first kilobyte (ISO 32000-1, Annex H).
      head.prefix(1024).firstRange(of: Data("%PDF-".utf8)) != nil
    },
    Format(extensions: ["png"], mediaType: "image/png") { head, _ in
      head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
    },
    Format(extensions: ["jpg", "jpeg"], mediaType: "image/jpeg") { head, _ in
      head.starts(with: [0xFF, 0xD8, 0xFF])
    },
    Format(extensions: ["tif", "tiff"], mediaType: "image/tiff") { head, _ in
      head.starts(with: [0x49, 0x49, 0x2A, 0]) || head.starts(with: [0x4D, 0x4D, 0, 0x2A])
    },
    Format(extensions: ["docx"], mediaType: openXML + "wordprocessingml.document") {
      isZIP($0) && contains("word/", $0, $1)
    },
    Format(extensions: ["xlsx"], mediaType: openXML + "spreadsheetml.sheet") {
      isZIP($0) && contains("xl/", $0, $1)
    },
    Format(extensions: ["pptx"], mediaType: openXML + "presentationml.presentation") {
      isZIP($0) && contains("ppt/", $0, $1)
    },
    Format(extensions: ["odt"], mediaType: openDocument + "text") {
      isOpenDocument("text", $0, $1)
    },
    Format(extensions: ["ods"], mediaType: openDocument + "spreadsheet") {
      isOpenDocument("spreadsheet", $0, $1)
    },
    Format(extensions: ["odp"], mediaType: openDocument + "presentation") {
      isOpenDocument("presentation", $0, $1)
    },
    Format(extensions: ["zip"], mediaType: "application/zip") { head, _ in isZIP(head) },
    Format(extensions: ["txt"], mediaType: "text/plain") { head, tail in isText(head, tail) },
    Format(extensions: ["csv"], mediaType: "text/csv") { head, tail in isText(head, tail) },
    Format(extensions: ["xml", "edxml"], mediaType: "application/xml") { head, tail in
      isText(head, tail) && (trimmed(head).first == UInt8(ascii: "<"))
    },
  ]

  private static func isZIP(_ head: Data) -> Bool { head.starts(with: [0x50, 0x4B, 0x03, 0x04]) }

  private static func contains(_ text: String, _ head: Data, _ tail: Data) -> Bool {
    head.firstRange(of: Data(text.utf8)) != nil || tail.firstRange(of: Data(text.utf8)) != nil
  }

  private static func isOpenDocument(_ kind: String, _ head: Data, _ tail: Data) -> Bool {
    isZIP(head) && contains("mimetype" + openDocument + kind, head, tail)
  }

  /// Text has no NUL and none of the marks of an executable (`MZ`, ELF) at its beginning.
  private static func isText(_ head: Data, _ tail: Data) -> Bool {
    !head.contains(0) && !tail.contains(0) && !head.starts(with: Data("MZ".utf8))
      && !head.starts(with: [0x7F, 0x45, 0x4C, 0x46])
  }

  private static func trimmed(_ head: Data) -> Data.SubSequence {
    head.drop { [0xEF, 0xBB, 0xBF, 0x20, 0x09, 0x0A, 0x0D].contains($0) }
  }
}
