/// Something that a person should know about an act that was carried out all the same: printed on
/// standard error as `warning[CODE]: text`, and a member of `--json`.
package struct Warning: Sendable, Hashable {
  package let kind: WarningCode
  /// What was noticed, with the field and the value.
  package let text: String

  package init(_ kind: WarningCode, _ text: String) {
    self.kind = kind
    self.text = text
  }

  package var code: String { kind.rawValue }
}

/// Stable codes of warnings: only ever added.
package enum WarningCode: String, Sendable, Hashable, CaseIterable {
  /// A document with this number, notation and year was issued before.
  case numberUsed = "NUMBER-USED-BEFORE"
  /// The document's date is later than today.
  case dateAhead = "DATE-IN-FUTURE"
  /// The document's date is more than a year ago.
  case dateOld = "DATE-LONG-AGO"
  /// The date by which an answer is expected is over.
  case duePassed = "DUE-DATE-PASSED"
  /// No certificate of a recipient is usable: its receipts will not be believed.
  case recipientCertificate = "RECIPIENT-CERTIFICATE"
  /// The own certificate ends within 30 days.
  case certificateEnds = "CERTIFICATE-ENDS-SOON"
  /// The date by which an answer is expected is years ahead.
  case dueFar = "DUE-DATE-FAR"
  /// Invisible characters were taken out of a field or a file's name.
  case textCleaned = "TEXT-CLEANED"
  /// A text may be in TCVN3 or VNI and not in Unicode.
  case textEncoding = "TEXT-ENCODING-DOUBTED"
  /// Windows cannot save a file of this name.
  case fileNameReserved = "ATTACHMENT-NAME-RESERVED"
  /// A file has macros.
  case fileMacros = "ATTACHMENT-MACROS"
  /// A file may ask its readers for a password.
  case fileEncrypted = "ATTACHMENT-ENCRYPTED"
  /// A text file is not in UTF-8.
  case fileEncoding = "ATTACHMENT-NOT-UTF8"
}

extension FileRemark {
  /// For the one who sends a file of this name.
  package func warning(about name: String) -> Warning {
    let kind: WarningCode =
      switch self {
      case .macros: .fileMacros
      case .encrypted: .fileEncrypted
      case .encoding: .fileEncoding
      }
    return Warning(kind, "file “\(name)”: \(english)")
  }
}
