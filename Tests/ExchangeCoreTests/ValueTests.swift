import ExchangeCore
import Foundation
import Testing

@Suite struct ValueTests {
  @Test(arguments: ["000.00.01.H57", "H57.01", "LDLD-TINH", "A", String(repeating: "a", count: 35)])
  func unitIdentifiers(_ text: String) {
    #expect(UnitID(text)?.rawValue == text)
  }

  @Test(arguments: [
    "", "*", "a.#", "a/b", "../x", ".a", "-a", "đ", "a b", "a\n", String(repeating: "a", count: 36),
  ])
  func unitIdentifiersRefused(_ text: String) {
    #expect(UnitID(text) == nil)
  }

  @Test func recordIDsAreOrderedByTimeAndCanonical() throws {
    var random = SeededGenerator(seed: 7)
    let early = RecordID(at: Timestamp(microseconds: 1_000_000_000), using: &random)
    let late = RecordID(at: Timestamp(microseconds: 1_700_000_000_000_000), using: &random)
    #expect(early < late)
    for id in [early, late] { #expect(RecordID(id.rawValue) == id) }
    #expect(late.rawValue.hasPrefix("018bcfe5-6800-7"))
  }

  @Test(arguments: [
    "018bcfe5-6800-4000-8000-000000000000", "018BCFE5-6800-7000-8000-000000000000",
    "018bcfe5-6800-7000-7000-000000000000", "018bcfe568007000800000000000000000", "",
    "018bcfe5-6800-7000-8000-00000000000g",
  ])
  func recordIDsRefused(_ text: String) {
    #expect(RecordID(text) == nil)
  }

  @Test func timestampsAreUTCAndShownInVietnam() throws {
    let time = try #require(Timestamp(iso8601: "2018-07-04T18:30:00.250Z"))
    #expect(time.iso8601 == "2018-07-04T18:30:00.250Z")
    #expect(time.shown == "2018-07-05 01:30:00")
    #expect(Timestamp(iso8601: "2018-07-05T01:30:00+07:00")?.iso8601 == "2018-07-04T18:30:00.000Z")
    #expect(CalendarDate(time).rawValue == "2018-07-05")
  }

  @Test(arguments: [
    "", "2018-07-04", "2018-07-04T08:00:00", "yesterday", "99999-01-01T00:00:00Z",
    "2018-02-30T08:00:00Z", "2018-07-04T24:00:00Z", "2018-07-04T08:60:00Z",
    "2018-07-04T08:00:00Zx", "2018-07-04T08:00:00+7", "2018-07-04T08:00:00.Z",
    "2018-7-4T08:00:00Z", "2018-07-04 08:00:00Z", "1969-12-31T23:59:59Z",
    "2018-07-04T08:00:00.1234567891Z", "2018-07-04T08:00:00+15:00",
  ])
  func timestampsRefused(_ text: String) {
    #expect(Timestamp(iso8601: text) == nil)
  }

  @Test(arguments: ["2018-07-04", "2024-02-29", "1900-01-01"]) func dates(_ text: String) {
    #expect(CalendarDate(text)?.rawValue == text)
  }

  @Test(arguments: [
    "2023-02-29", "2023-02-30", "2018-13-01", "2018-7-4", "04-07-2018", "2018-07-04 ", "",
    "+018-07-04",
  ])
  func datesRefused(_ text: String) {
    #expect(CalendarDate(text) == nil)
  }

  @Test func digestsHaveOneSpelling() {
    let hex = String(repeating: "0a", count: 32)
    #expect(SHA256Digest(hex: hex)?.hex == hex)
    #expect(SHA256Digest(hex: hex.uppercased()) == nil)
    #expect(SHA256Digest(hex: String(hex.dropLast())) == nil)
    #expect(SHA256Digest(hex: "../" + hex.dropFirst(3)) == nil)
  }

  @Test(arguments: [
    ("khẩn", Urgency.urgent), ("thượng-khẩn", .veryUrgent), ("Thượng khẩn", .veryUrgent),
    ("hỏa-tốc", .flash), ("hoa toc", .flash), ("hoả tốc", .flash), ("thường", .normal),
  ])
  func urgencies(_ text: String, _ expected: Urgency) {
    #expect(Urgency(vietnamese: text) == expected)
  }

  @Test func unknownUrgency() { #expect(Urgency(vietnamese: "gấp") == nil) }
}

/// SplitMix64: a generator whose sequence a test can repeat.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
