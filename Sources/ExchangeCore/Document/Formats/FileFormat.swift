/// A format that a document's file may have.
package enum FileFormat: String, Sendable, Hashable, CaseIterable {
  case pdf, png, jpeg, tiff
  case docx, xlsx, pptx, odt, ods, odp, zip
  case text, csv, xml
  case doc, xls, ppt, rtf, rar
  case sevenZip = "7z"

  /// Endings of a file's name, in lower case; the first is the one to recommend.
  package var extensions: [String] {
    switch self {
    case .jpeg: ["jpg", "jpeg"]
    case .tiff: ["tif", "tiff"]
    case .text: ["txt"]
    case .xml: ["xml", "edxml"]
    default: [rawValue]
    }
  }

  /// What a person calls it.
  var name: String { (extensions.first ?? rawValue).uppercased() }

  package var mediaType: String {
    switch self {
    case .pdf: "application/pdf"
    case .png: "image/png"
    case .jpeg: "image/jpeg"
    case .tiff: "image/tiff"
    case .docx: Self.openXML + "wordprocessingml.document"
    case .xlsx: Self.openXML + "spreadsheetml.sheet"
    case .pptx: Self.openXML + "presentationml.presentation"
    case .odt: Self.openDocument + "text"
    case .ods: Self.openDocument + "spreadsheet"
    case .odp: Self.openDocument + "presentation"
    case .zip: "application/zip"
    case .text: "text/plain"
    case .csv: "text/csv"
    case .xml: "application/xml"
    case .doc: "application/msword"
    case .xls: "application/vnd.ms-excel"
    case .ppt: "application/vnd.ms-powerpoint"
    case .rtf: "application/rtf"
    case .rar: "application/vnd.rar"
    case .sevenZip: "application/x-7z-compressed"
    }
  }

  /// Formats that a node may be told not to take (`attachments.legacyFormats`).
  package var isLegacy: Bool {
    switch self {
    case .doc, .xls, .ppt, .rtf, .rar, .sevenZip: true
    default: false
    }
  }

  static let openDocument = "application/vnd.oasis.opendocument."
  private static let openXML = "application/vnd.openxmlformats-officedocument."

  /// The format that a name of this ending promises; nil when no file may have it.
  init?(fileExtension: String) {
    guard let format = Self.allCases.first(where: { $0.extensions.contains(fileExtension) }) else {
      return nil
    }
    self = format
  }
}

/// Which formats a unit takes, when it sends and when it receives.
package struct FormatPolicy: Sendable, Hashable {
  /// DOC, XLS, PPT, RTF, RAR and 7Z.
  package var takesLegacy: Bool

  package init(takesLegacy: Bool = true) { self.takesLegacy = takesLegacy }
}

/// What the check noticed in a file that it accepts. The file goes out and is taken all the same.
package enum FileRemark: String, Sendable, Hashable, CaseIterable {
  /// A program of the office suite is inside (VBA, Basic, macro sheets).
  case macros = "ATTACHMENT-MACROS"
  /// Parts are encrypted: whoever opens it may be asked for a password.
  case encrypted = "ATTACHMENT-ENCRYPTED"
  /// Text in an old 8-bit encoding, or UTF-16 without its mark.
  case encoding = "ATTACHMENT-NOT-UTF8"

  /// For the one who sends.
  package var english: String {
    switch self {
    case .macros:
      "has macros: receivers are warned, and Office may refuse to open a DOCX, XLSX or PPTX that "
        + "has some; save it without macros if they are not needed"
    case .encrypted:
      "is encrypted, at least in part: receivers may be asked for a password; send one without, or "
        + "tell them the password by another way"
    case .encoding:
      "is not UTF-8 text: letters with accents may come out wrong; save it as UTF-8"
    }
  }

  /// For the one who opens it.
  package var vietnamese: String {
    switch self {
    case .macros: "có macro: chỉ bật khi tin cậy người gửi"
    case .encrypted: "có phần được mã hóa: có thể cần mật khẩu để mở"
    case .encoding: "không phải văn bản UTF-8: chữ có dấu có thể hiển thị sai"
    }
  }
}
