package import Foundation

/// A moment in UTC, in whole microseconds since 1970-01-01T00:00:00Z.
///
/// Stored and signed in UTC, shown in `Asia/Ho_Chi_Minh` (QĐ 28/2018 Điều 14.4).
package struct Timestamp: Hashable, Sendable, Comparable, Codable, CustomStringConvertible {
  package let microseconds: Int64

  package init(microseconds: Int64) { self.microseconds = microseconds }

  package init(_ date: Date) {
    microseconds = Int64((date.timeIntervalSince1970 * 1_000_000).rounded())
  }

  /// Reads an RFC 3339 moment: `2018-07-04T08:00:00Z`, with fractions of a second or an offset such
  /// as `+07:00`. Nil for anything else, and for years outside 1970 to 9999.
  ///
  /// The shape is checked here because Foundation's parser ignores what follows the zone and rolls
  /// impossible days and hours over.
  package init?(iso8601 text: String) {
    let bytes = Array(text.utf8)
    guard (20...40).contains(bytes.count), bytes[10] == UInt8(ascii: "T"),
      bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
      CalendarDate(String(text.prefix(10))) != nil,
      Self.number(bytes[11..<13], below: 24), Self.number(bytes[14..<16], below: 60),
      Self.number(bytes[17..<19], below: 60)
    else { return nil }
    var rest = bytes[19...]
    var fraction: Int64 = 0
    if rest.first == UInt8(ascii: ".") {
      let digits = rest.dropFirst().prefix { (48...57).contains($0) }
      guard (1...9).contains(digits.count) else { return nil }
      rest = rest.dropFirst(digits.count + 1)
      // Six digits are microseconds; what is finer is cut off.
      for place in 0..<6 {
        let index = digits.startIndex + place
        fraction = 10 * fraction + (index < digits.endIndex ? Int64(digits[index]) - 48 : 0)
      }
    }
    guard Self.isZone(rest) else { return nil }
    // Whole seconds only: a Double cannot hold the fraction exactly.
    let whole =
      String(decoding: bytes[..<19], as: UTF8.self) + String(decoding: rest, as: UTF8.self)
    guard let date = try? Date.ISO8601FormatStyle(timeZoneSeparator: .colon).parse(whole),
      date.timeIntervalSince1970 >= 0
    else { return nil }
    self.init(microseconds: Int64(date.timeIntervalSince1970) * 1_000_000 + fraction)
  }

  private static func number(_ digits: ArraySlice<UInt8>, below limit: Int) -> Bool {
    digits.allSatisfy { (48...57).contains($0) }
      && digits.reduce(0) { 10 * $0 + Int($1) - 48 } < limit
  }

  /// `Z`, or an offset such as `+07:00`.
  private static func isZone(_ bytes: ArraySlice<UInt8>) -> Bool {
    if bytes.elementsEqual("Z".utf8) { return true }
    guard bytes.count == 6, let sign = bytes.first, "+-".utf8.contains(sign) else { return false }
    let start = bytes.startIndex
    return number(bytes[start + 1..<start + 3], below: 15) && bytes[start + 3] == UInt8(ascii: ":")
      && number(bytes[start + 4..<start + 6], below: 60)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard text.hasSuffix("Z"), let time = Timestamp(iso8601: text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not a moment yyyy-MM-ddTHH:mm:ssZ in UTC")
    }
    self = time
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(iso8601)
  }

  package var date: Date { Date(timeIntervalSince1970: Double(microseconds) / 1_000_000) }

  /// `2018-07-04T01:00:00.123Z`: milliseconds, always UTC.
  package var iso8601: String {
    let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    let whole = Date(timeIntervalSince1970: Double(seconds)).formatted(Date.ISO8601FormatStyle())
    let digits = String(max(0, rest) / 1000)
    return whole.dropLast() + "." + String(repeating: "0", count: 3 - digits.count) + digits + "Z"
  }

  /// `2018-07-04 08:00:00` in Asia/Ho_Chi_Minh, for people.
  package var shown: String {
    // Vietnam has kept UTC+7 without daylight saving since 1975; the fallback is the same zone.
    let zone =
      TimeZone(identifier: "Asia/Ho_Chi_Minh") ?? TimeZone(secondsFromGMT: 7 * 3600) ?? .gmt
    return date.formatted(
      Date.ISO8601FormatStyle(dateTimeSeparator: .space, timeZone: zone)
        .year().month().day().dateSeparator(.dash).time(includingFractionalSeconds: false))
  }

  package var description: String { iso8601 }

  package func advanced(by duration: Duration) -> Timestamp {
    Timestamp(microseconds: microseconds + duration.microseconds)
  }

  package func duration(to later: Timestamp) -> Duration {
    .microseconds(later.microseconds - microseconds)
  }

  package static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }
}

extension Duration {
  package var microseconds: Int64 {
    components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
  }

  package var seconds: Double { Double(microseconds) / 1_000_000 }
}

/// A calendar date without a time (`yyyy-MM-dd`, 10 characters as in NĐ 30/2020 Annex VI).
package struct CalendarDate: Hashable, Sendable, Comparable, Codable, CustomStringConvertible {
  package let rawValue: String

  /// Nil unless `text` is `yyyy-MM-dd` and the day exists (no 30 February).
  package init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard text.utf8.count == 10, parts.count == 3,
      parts[0].utf8.count == 4, parts[1].utf8.count == 2, parts[2].utf8.count == 2,
      text.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || (48...57).contains($0) }),
      let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]),
      year >= 1900
    else { return nil }
    let calendar = Calendar(identifier: .gregorian)
    guard DateComponents(calendar: calendar, year: year, month: month, day: day).isValidDate else {
      return nil
    }
    rawValue = text
  }

  /// The day of `time` in Vietnam.
  package init(_ time: Timestamp) { rawValue = String(time.shown.prefix(10)) }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let date = CalendarDate(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not an existing date yyyy-MM-dd")
    }
    self = date
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }

  package var description: String { rawValue }

  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
