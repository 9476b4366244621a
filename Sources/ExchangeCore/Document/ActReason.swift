/// Why a person did something: recorded with the act, and sent along with some.
package enum ActReason {
  /// The reason as it is recorded: NFC, without spaces around. Throws `DocumentError`: `.reason` when it
  /// is empty, `.text` when it has more than 500 characters.
  package static func checked(_ text: String) throws -> String {
    let reason = CleanedText(text).text
    guard !reason.isEmpty else { throw DocumentError(.reason, "reason: is empty") }
    try TextRules.check(reason, field: "reason", maximum: 500)
    return reason
  }
}
