import Foundation
import ExchangeCore
import Testing

@Suite struct ReferenceNumberTests {
  /// The 14 forms of requirement, as they stand in the regulation.
  static let forms = [
    "159/QĐ-LĐLĐ", "36a/NQ-CP", "762-CV/TU", "1994-CV/VPTU", "1350/KH-UBND", "23/KH-LĐLĐ",
    "66-QĐ/TW", "34/2016/NĐ-CP", "1014/QĐ-TLĐ", "72/2002/QĐ-TTg", "39/2017/TT-BTTTT",
    "09/2011/TT-BNV", "64/2007/NĐ-CP", "08/2015/TT-BCA",
  ]

  @Test(arguments: forms) func comesBackUnchanged(_ text: String) throws {
    let number = try ReferenceNumber(text)
    #expect(number.description == text)
    let again = try ReferenceNumber(
      codeNumber: number.codeNumber, separator: number.separator,
      codeNotation: number.codeNotation)
    #expect(again == number)
  }

  @Test func splitsAtTheFirstSeparator() throws {
    let party = try ReferenceNumber("762-CV/TU")
    #expect(party.codeNumber == "762")
    #expect(party.separator == .hyphen)
    #expect(party.codeNotation == "CV/TU")
    let decree = try ReferenceNumber("34/2016/NĐ-CP")
    #expect(decree.codeNumber == "34")
    #expect(decree.codeNotation == "2016/NĐ-CP")
  }

  @Test func decomposedTextBecomesNFC() throws {
    let decomposed = "159/QĐ-LĐLĐ".decomposedStringWithCanonicalMapping
    #expect(try Array(ReferenceNumber(decomposed).description.utf8) == Array("159/QĐ-LĐLĐ".utf8))
  }

  @Test(arguments: [
    "", "159", "/QĐ", "159/", "A1/QĐ", "1 59/QĐ", "159/QĐ LĐLĐ", "123456789012/QĐ",
    "1/" + String(repeating: "A", count: 31), "15B/QĐ", "159/QĐ\u{0}", "159\\QĐ",
  ])
  func refuses(_ text: String) {
    #expect(throws: DocumentError.self) { try ReferenceNumber(text) }
  }
}
