package import ExchangeCore

/// Why an action of the node could not be carried out.
package typealias NodeError = Failure<NodeErrorCode>

package enum NodeErrorCode: String, FailureCode {
  case unreachable = "NODE-BROKER-UNREACHABLE"
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
  case notAUnit = "UNIT-NOT-IN-DIRECTORY"
  case notYetWhole = "DOCUMENT-INCOMPLETE"
  case reason = "REASON-MISSING"
  case badKey = "SEND-KEY"
  case keyUsed = "SEND-KEY-USED"

  package var hint: String {
    switch self {
    case .unreachable: "Check the broker with: congvan config check"
    case .notOutgoing: "See the outgoing documents with: congvan outbox"
    case .frozen, .notRecalled: "See what happened with: congvan show ID"
    case .notIncoming, .notAccepted: "See the incoming documents with: congvan inbox"
    case .alreadyRefused, .known: "Nothing to do; see: congvan show ID"
    case .exportExists: "Give an empty or new folder with --out."
    case .exportFailed: "Check the folder's permissions and free space."
    case .notAnExport: "Give the folder that congvan export wrote, or the manifest.p7m in it."
    case .verifyFailed: "Do not use this copy; ask the sender or the exporting unit for a new one."
    case .notAUnit: "Ask the federation to enter this unit and its certificate in the directory."
    case .notYetWhole: "Wait until every attachment has arrived; see: congvan show ID"
    case .badKey:
      "Give a key that your program makes once for each document, such as an order number."
    case .keyUsed: "Use another key for another document."
    case .reason: "Give a reason: it is recorded, and sent along with a refusal."
    }
  }
}
