import ExchangeCore
import Foundation

/// The rules for text, and the small values that are made of it. Each value has one spelling, which
/// it reads again.
enum TextTarget {
  static func run(_ bytes: Data) {
    let text = String(decoding: bytes, as: UTF8.self)
    rules(text)
    fitting(text, maximum: 1 + Int(bytes.first ?? 0))
    values(text)
  }

  private static func rules(_ text: String) {
    let normal = TextRules.normalized(text)
    require(TextRules.isNFC(normal), "normalised and not NFC")
    require(TextRules.normalized(normal) == normal, "normalised twice it differs")
    guard (try? TextRules.check(text, field: "", maximum: 500)) != nil else { return }
    let scalars = text.unicodeScalars
    require((1...500).contains(scalars.count), "a length of \(scalars.count)")
    require(!scalars.contains { $0.properties.generalCategory == .control }, "a control character")
    require(
      !scalars.contains { $0.properties.isBidiControl && $0.value != 0x61C }, "a text direction")
    require(text.precomposedStringWithCanonicalMapping.utf8.elementsEqual(text.utf8), "not NFC")
  }

  /// What quotes a peer must be fit to be signed.
  private static func fitting(_ text: String, maximum: Int) {
    let fit = TextRules.fitting(text, maximum: maximum)
    do {
      try TextRules.check(fit, field: "fitting", maximum: maximum)
    } catch {
      fatalError("invariant broken: \(fit.unicodeScalars.map(\.value)): \(error)")
    }
  }

  private static func values(_ text: String) {
    if let unit = UnitID(text) {
      require(!text.contains { "*#/\\ \n\0".contains($0) }, "“\(text)” is an id")
      let exchange = Topology.outExchange(of: unit)
      require(Topology.sender(fromExchange: exchange) == unit, "its exchange is another's")
    }
    if let id = RecordID(text) { require(id.rawValue.utf8.count == 36, "“\(id)” is an id") }
    if let digest = SHA256Digest(hex: text) { require(digest.hex == text, "a digest's spelling") }
    if let date = CalendarDate(text) {
      require(
        date.rawValue == text && Timestamp(iso8601: text + "T00:00:00Z") != nil || text < "1970",
        "the day \(text) has no midnight")
    }
    if let time = Timestamp(iso8601: text) {
      let again = Timestamp(iso8601: time.iso8601)
      require(
        again?.microseconds == time.microseconds / 1000 * 1000, "\(text) becomes \(time.iso8601)")
    }
    if let number = try? ReferenceNumber(text) {
      require((try? ReferenceNumber(number.description)) == number, "\(text) becomes \(number)")
    }
  }
}
