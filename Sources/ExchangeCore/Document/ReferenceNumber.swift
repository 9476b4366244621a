/// The reference number of a document (số, ký hiệu) as clerks write it, split as NĐ 30/2020
/// Annex VI stores it: `CodeNumber` (11) and `CodeNotation` (30).
///
/// State and union style is number `/` notation (`159/QĐ-LĐLĐ`, `34/2016/NĐ-CP`); Party style swaps
/// the separators (`762-CV/TU`). The separator is kept, so every form comes back unchanged.
package struct ReferenceNumber: Hashable, Sendable, CustomStringConvertible {
  package enum Separator: String, Sendable, Hashable, Codable {
    case slash = "/"
    case hyphen = "-"
  }

  package static let maximumNumberLength = 11
  package static let maximumNotationLength = 30

  package let codeNumber: String
  package let separator: Separator
  package let codeNotation: String

  /// Checks the parts; throws `DocumentError.referenceNumber` naming the part and the rule.
  package init(codeNumber: String, separator: Separator, codeNotation: String)
    throws(DocumentError)
  {
    guard let first = codeNumber.unicodeScalars.first, ("0"..."9").contains(first),
      codeNumber.unicodeScalars.allSatisfy({ ("0"..."9").contains($0) || ("a"..."z").contains($0) })
    else {
      throw DocumentError(
        .referenceNumber,
        "number: “\(codeNumber.prefix(40))” must begin with a digit and have digits and a–z only")
    }
    guard codeNumber.count <= Self.maximumNumberLength else {
      throw DocumentError(.referenceNumber, "number: longer than 11 characters")
    }
    guard !codeNotation.isEmpty, codeNotation.count <= Self.maximumNotationLength else {
      throw DocumentError(.referenceNumber, "number: the notation must have 1 to 30 characters")
    }
    try TextRules.check(codeNotation, field: "codeNotation", maximum: Self.maximumNotationLength)
    guard codeNotation.unicodeScalars.allSatisfy(Self.isNotation) else {
      throw DocumentError(
        .referenceNumber,
        "number: the notation “\(codeNotation)” may have letters, digits, “/”, “-”, “.” and “&” only"
      )
    }
    self.codeNumber = codeNumber
    self.separator = separator
    self.codeNotation = codeNotation
  }

  /// Reads `159/QĐ-LĐLĐ` or `762-CV/TU`: the number goes up to the first `/` or `-`.
  package init(_ text: String) throws(DocumentError) {
    let text = TextRules.normalized(text)
    guard let split = text.firstIndex(where: { $0 == "/" || $0 == "-" }),
      let separator = Separator(rawValue: String(text[split]))
    else {
      throw DocumentError(
        .referenceNumber, "number: “\(text)” has no “/” or “-” between number and notation")
    }
    try self.init(
      codeNumber: String(text[..<split]), separator: separator,
      codeNotation: String(text[text.index(after: split)...]))
  }

  package var description: String { codeNumber + separator.rawValue + codeNotation }

  private static func isNotation(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
      || ["/", "-", ".", "&"].contains(scalar)
  }
}
