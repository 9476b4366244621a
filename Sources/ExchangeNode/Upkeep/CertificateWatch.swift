import ExchangeCore
package import Logging
import Synchronization

/// Says in the log when what this unit signs would not be believed, and when its certificate ends
/// soon: at the start, when it changes, and once a day.
package final class CertificateWatch: Sendable {
  private struct Said: Equatable {
    var problem: String?
    var at: Timestamp
  }

  private let context: NodeContext
  private let log: Logger
  private let said = Mutex<Said?>(nil)
  private static let again = Duration.seconds(86_400)

  package init(context: NodeContext, log: Logger) {
    self.context = context
    self.log = log
  }

  /// Looks now. The node goes on whatever is found: it receives and stores, and signs nothing until
  /// the certificate is in order.
  package func step() {
    let now = context.clock.now
    var failure: (any Error)?
    do { try context.signer.requireBelieved(at: now) } catch { failure = error }
    let problem = failure.map { "\($0)" }
    let before = said.withLock { $0 }
    let isDue = before.map { now >= $0.at.advanced(by: Self.again) || now < $0.at } ?? true
    guard isDue || before?.problem != problem else { return }
    said.withLock { $0 = Said(problem: problem, at: now) }
    if let failure {
      let report = failure as? any ReportableError
      log.error(
        "nothing is signed, because other units would not believe it; messages are stored and wait",
        metadata: [
          "code": "\(report?.code ?? "UNEXPECTED")", "reason": "\(report?.reason ?? problem ?? "")",
          "next": "\(report?.hint ?? "")",
        ])
    } else if before?.problem != nil {
      log.notice("the signing certificate is believed again")
    }
    if let warning = CertificateEnd.warning(of: context.signer.certificate, at: now) {
      log.warning("the signing certificate ends soon", metadata: ["detail": "\(warning.text)"])
    }
  }
}
