/// Why a message was not accepted: the codes that cross between units and that quarantine shows.
/// The catalogue with texts in both languages is schemas/outcome-codes.json; a test keeps the two
/// equal. Codes are only ever added.
package struct OutcomeCode: Hashable, Sendable, RawRepresentable, CustomStringConvertible {
  package let rawValue: String

  package init(rawValue: String) { self.rawValue = rawValue }
  package init(_ problem: SignatureProblem) { rawValue = problem.rawValue }

  /// A secrecy mark was declared: content that must not enter the system (Điều 5).
  package static let dieu5 = OutcomeCode(rawValue: "DIEU5")
  package static let unknownSender = OutcomeCode(rawValue: "SENDER-UNKNOWN")
  package static let senderMismatch = OutcomeCode(rawValue: "SENDER-MISMATCH")
  package static let notAddressed = OutcomeCode(rawValue: "NOT-ADDRESSED")
  package static let malformed = OutcomeCode(rawValue: "MANIFEST-MALFORMED")
  package static let rule = OutcomeCode(rawValue: "MANIFEST-RULE")
  package static let version = OutcomeCode(rawValue: "VERSION-UNKNOWN")
  package static let messageKind = OutcomeCode(rawValue: "MESSAGE-UNKNOWN")
  package static let tooLarge = OutcomeCode(rawValue: "TOO-LARGE")
  package static let conflict = OutcomeCode(rawValue: "ID-CONFLICT")
  package static let attachmentAltered = OutcomeCode(rawValue: "ATTACHMENT-ALTERED")
  package static let attachmentFormat = OutcomeCode(rawValue: "ATTACHMENT-FORMAT")
  package static let pieceMalformed = OutcomeCode(rawValue: "PIECE-MALFORMED")
  package static let statusUnmatched = OutcomeCode(rawValue: "STATUS-UNMATCHED")
  package static let statusInFuture = OutcomeCode(rawValue: "STATUS-TIME-IN-FUTURE")
  package static let refusedByPerson = OutcomeCode(rawValue: "REFUSED-BY-PERSON")

  /// What a delivery shows when a refusal gives no code. It never crosses the wire.
  package static let refusedWithoutReason = OutcomeCode(rawValue: "REFUSED-WITHOUT-REASON")

  package static let all: [OutcomeCode] =
    [
      dieu5, unknownSender, senderMismatch, notAddressed, malformed, rule, version, messageKind,
      tooLarge, conflict, attachmentAltered, attachmentFormat, pieceMalformed, statusUnmatched,
      statusInFuture, refusedByPerson,
    ] + SignatureProblem.allCases.map(OutcomeCode.init)

  package var description: String { rawValue }
}
