package import ExchangeCore
package import ExchangeStore

/// What a clerk enters to send a document.
package struct OutgoingDraft: Sendable {
  package var files: [String]
  package var recipients: [String]
  package var number: String
  package var date: String
  package var typeName: String
  package var subject: String
  package var signerName: String?
  package var position: String?
  package var competence: String?
  package var urgency: Urgency = .normal
  package var dueDate: String?
  package var replyTo: String?
  /// The document of this unit that this one replaces.
  package var replaces: String?
  package var secrecyMark: String?
  /// True when texts go out as they are although they look like TCVN3 or VNI.
  package var textAsIs = false
  /// When the deliveries end although no receipt came.
  package var expiresAt: Timestamp?
  /// `expiresAt` in the words of the clerk: a span such as 3d ends at another moment each time.
  package var expiresAsGiven: String?
  /// Under which the document is issued at most once.
  package var key: String?

  package init(
    files: [String], recipients: [String], number: String, date: String, typeName: String,
    subject: String
  ) {
    self.files = files
    self.recipients = recipients
    self.number = number
    self.date = date
    self.typeName = typeName
    self.subject = subject
  }
}

/// What `Office.send` did.
package struct SentDocument: Sendable {
  package let id: RecordID
  package let deliveries: [DeliverySummary]
  /// What the clerk should know although the document is issued.
  package let warnings: [Warning]
  package let key: String?
  /// True when it had been issued before under the same key, and nothing was done.
  package let isRepeated: Bool
}
