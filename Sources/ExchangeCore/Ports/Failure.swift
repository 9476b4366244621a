/// The closed list of reasons a module can fail for: a stable code and what to do about each.
///
/// Codes are part of the product's interface: they are printed, logged and quoted on the telephone,
/// so they are only ever added.
package protocol FailureCode: RawRepresentable, Sendable, Hashable where RawValue == String {
  /// The next step for the person who meets this failure: one sentence, naming the command if any.
  var hint: String { get }
}

/// An error that a person can meet: code, what happened, what to do next.
package protocol ReportableError: Error, Sendable, CustomStringConvertible {
  /// Stable code, for example `CONFIG-UNKNOWN-KEY`.
  var code: String { get }
  /// What happened, with the field and the rule, without secrets.
  var reason: String { get }
  /// The next step.
  var hint: String { get }
}

extension ReportableError {
  package var description: String { "\(code): \(reason)" }
}

/// The one error struct of every module, closed over the module's own list of codes.
///
/// Two failures are equal when their codes are: tests compare what happened, not prose.
package struct Failure<Code: FailureCode>: ReportableError, Equatable {
  package let kind: Code
  package let reason: String
  /// The next step for this very cause; nil when the one of the code fits.
  private let next: String?

  /// `next` is the next step when the cause asks for another one than the code in general.
  package init(_ kind: Code, _ reason: String, next: String? = nil) {
    self.kind = kind
    self.reason = reason
    self.next = next
  }

  package var code: String { kind.rawValue }
  package var hint: String { next ?? kind.hint }

  package static func == (left: Self, right: Self) -> Bool { left.kind == right.kind }
}
