import ExchangeCore
import Foundation
import Testing

/// The directory file as people make it: what is wrong is said with file, line and column, and what is
/// wrong with one certificate concerns one unit.
@Suite struct DirectoryTests {
  private struct Sum: ContentHashing {
    func sha256(_ bytes: Data) -> SHA256Digest {
      var sum = [UInt8](repeating: 0, count: 32)
      for (index, byte) in bytes.enumerated() { sum[index % 32] ^= byte &+ UInt8(index & 0x7F) }
      guard let digest = SHA256Digest(bytes: Data(sum)) else { fatalError("32 bytes") }
      return digest
    }
    func makeHash() -> any RunningHash { fatalError("not used") }
  }

  private static let unit = #"{"organId": "A", "organName": "Đơn vị A", "certificates": []}"#

  private func decode(_ bytes: Data) throws -> Directory {
    try Directory.decode(bytes, hashing: Sum(), file: "“/etc/d.json”")
  }

  private func failure(_ text: String) -> DirectoryError? { failure(Data(text.utf8)) }

  private func failure(_ bytes: Data) -> DirectoryError? {
    do {
      _ = try decode(bytes)
      return nil
    } catch {
      return error as? DirectoryError
    }
  }

  @Test(
    arguments: [
      (
        "{\n  \"version\": 1,\n  \"units\": [\n    UNIT,\n  ]\n}", 5, 3, "comma too many before “]”"
      ),
      ("{\"version\": 1, \"units\": [UNIT], }", nil, nil, "comma too many before “}”"),
      ("{\"version\": 1 \"units\": []}", 1, 15, "comma or the end"),
      ("{\"version\": 1,\n // đơn vị\n \"units\": []}", 2, 2, "comment"),
      ("{\"version\": 1,\n# đơn vị\n \"units\": []}", 2, 1, "comment"),
      ("{\"version\": 1, /* */ \"units\": []}", 1, 16, "comment"),
      ("{\"version\": NaN, \"units\": []}", 1, 13, "“NaN” is not JSON"),
      ("{\"version\": -Infinity, \"units\": []}", 1, nil, "digit is missing"),
      ("{\"version\": True, \"units\": []}", 1, 13, "“True” is not JSON"),
      ("{\"version\": 01, \"units\": []}", 1, nil, "zero"),
      ("{'version': 1, \"units\": []}", 1, 2, "single quote"),
      ("{“version”: 1, \"units\": []}", 1, 2, "typographic quote"),
      ("{\"version\": 1, \"version\": 1, \"units\": []}", 1, nil, "“version” is there twice"),
      (
        "{\"version\": 1, \"units\": [\n{\"organId\": \"A\",\n\"organId\": \"B\", \"organName\": \"x\"}]}",
        3, nil, "“organId” is there twice"
      ),
      ("{\"version\": 1, \"units\": [{\"organName\": \"a\tb\"}]}", 1, nil, "control character"),
      ("{\"version\": 1, \"units\": []} x", 1, nil, "follows its end"),
      ("{\"version\": 1, \"units\": [", 1, nil, "ends too early"),
      (
        "{\"version\": 1,\n\"units\": [UNIT,\n{\"organId\": \"B\"}]}", 3, nil,
        "organName: is missing"
      ),
      (
        "{\"version\": 1,\n\"units\": [UNIT,\n{\"organId\": \"B\",\n\"organName\": 7}]}", 4, nil,
        "units.[1].organName: has the wrong type"
      ),
      (
        "{\"version\": 1,\n\"units\": [{\"organName\": \"B\",\n\"organId\": \"a b\"}]}", 3, nil,
        "organId"
      ),
      (
        "{\"version\": 1,\n\"units\": [{\"organName\": \"B\", \"organId\": \"B\", \"groups\": [\"x\",\n3]}]}",
        3,
        nil, "groups"
      ),
      ("[]", 1, 1, "begins with “{”"), (" \n 7", 2, nil, "begins with “{”"),
    ] as [(String, Int?, Int?, String)])
  func aMistakeHasItsPlace(_ text: String, line: Int?, column: Int?, what: String) throws {
    let error = try #require(failure(text.replacing("UNIT", with: Self.unit)), "\(text)")
    #expect(error.kind == .malformed)
    #expect(error.reason.hasPrefix("“/etc/d.json”"), "\(error.reason)")
    #expect(error.reason.contains(what), "\(error.reason)")
    if let line { #expect(error.reason.contains("line \(line), "), "\(text): \(error.reason)") }
    if let column {
      #expect(error.reason.contains("column \(column):"), "\(text): \(error.reason)")
    }
    #expect(error.hint.contains("federation"))
  }

  @Test(arguments: [
    ("", "is empty"), (" \r\n\t", "is empty"), ("\u{FEFF}", "is empty"),
    ("<!DOCTYPE html>\n<html>", "is a web page"), ("<?xml version=\"1.0\"?>", "is a web page"),
    ("-----BEGIN CERTIFICATE-----\nAAAA", "is a PEM file"),
    ("organId,organName\nA,B", "“organId” is not JSON"),
  ])
  func anotherFileIsCalledWhatItIs(_ text: String, what: String) throws {
    let error = try #require(failure(text))
    #expect(error.reason.contains(what), "\(error.reason)")
  }

  @Test func bytesThatAreNoTextAreSaid() throws {
    for bytes in [Data([0x7B, 0xFF, 0xFE, 0x7D]), Data([0x50, 0x4B, 3, 4, 0x80, 0x81])] {
      #expect(try #require(failure(bytes)).reason.contains("neither UTF-8 nor UTF-16"))
    }
  }

  @Test func deepNestingIsRefused() throws {
    let deep = String(repeating: "[", count: 5000)
    #expect(try #require(failure("{\"version\": 1, \"units\": \(deep)")).kind == .malformed)
  }

  @Test func otherEncodingsAreRead() throws {
    let text = "{\"version\": 1,\r\n \"units\": [\(Self.unit)]}\r\n"
    let forms: [Data?] = [
      Data(text.utf8), Data("\u{FEFF}\(text)".utf8), text.data(using: .utf16),
      text.data(using: .utf16LittleEndian), text.data(using: .utf16BigEndian),
      "\u{FEFF}\(text)".data(using: .utf16BigEndian),
    ]
    for form in forms {
      #expect(try decode(try #require(form)).units.map(\.name) == ["Đơn vị A"])
    }
  }

  // MARK: Certificates

  private func listed(_ entries: [String]) throws -> [ListedCertificate] {
    let wire: [String: Any] = [
      "version": 1,
      "units": [
        ["organId": "A", "organName": "A", "certificates": entries],
        ["organId": "B", "organName": "B", "certificates": [Self.pem("certificate of B")]],
      ],
    ]
    let directory = try decode(JSONSerialization.data(withJSONObject: wire))
    // Whatever A's entries are, B is there with its own.
    #expect(directory.units[1].certificates.count == 1)
    return directory.units[0].listed
  }

  private static func pem(_ content: String, label: String = "CERTIFICATE") -> String {
    let body = Data(content.utf8).base64EncodedString(options: [.lineLength64Characters])
    return "-----BEGIN \(label)-----\n\(body)\n-----END \(label)-----\n"
  }

  @Test func aCertificateIsReadWhateverStandsAroundIt() throws {
    let pem = Self.pem(String(repeating: "chứng thư ", count: 30))
    let forms = [
      pem, pem.trimmingCharacters(in: .newlines), pem.replacing("\n", with: "\r\n"),
      "\u{FEFF}" + pem, "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + pem,
      "Bag Attributes\n    localKeyID: 01\nsubject=CN = x\nissuer=CN = y\n" + pem + "\n\nhết\n",
      pem.replacing("\n", with: " "), pem.replacing("\n", with: "\n   "),
      pem.replacing("CERTIFICATE", with: "X509 CERTIFICATE"),
    ]
    let digests = try listed(forms).map(\.digest)
    #expect(digests.count == forms.count)
    #expect(Set(digests).count == 1 && digests[0] != nil)
  }

  @Test(arguments: [
    ("", "is empty"), ("chứng thư", "there is no line -----BEGIN CERTIFICATE-----"),
    (pem("a") + pem("b"), "holds 2 PEM blocks"),
    (pem("a", label: "PRIVATE KEY"), "a private key does not belong into a directory"),
    (pem("a", label: "CERTIFICATE REQUEST"), "is a “CERTIFICATE REQUEST”, not a certificate"),
    (pem("a", label: "PKCS7"), "is a “PKCS7”, not a certificate"),
    ("-----BEGIN CERTIFICATE-----\nMIIB", "is cut off"),
    ("-----BEGIN CERTIFICATE-----\nM!!B\n-----END CERTIFICATE-----", "is damaged"),
    ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "is damaged"),
    ("-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----", "two characters \\n"),
    ("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "has no line -----BEGIN"),
  ])
  func whatIsWrongWithAnEntryIsSaid(_ text: String, what: String) throws {
    let entry = try listed([text])[0]
    #expect(entry.digest == nil && entry.der == nil)
    #expect(entry.problem?.contains(what) == true, "\(entry.problem ?? "")")
  }

  @Test func whatIsNoCertificateCountsForNothing() throws {
    let wire: [String: Any] = [
      "version": 1,
      "units": [
        ["organId": "A", "organName": "A", "certificates": [Self.pem("x"), Self.pem("y")]]
      ],
    ]
    let directory = try Directory.decode(
      JSONSerialization.data(withJSONObject: wire), hashing: Sum(),
      inspect: { $0 == Data("x".utf8) ? "is cut off" : nil })
    #expect(directory.units[0].listed.map(\.problem) == ["is cut off", nil])
    #expect(directory.units[0].certificates == [Sum().sha256(Data("y".utf8))])
    #expect(directory.owner(ofCertificate: Sum().sha256(Data("x".utf8))) == nil)
  }

  @Test func oneCertificateIsOneUnits() throws {
    func directory(_ first: [String], _ second: [String]) throws -> Directory {
      try decode(
        JSONSerialization.data(withJSONObject: [
          "version": 1,
          "units": [
            ["organId": "A", "organName": "A", "certificates": first],
            ["organId": "B", "organName": "B", "certificates": second],
          ],
        ]))
    }
    #expect(try directory([Self.pem("x"), Self.pem("x")], []).units.count == 2)
    #expect(throws: DirectoryError(.duplicate, "")) {
      try directory([Self.pem("x")], [Self.pem("x")])
    }
  }
}
