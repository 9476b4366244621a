import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// What is signed has one reading only: our reader, Python's and jq agree on every text.
@Suite struct StrictJSONTests {
  enum Finding: String { case ok, form, rule }

  static func finding(_ bytes: Data) -> Finding {
    do {
      return try JSONShape.check(bytes) == nil ? .ok : .rule
    } catch {
      return .form
    }
  }

  /// Values that stand in a member that no version knows.
  static let values: [(text: String, finding: Finding)] = [
    ("{}", .ok), ("[]", .ok), ("[[],{}]", .ok), (#""""#, .ok), ("0", .ok), ("-0", .ok),
    ("-1", .ok), ("1.5", .ok), ("1e5", .ok), ("1E+05", .ok), ("0.0e-0", .ok), ("1.0", .ok),
    ("true", .ok), (#""\u0110\u1ed3ng \ud83c\uddfb""#, .ok), (#""a\/b\"\\""#, .ok),
    (String(repeating: "9", count: 64), .ok), ("1e308", .ok), ("1e-9999", .ok),
    ("{\n\t\"a\" :\r\n 1 }", .ok),
    // Commas and brackets.
    ("[1,]", .form), ("[,1]", .form), ("[1,,2]", .form), ("[1 2]", .form), (#"{"a":1,}"#, .form),
    (#"{,"a":1}"#, .form), (#"{"a":1 "b":2}"#, .form), (#"{"a"}"#, .form), (#"{"a":}"#, .form),
    (#"{"a",1}"#, .form), (#"{a:1}"#, .form), (#"{'a':1}"#, .form), (#"{1:1}"#, .form),
    ("[1}", .form), (#"{"a":1]"#, .form), ("[", .form), ("]", .form), ("", .form), (",", .form),
    ("(1)", .form), ("[1];", .form), (#""a" "b""#, .form), ("1 2", .form),
    // Numbers.
    ("01", .form), ("-01", .form), ("00", .form), ("1.", .form), (".5", .form), ("-.5", .form),
    ("1e", .form), ("1e+", .form), ("1.e5", .form), ("+1", .form), ("-", .form), ("--1", .form),
    ("1-", .form), ("1e5.5", .form), ("0x10", .form), ("1_000", .form), ("1,5", .form),
    ("NaN", .form), ("Infinity", .form), ("-Infinity", .form), ("nan", .form), ("1e999", .form),
    ("-1e400", .form), (String(repeating: "9", count: 65), .form), ("１", .form),
    (String(repeating: "1", count: 100_000), .form),
    ("0." + String(repeating: "0", count: 63), .form),
    // Literals and comments.
    ("null", .form), ("[null]", .form), ("True", .form), ("tru", .form), ("truex", .form),
    ("nul", .form), ("undefined", .form), ("1/*a*/", .form), ("1//a\n", .form), ("#a\n1", .form),
    ("\u{0B}1", .form), ("\u{0C}1", .form), ("\u{A0}1", .form), ("\u{2028}1", .form),
    ("\u{FEFF}1", .form), ("\u{0}1", .form),
    // Strings.
    ("\"a\nb\"", .form), ("\"a\tb\"", .form), ("\"a\u{0}b\"", .form), ("\"a\u{1F}b\"", .form),
    (#""\x41""#, .form), (#""\'""#, .form), (#""\u12""#, .form), (#""\u12g4""#, .form),
    (#""\u{41}""#, .form), (#""\U0041""#, .form), (#""\u+041""#, .form), (#""\uD83D""#, .form),
    (#""\udc00""#, .form), (#""\ud83da""#, .form), (#""\ud83d\n""#, .form),
    (#""\udc00\ud83d""#, .form),
    (#""\ud83d\ud83d""#, .form), (#""\"#, .form), (#""abc"#, .form), ("'a'", .form),
    (#""\ud83d\ u""#, .form),
    // Members.
    (#"{"a":1,"a":2}"#, .form), (#"{"a":1,"\u0061":2}"#, .form), (#"{"\u0061":1}"#, .form),
    (#"{"a\/":1}"#, .form), (#"{"a":null}"#, .form), (#"{"":1,"":2}"#, .form), (#"{"":1}"#, .ok),
    (#"{"é":1,"e\u0301":1}"#, .form), ("{\"e\u{301}\":1}", .form), ("{\"a\u{202E}\":1}", .form),
    (#"[{"a":1},{"a":2}]"#, .ok), (#"{"a":1,"A":2}"#, .ok),
    // Characters: what no text may have, written as itself or as an escape.
    ("\"e\u{301}\"", .rule), (#""e\u0301""#, .rule), (#""a\u0000b""#, .rule), (#""a\nb""#, .rule),
    (#""\u202e""#, .rule), (#""\ufeff""#, .rule), (#""\udb40\udc41""#, .rule),
    ("\"\u{7F}\"", .rule),
    (#""\u212a""#, .rule), ("\"\u{FFFE}\"", .rule), ("\"a\u{F73}\u{F73}\u{F71}\"", .rule),
    (#""\u1ee3""#, .ok), ("\"Thường\"", .ok),
    // Depth: the member's own object is the first level.
    (String(repeating: "[", count: 7) + String(repeating: "]", count: 7), .ok),
    (String(repeating: "[", count: 8) + String(repeating: "]", count: 8), .form),
  ]

  private static func member(_ value: String) -> Data { Data(#"{"x":\#(value)}"#.utf8) }

  /// Texts that are wrong as a whole.
  private static let texts: [Data] =
    [
      "", " ", "{", "}", "{}{}", "{} x", "{},", "{}]", "[]", "[{}]", "1", "\"a\"", "true",
      "{}\u{0}",
      "\u{FEFF}{}", " \u{FEFF}{}", "{}\u{FEFF}", "{}\u{1A}", "/**/{}", "{\u{A0}}",
    ].map { Data($0.utf8) }
    + [
      [0xC0, 0xA2], [0xC1, 0x81], [0xE0, 0x80, 0xA2], [0xF0, 0x80, 0x80, 0xA2], [0xED, 0xA0, 0x80],
      [0xED, 0xB0, 0x80], [0xC3], [0xE1, 0xBB], [0xF4, 0x90, 0x80, 0x80],
      [0xF8, 0x88, 0x80, 0x80, 0x80],
      [0xFF], [0x80], [0xE1, 0xC3, 0x83],
    ].map { Data(#"{"x":""#.utf8) + $0 + Data(#""}"#.utf8) }
    + [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian, .utf32].compactMap {
      #"{"x":"Điều"}"#.data(using: $0)
    }

  @Test func everyValueIsReadAsJSONSays() {
    for (text, expected) in Self.values {
      let found = Self.finding(Self.member(text))
      #expect(found == expected, "\(text.prefix(80)): \(found)")
      guard found != .form else { continue }
      #expect(throws: Never.self, "\(text.prefix(80))") {
        try JSONSerialization.jsonObject(with: Self.member(text))
      }
    }
    for text in Self.texts { #expect(Self.finding(text) == .form, "\(Array(text))") }
    #expect(Self.finding(Data(" \r\n\t{ } \n".utf8)) == .ok)
  }

  /// The same texts, thousands of mutations, and two other readers.
  @Test func otherReadersAgree() throws {
    var random = SeededRandom(seed: 11)
    var corpus = Self.values.map { Self.member($0.text) } + Self.texts
    let examples = [
      "manifest/valid/159-QD-LDLD", "status/valid/02-tu-choi", "tally/valid/two-entries",
    ]
    .compactMap {
      try? Data(contentsOf: SchemaExamplesTests.folder.appending(path: "examples/\($0).json"))
    }
    #expect(examples.count >= 2)
    for _ in 0..<6_000 {
      let example = examples.randomElement(using: &random) ?? Data()
      corpus.append(Self.mutate(example, &random))
    }
    let folder = try TemporaryFolder()
    let input = try folder.write(
      Data(corpus.map { $0.base64EncodedString() + "\n" }.joined().utf8), as: "corpus")
    let reader = SchemaExamplesTests.folder.appending(path: "../Tests/PythonClient/strict_json.py")
    try Command.run([
      "sh", "-c", #"exec /usr/bin/python3 "$1" <"$2" >"$3""#, "sh", reader.path, input,
      folder.path("python"),
    ])
    let python = try Self.lines(folder.path("python"))
    #expect(python.count == corpus.count)
    var counts: [Finding: Int] = [:]
    for (text, theirs) in zip(corpus, python) {
      let ours = Self.finding(text)
      counts[ours, default: 0] += 1
      let verdict = "\(ours) \(ManifestCodec.declaresSecrecy(text) ? "secret" : "open")"
      #expect(verdict == theirs, "\(String(decoding: text.prefix(3000), as: UTF8.self))")
    }
    #expect(Finding.allCases.allSatisfy { counts[$0, default: 0] > 100 }, "\(counts)")
    try Self.compareWithJQ(corpus.filter { Self.finding($0) != .form }, folder)
  }

  private static func lines(_ path: String) throws -> [String] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
  }

  /// What we read, `jq` reads too.
  private static func compareWithJQ(_ texts: [Data], _ folder: TemporaryFolder) throws {
    guard FileManager.default.isExecutableFile(atPath: "/usr/bin/jq") else { return }
    let input = try folder.write(
      Data(texts.map { $0.base64EncodedString() + "\n" }.joined().utf8), as: "readable")
    try Command.run([
      "sh", "-c", #"exec jq -R 'try (@base64d | fromjson | "ok") catch .' -r <"$1" >"$2""#, "sh",
      input, folder.path("jq"),
    ])
    let answers = try lines(folder.path("jq"))
    #expect(answers.count == texts.count)
    for (text, answer) in zip(texts, answers) where answer != "ok" {
      Issue.record("jq: \(answer): \(String(decoding: text, as: UTF8.self))")
    }
  }

  private static let tokens = [
    ",", "}", "]", "{", "[", "\"", "\\", ":", "null", "01", "-", "1.", "1e", "-0", "1.0", "1e5",
    "/**/",
    "\\u0041", "\\ud800", "\\udc00", "\\x41", "\\n", "\n", "\t", "\u{FEFF}", "\u{301}", "e\u{301}",
    "\u{202E}", "\u{0}", "\"x\":1,", "\"x\":[1,{\"y\":1.5e3}],", "\"x\":\"Đ\",", "\"kind\":1,", " ",
    "NaN",
    "\"x\":{\"y\":1,\"y\":1},", "true", "\u{A0}", "\"x\":\"e\u{301}\",", "\u{7F}", "\u{F73}",
    "\"secrecyMark\":\"Mật\",", "\"secrecyMark\":\"Thường\",", "\"secrecyM\\u0061rk\":null,",
    "secrecyMark",
  ]

  private static func mutate(_ example: Data, _ random: inout SeededRandom) -> Data {
    var bytes = Array(example)
    for _ in 0..<Int.random(in: 0...2, using: &random) where !bytes.isEmpty {
      let index = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes.remove(at: index)
      case 1: bytes[index] = UInt8.random(in: 0...255, using: &random)
      case 2:
        let end = min(bytes.count, index + Int.random(in: 1...9, using: &random))
        bytes.insert(contentsOf: bytes[index..<end], at: index)
      case 3:
        // Before a member, where an unknown one may stand.
        let start = bytes[index...].firstIndex(of: UInt8(ascii: "{")) ?? 0
        let token = tokens.randomElement(using: &random) ?? ""
        bytes.insert(contentsOf: token.utf8, at: start + 1)
      default:
        let token = tokens.randomElement(using: &random) ?? ""
        bytes.insert(contentsOf: token.utf8, at: index)
      }
    }
    return Data(bytes)
  }

  /// Texts of up to 1 MiB that would be slow for a careless reader.
  private static let slow: [String] = [
    String(repeating: "[", count: 1_000_000), String(repeating: "{\"a\":", count: 200_000),
    "{\"x\":\"" + String(repeating: "\\u0301", count: 170_000) + "\"}",
    "{\"x\":\"a" + String(repeating: "\u{301}\u{323}", count: 2_000) + "\"}",
    "{\"s" + String(repeating: "\u{301}\u{323}", count: 2_000) + "\":{\"kind\":1}}",
    "{\"x\":\"a" + String(repeating: "\u{323}", count: 500_000) + "\"}",
    "{\"x\":\"a" + String(repeating: "\u{F73}", count: 4_000) + "\"}",
    "{\"x\":\"" + String(repeating: "ấ\u{323}", count: 200_000) + "\"}",
    "{" + (0..<60_000).map { "\"m\($0)\":1.5" }.joined(separator: ",") + "}",
    "{\"x\":" + String(repeating: "7", count: 1_000_000) + "}",
    "{\"x\":[" + String(repeating: "1e5,", count: 250_000) + "1]}",
    String(repeating: "\"secrecyMark\":", count: 60_000),
    String(repeating: "\\u0073", count: 160_000),
  ]

  /// 1 MiB of anything is judged in less time than a peer needs to send it.
  @Test(arguments: slow.indices)
  func timeIsLinear(_ index: Int) {
    let bytes = Data(Self.slow[index].utf8)
    let start = Self.threadSeconds
    _ = Self.finding(bytes)
    _ = ManifestCodec.declaresSecrecy(bytes)
    _ = ManifestCodec.namedDigests(bytes)
    // A second in a debug build; minutes if the time grew with the square of the length.
    let time = Self.threadSeconds - start
    #expect(time < 10, "\(Self.slow[index].prefix(40)): \(time) s")
  }

  /// Texts that cannot be compared or normalised in linear time are refused before anybody tries.
  @Test(arguments: [#"{"x":"a@"}"#, #"{"kind":"a@"}"#, #"{"x":[{"y":"@"}]}"#, #"{"s@":1}"#])
  func endlessMarksAreMalformed(_ form: String) {
    let marks = String(repeating: "\u{301}\u{323}", count: 20)
    let bytes = Data(form.replacing("@", with: marks).utf8)
    #expect(throws: DocumentError(.malformed, "")) { try JSONShape.check(bytes) }
    #expect(!ManifestCodec.declaresSecrecy(bytes))
    #expect(ManifestCodec.namedDigests(bytes) == [])
  }

  /// Of this thread alone: other tests run beside it.
  private static var threadSeconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  @Test func theReasonNamesTheMember() {
    func reason(_ text: String) -> String {
      do {
        return try JSONShape.check(Data(text.utf8))?.reason ?? "nothing"
      } catch {
        return error.reason
      }
    }
    #expect(reason(#"{"a":[{"b":null}]}"#) == "a[].b: is null")
    #expect(reason(#"{"attachments":[{"size":1.0}]}"#).hasPrefix("attachments[].size: is not"))
    #expect(reason(#"{"x":[1,]}"#).hasSuffix("(at byte 8)"))
    #expect(reason("{\"x\":\"e\u{301}\"}") == "x: is not in Unicode form NFC")
    #expect(reason("{\"\u{1B}[2J\":1}").contains("not escaped"))
    #expect(!reason("{\"a\u{9B}2J\":1}").unicodeScalars.contains("\u{9B}"))
  }
}

extension StrictJSONTests.Finding: CaseIterable {}

/// Điều 5: no form of a text hides a secrecy mark, and nothing else is taken for one.
@Suite struct SecrecyMarkTests {
  private static func declares(_ text: String) -> Bool {
    ManifestCodec.declaresSecrecy(Data(text.utf8))
  }

  @Test(arguments: [
    #""Mật""#, #""thường""#, #""THƯỜNG""#, #""Thường ""#, #"" Thường""#,
    "\"Thu\u{31B}o\u{31B}\u{300}ng\"",
    "\"Thường\u{200B}\"", #""Thuong""#, #""""#, "null", "0", "false", "[]", "{}", #"["Thường"]"#,
    #"{"value":"Thường"}"#, #""Th\u01b0\u1edfng""#,
  ])
  func anyOtherValueDeclaresOne(_ value: String) {
    #expect(Self.declares(#"{"kind":"document","secrecyMark":\#(value)}"#))
    #expect(Self.declares(#"{"a":[{"secrecyMark":\#(value)}]}"#), "in a member of a member")
    #expect(Self.declares(#"{"a":1,,"secrecyMark":\#(value)}"#), "in a text that is no JSON")
    #expect(Self.declares(#"{"secrecyMark":\#(value)"#), "in a text that ends too early")
    #expect(throws: DocumentError(.secrecy, "")) {
      try ManifestCodec.decode(Data(#"{"secrecyMark":\#(value)}"#.utf8))
    }
  }

  @Test(arguments: [
    #"{"secrecyMark":"Thường","secrecyMark":"Mật"}"#,
    #"{"secrecyMark":"Mật","secrecyMark":"Thường"}"#,
    #"{"secrecyM\u0061rk":"Mật"}"#, #"{"\u0073\u0065crecyMark":"Mật",}"#, #"{"SecrecyMark":"Mật"}"#,
    #"{"secrecyMark ":"Mật"}"#, #"{"subject":"a\","secrecyMark":"Mật"}"#,
    #"{"a":","secrecyMark":"Mật"}"#,
    "{\"a\":\"\n\",\"secrecyMark\":\"Mật\"}", #"["secrecyMark":"Mật"]"#,
    #"{"secrecyMark" : "Tuyệt mật" "#,
  ])
  func noFormHidesOne(_ text: String) {
    #expect(Self.declares(text))
    #expect(ManifestCodec.declaresSecrecy(text.data(using: .utf16LittleEndian) ?? Data()))
  }

  @Test(arguments: [
    "{}", #"{"secrecyMark":"Thường"}"#, #"{"secrecyMark":"Th\u01b0\u1eddng"}"#,
    "{\"secrecyMark\" :\n\"Thường\"}",
    #"{"subject":"Trường \"secrecyMark\": \"Mật\" của mẫu"}"#, #"{"subject":"secrecyMark"}"#,
    #"{"a":1,,"secrecyMark": "Thường"}"#, #"{"secrecyMark":"Thường","#, "", "{", "secrecy",
  ])
  func nothingElseIsTakenForOne(_ text: String) { #expect(!Self.declares(text)) }

  @Test func whatItNamesIsFoundInBrokenTextsToo() {
    let (first, second) = (String(repeating: "a", count: 64), String(repeating: "b", count: 64))
    func named(_ text: String) -> [String] {
      ManifestCodec.namedDigests(Data(text.utf8)).map(\.hex)
    }
    let files =
      #""attachments":[{"sha256":"\#(first)","x":["\#(first)"]},{"sha256":1},{"sha256":"\#(second.uppercased())"}]"#
    #expect(named(#"{"x":{"sha256":"\#(second)"},\#(files)}"#) == [first, second])
    #expect(named(#"{"attachments":[{"sha256":"\#(first)",}],}"#) == [first])
    #expect(named("{}") == [] && named("") == [])
  }
}
