package import ExchangeCore

/// Why an action of the node could not be carried out.
package typealias NodeError = Failure<NodeErrorCode>

package enum NodeErrorCode: String, FailureCode {
  case unreachable = "NODE-BROKER-UNREACHABLE"
  case notAUnit = "UNIT-NOT-IN-DIRECTORY"

  package var hint: String {
    switch self {
    case .unreachable: "Check the broker with: congvan config check"
    case .notAUnit: "Ask the federation to enter this unit and its certificate in the directory."
    }
  }
}
