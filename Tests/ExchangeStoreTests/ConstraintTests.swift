import ExchangeCore
import ExchangeStore
import ExchangeTestKit
import Foundation
import GRDB
import Testing

/// What the database itself refuses, whatever the program does.
@Suite struct ConstraintTests {
  let test: TestStore

  init() throws { test = try TestStore() }

  /// The columns that a state needs, so that only the transition is at stake.
  private static func columns(_ state: OutgoingState) -> String {
    """
    state = '\(state.rawValue)', nextAt = \(state == .retrying ? "1" : "NULL"), lastError = 'X',
      finishedAt = 1
    """
  }

  @Test(arguments: OutgoingState.allCases)
  func deliveriesMoveAsTheTableSays(_ from: OutgoingState) throws {
    for to in OutgoingState.allCases where to != from {
      let key = try #require(try test.issue().first)
      // Every state can be reached from the first in one step.
      try test.sql("UPDATE delivery SET \(Self.columns(from)) WHERE key = ?", [key])
      let isAllowed = from.canBecome(to)
      let move = {
        try test.sql("UPDATE delivery SET \(Self.columns(to)) WHERE key = ?", [key])
      }
      if isAllowed {
        #expect(throws: Never.self, "\(from) → \(to)") { try move() }
      } else {
        #expect(throws: DatabaseError.self, "\(from) → \(to)") { try move() }
      }
      #expect(try test.delivery(key)?.state == (isAllowed ? to : from))
    }
  }

  /// A message may be inserted in any state.
  @Test(arguments: IncomingState.allCases, [false, true])
  func messagesMoveAsTheTableSays(_ from: IncomingState, _ hasDocument: Bool) throws {
    let needsDocument: Set<IncomingState> = [.verified, .incomplete]
    for (number, to) in IncomingState.allCases.enumerated() where to != from {
      if !hasDocument, needsDocument.contains(from) || needsDocument.contains(to) { continue }
      var document: Int64?
      if hasDocument {
        try test.issue()
        document = try test.sql("SELECT max(key) FROM document")[0][0]
      }
      let id = "\(from)-\(number)-\(hasDocument)"
      try test.sql(
        """
        INSERT INTO received (sender, messageID, bodySha256, type, lane, size, state, outcome,
          document, receivedAt, updatedAt)
        VALUES ('CDCS.BETA', ?, zeroblob(32), 't', 'ordinary', 1, ?, 'X', ?, 1, 1)
        """, [id, from.rawValue, document])
      let isAllowed = from.canBecome(to) && !(from == .accepted && hasDocument)
      let move = {
        try test.sql("UPDATE received SET state = ? WHERE messageID = ?", [to.rawValue, id])
      }
      if isAllowed {
        #expect(throws: Never.self, "\(from) → \(to)") { try move() }
      } else {
        #expect(throws: DatabaseError.self, "\(from) → \(to)") { try move() }
      }
      #expect(
        try test.texts("SELECT state FROM received WHERE messageID = '\(id)'") == [
          isAllowed ? to.rawValue : from.rawValue
        ])
    }
  }

  @Test func theTransitionTableIsTheProgramsTable() throws {
    var expected: Set<String> = []
    for from in OutgoingState.allCases {
      for to in OutgoingState.allCases where from.canBecome(to) {
        expected.insert("outgoing \(from) \(to)")
      }
    }
    for from in IncomingState.allCases {
      for to in IncomingState.allCases where from.canBecome(to) {
        expected.insert("incoming \(from) \(to)")
      }
    }
    let rows = try test.texts(
      "SELECT machine || ' ' || fromState || ' ' || toState FROM transition")
    #expect(Set(rows) == expected)
    #expect(rows.count == expected.count)
  }

  @Test(arguments: [
    // A delivery begins as queued, and each state has what it needs.
    "UPDATE delivery SET state = 'retrying', lastError = 'X'",
    "UPDATE delivery SET nextAt = 1",
    "UPDATE delivery SET state = 'suspended'",
    "UPDATE delivery SET state = 'delivered'",
    "UPDATE delivery SET state = 'lost'",
    "UPDATE delivery SET state = NULL",
    "UPDATE delivery SET progress = -1",
    "UPDATE delivery SET urgency = 4",
    "UPDATE delivery SET urgency = 'khẩn'",
    "UPDATE delivery SET document = 999",
    """
    INSERT INTO delivery (document, recipient, sequence, urgency, state, createdAt, updatedAt,
      finishedAt) VALUES (1, 'X', 1, 0, 'delivered', 1, 1, 1)
    """,
    """
    INSERT INTO delivery (document, recipient, sequence, urgency, state, createdAt, updatedAt)
    SELECT document, recipient, 99, 0, 'queued', 1, 1 FROM delivery
    """,
    // One document per sender and id, with digests of 32 bytes.
    """
    INSERT INTO document (direction, id, sender, manifestSha256, signed, codeNumber, codeSeparator,
      codeNotation, issuedDate, typeName, subject, urgency, createdAt)
    SELECT direction, id, sender, manifestSha256, signed, codeNumber, codeSeparator, codeNotation,
      issuedDate, typeName, subject, urgency, createdAt FROM document
    """,
    "UPDATE document SET manifestSha256 = x'00'",
    "UPDATE document SET direction = 'sideways'",
    "UPDATE document SET codeSeparator = '_'",
    "UPDATE document SET issuedDate = '2026-9-1'",
    "UPDATE attachment SET size = 0",
    "UPDATE attachment SET sha256 = 'text'",
    "UPDATE blob SET content = x'00'",
    "UPDATE blob SET size = 0",
    // A judged message has its outcome, a believed one its document.
    "UPDATE received SET state = 'quarantined'",
    "UPDATE received SET state = 'incomplete'",
    "UPDATE received SET lane = 'slow'",
    "UPDATE received SET bodySha256 = x''",
    """
    INSERT INTO received (sender, messageID, bodySha256, type, lane, size, state, receivedAt,
      updatedAt) SELECT sender, messageID, bodySha256, type, lane, size, state, 1, 1 FROM received
    """,
    "UPDATE notice SET state = 'delivered'",
    "UPDATE notice SET status = NULL",
    "UPDATE notice SET nextAt = 1",
    // The two logs only grow.
    "UPDATE history SET actor = 'nobody'",
    "DELETE FROM history",
    "UPDATE status SET code = '06'",
    "DELETE FROM status",
    "DELETE FROM document",
  ])
  func impossibleRowsAreRefused(_ statement: String) throws {
    try test.issue()
    try test.store.intake.store(messages: [test.message("thân")], pieces: [], at: test.clock.now)
    try test.sql(
      """
      INSERT INTO status (direction, id, documentID, fromUnit, toUnit, code, at, signed, recordedAt)
      VALUES ('sent', '01a1ee56-61d1-7f34-8859-94b8ab99aea1', 'd', 'a', 'b', '01', 1, x'00', 1)
      """)
    try test.sql(
      """
      INSERT INTO notice (status, type, messageID, toUnit, lane, state, updatedAt)
      VALUES (1, 'congvan.status', 'm', 'b', 'express', 'queued', 1)
      """)
    let before = try test.sql("SELECT * FROM delivery, document, received, status, history")
    #expect(throws: DatabaseError.self) { try test.sql(statement) }
    #expect(
      try test.sql("SELECT * FROM delivery, document, received, status, history") == before)
  }
}
