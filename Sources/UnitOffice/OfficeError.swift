package import ExchangeCore

/// Why an act of a person could not be carried out.
package typealias OfficeError = Failure<OfficeErrorCode>

package enum OfficeErrorCode: String, FailureCode {
  case notIncoming = "DOCUMENT-NOT-INCOMING"
  case notOutgoing = "DOCUMENT-NOT-OUTGOING"
  case frozen = "DOCUMENT-FROZEN"
  case notRecalled = "DOCUMENT-NOT-RECALLED"
  case notAccepted = "DOCUMENT-NOT-ACCEPTED"
  case alreadyRefused = "DOCUMENT-ALREADY-REFUSED"
  case exportExists = "EXPORT-EXISTS"
  case exportFailed = "EXPORT-FAILED"
  case verifyFailed = "VERIFY-FAILED"
  case notAnExport = "NOT-AN-EXPORT"
  case known = "DOCUMENT-KNOWN"
  case notYetWhole = "DOCUMENT-INCOMPLETE"
  case badKey = "SEND-KEY"
  case keyUsed = "SEND-KEY-USED"
  case noKey = "SIGNING-KEY-NOT-LOADED"

  package var hint: String {
    switch self {
    case .notOutgoing: "See the outgoing documents with: congvan outbox"
    case .frozen, .notRecalled: "See what happened with: congvan show ID"
    case .notIncoming, .notAccepted: "See the incoming documents with: congvan inbox"
    case .alreadyRefused, .known: "Nothing to do; see: congvan show ID"
    case .exportExists: "Give an empty or new folder with --out."
    case .exportFailed: "Check the folder's permissions and free space."
    case .notAnExport: "Give the folder that congvan export wrote, or the manifest.p7m in it."
    case .verifyFailed: "Do not use this copy; ask the sender or the exporting unit for a new one."
    case .notYetWhole: "Wait until every attachment has arrived; see: congvan show ID"
    case .badKey:
      "Give a key that your program makes once for each document, such as an order number."
    case .keyUsed: "Use another key for another document."
    case .noKey: "Check the key with: congvan config check"
    }
  }
}
