import Foundation
import Testing

/// Everything that runs real nodes against a real broker, one test after the other: the machine is
/// small, and one test restarts the broker.
@Suite(.serialized, .timeLimit(.minutes(4 + LongForms.diskMinutes))) enum Exchange {}

/// What is asked for by hand to run longer than in `deploy/test`.
enum LongForms {
  /// How long a full disk stays full: `CONGVAN_TEST_DISK_MINUTES`.
  static let diskMinutes =
    ProcessInfo.processInfo.environment["CONGVAN_TEST_DISK_MINUTES"].flatMap { Int($0) } ?? 0
}
