import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

/// What a peer, the broker or a file wrote, on the operator's terminal: nothing of it acts.
@Suite struct HostileTextTests {
  static let hostile =
    "\u{1B}[2J\u{1B}]8;;http://x\u{7}\nFORGED\rFORGED\u{9B}31m\u{85}FORGED\u{2028}FORGED\u{202E}\u{7F}\u{FEFF}"

  private static func sql(_ text: String) -> String {
    "CAST(x'" + text.utf8.map { String(format: "%02x", $0) }.joined() + "' AS TEXT)"
  }

  /// An office in whose database every text that somebody else may write is `text`.
  private func office(_ text: String) async throws -> (Office, id: String, message: String) {
    let office = try await Office()
    let id = try await office.node.send(try Samples.pdf(), to: "CDCS-MAY")
    let value = Self.sql(text)
    try await office.node.sql(
      """
      UPDATE document SET subject = \(value), typeName = \(value);
      UPDATE attachment SET name = \(value), mediaType = \(value);
      UPDATE delivery SET lastError = 'X', lastErrorText = \(value);
      INSERT INTO received (sender, messageID, bodySha256, type, size, lane, state, outcome, detail,
        receivedAt, updatedAt) VALUES ('CDCS-MAY', \(value), randomblob(32), \(value), 1, 'ordinary',
        'quarantined', 'MANIFEST-RULE', \(value), 0, 0);
      INSERT INTO history (at, subject, subjectKey, document, toState, actor, cause, detail)
        VALUES (0, 'received', 1, 1, 'quarantined', \(value), \(value), \(value));
      INSERT INTO status (direction, id, document, documentID, fromUnit, toUnit, code, at, reasonCode,
        note, signed, recordedAt) VALUES ('received', '01976f3e-aaaa-7abc-8abc-0123456789ab', 1,
        '\(id)', 'CDCS-MAY', 'LDLD-TINH', '02', 0, \(value), \(value), x'00', 0);
      INSERT INTO tally (direction, id, unit, entries, at)
        VALUES ('sent', '01976f3e-aaaa-7abc-8abc-0123456789ac', 'CDCS-MAY', 1, 0);
      INSERT INTO notice (tally, type, messageID, toUnit, lane, signed, state, lastError, lastErrorText,
        updatedAt) SELECT key, \(value), \(value), 'CDCS-MAY', 'express', x'00', 'suspended', 'X',
        \(value), 0 FROM tally;
      """)
    return (office, id, try await office.node.sql("SELECT key FROM received"))
  }

  @Test(arguments: [hostile, "\u{1B}\u{FFFD}\u{9D}FORGED\n"]) func noListingActs(_ text: String)
    async throws
  {
    let (office, id, message) = try await office(text)
    let listings = [
      ["outbox"], ["inbox"], ["deliveries"], ["show", id], ["quarantine"],
      ["quarantine", "show", message], ["notices"],
    ]
    for listing in listings + listings.map({ $0 + ["--json"] }) {
      let result = try await office.node.congvan(listing)
      #expect(result.status == 0, "\(listing): \(result)")
      for output in [result.output, result.errors] {
        let bad = output.unicodeScalars.filter { $0 != "\n" && HarmlessText.acts($0) }
        #expect(bad.isEmpty, "\(listing): \(bad.map(\.value))")
        #expect(!output.split(separator: "\n").contains { $0.hasPrefix("FORGED") }, "\(listing)")
      }
    }
    let kept = try Shape.list(try await office.node.require("quarantine", "--json"))
    #expect(kept.first?["detail"] as? String == text)
    let reason = try await office.node.congvan(["refuse", "01976f3e", "--reason", text])
    #expect(!reason.errors.unicodeScalars.contains { $0 != "\n" && HarmlessText.acts($0) })
  }

  /// Bytes that are no UTF-8 at all, as a damaged database or an old node may have them.
  @Test func bytesThatAreNoTextStayHarmless() async throws {
    let office = try await Office()
    try await office.node.sql(
      """
      INSERT INTO received (sender, messageID, bodySha256, type, size, lane, state, outcome, detail,
        receivedAt, updatedAt) VALUES ('CDCS-MAY', 'm', randomblob(32), 'x', 1, 'ordinary',
        'quarantined', 'MANIFEST-RULE', CAST(x'ff1b5b324a80c31b' AS TEXT), 0, 0);
      """)
    let text = try await office.node.require("quarantine")
    #expect(!text.unicodeScalars.contains { $0 != "\n" && HarmlessText.acts($0) })
    _ = try Shape.list(try await office.node.require("quarantine", "--json"))
  }

  /// JSON gives back exactly what was stored, whatever it was.
  @Test(arguments: [11, 12] as [UInt64]) func jsonIsValidForEveryText(_ seed: UInt64) async throws {
    var random = SeededRandom(seed: seed)
    let office = try await Office()
    let texts = (0..<100).map { _ in
      var text = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 1...30, using: &random) {
        let most: UInt32 = random.chance(50) ? 0xA0 : 0x10FFFF
        if let scalar = Unicode.Scalar(UInt32.random(in: 1...most, using: &random)) {
          text.append(scalar)
        }
      }
      return String(text)
    }
    try await office.node.sql(
      texts.enumerated().map { index, text in
        """
        INSERT INTO received (sender, messageID, bodySha256, type, size, lane, state, outcome, detail,
          receivedAt, updatedAt) VALUES ('CDCS-MAY', 'm\(index)', randomblob(32), 'x', 1, 'ordinary',
          'quarantined', 'MANIFEST-RULE', \(Self.sql(text)), 0, 0);
        """
      }.joined(separator: "\n"))
    let output = try await office.node.require("quarantine", "--json")
    #expect(!output.unicodeScalars.contains { $0 != "\n" && HarmlessText.acts($0) }, "seed \(seed)")
    let details = try Shape.list(output).reversed().map { $0["detail"] as? String ?? "" }
    #expect(details.map { Array($0.utf8) } == texts.map { Array($0.utf8) }, "seed \(seed)")
  }
}
