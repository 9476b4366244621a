import ExchangeCore
import Foundation
import Testing

@Suite struct DeliveryTests {
  private func digest(_ byte: UInt8) throws -> SHA256Digest {
    try #require(SHA256Digest(bytes: Data(repeating: byte, count: 32)))
  }

  @Test func aPlanListsEveryPieceOnceAndTheManifestLast() throws {
    let piece = WireLimits.pieceBytes
    let sizes: [Int64] = [1, piece, piece + 1, 5 * piece - 7]
    let files = try sizes.enumerated().map {
      (sha256: try digest(UInt8($0.offset)), size: $0.element)
    }
    let plan = DeliveryPlan(attachments: files + [files[0]])
    #expect(plan.count == 1 + 1 + 2 + 5 + 1)
    var bytes: [SHA256Digest: Int64] = [:]
    for position in 0..<(plan.count - 1) {
      guard case .piece(let address) = plan[position] else {
        Issue.record("position \(position) is no piece")
        return
      }
      #expect(address.offset == bytes[address.sha256, default: 0])
      bytes[address.sha256, default: 0] += address.length
    }
    #expect(bytes == Dictionary(uniqueKeysWithValues: files.map { ($0.sha256, $0.size) }))
    #expect(plan[plan.count - 1] == .manifest)
    #expect(plan[plan.count] == nil)
    #expect(plan[-1] == nil)
  }

  @Test func pieceAddressesOutsideTheGridDoNotExist() throws {
    let sha256 = try digest(1)
    let piece = WireLimits.pieceBytes
    #expect(PieceAddress(sha256: sha256, offset: piece, size: piece + 5)?.length == 5)
    for (offset, size) in [
      (1, piece), (-piece, piece), (piece, piece), (2 * piece, piece + 1), (0, 0), (0, -1),
      (0, WireLimits.documentBytes + 1), (Int64.max, Int64.max), (Int64.min, 5),
    ] {
      #expect(PieceAddress(sha256: sha256, offset: offset, size: size) == nil)
    }
  }

  @Test func backoffStaysBetweenZeroAndItsCeiling() {
    var random = SeededGenerator(seed: 42)
    let backoff = Backoff.message
    for failure in 1...100 {
      for _ in 0..<50 {
        let delay = backoff.delay(afterFailure: failure, using: &random)
        let ceiling = min(3600.0, 5 * pow(2, Double(failure - 1)))
        #expect(delay >= .zero)
        #expect(delay.seconds <= ceiling + 0.001)
      }
    }
    let late = (0..<2000).map { _ in backoff.delay(afterFailure: 60, using: &random).seconds }
    #expect(
      (1500...2100).contains(late.reduce(0, +) / 2000), "full jitter: the mean is half the cap")
  }

  @Test func decisionsFollowTheKindOfAnswer() {
    var random = SeededGenerator(seed: 1)
    let policy = RetryPolicy()
    func decide(_ outcome: PublishOutcome, hours: Int64 = 0) -> RetryDecision {
      policy.decide(outcome, failures: 3, failingFor: .seconds(hours * 3600), using: &random)
    }
    #expect(decide(.confirmed) == .settled)
    #expect(decide(.unknown, hours: 10_000) == .again)
    guard case .retry(_, "BROKER-NO-ROUTE", _) = decide(.returned(code: 312, text: "NO_ROUTE"))
    else {
      Issue.record("a unit without a queue is retried")
      return
    }
    guard case .suspend("BROKER-NO-ROUTE", _) = decide(.returned(code: 312, text: ""), hours: 72),
      case .suspend("BROKER-REJECTED", _) = decide(.rejected, hours: 73),
      case .suspend("BROKER-REFUSED-403", "no access") = decide(
        .refused(code: 403, text: "no access"))
    else {
      Issue.record("past the horizon, or when waiting cannot help, a person is asked")
      return
    }
  }

  /// What a state machine must keep whatever the table says.
  @Test func everyStateHasAWayOn() {
    for state in OutgoingState.allCases {
      #expect(OutgoingState.allCases.contains { state.canBecome($0) }, "\(state) is a trap")
    }
    for state in OutgoingState.allCases {
      // Only a signed answer says that what was cancelled had arrived, and only a person sends it.
      #expect(
        OutgoingState.cancelled.canBecome(state) == [.delivered, .refused, .queued].contains(state))
      #expect(!state.canBecome(.published) || [.queued, .retrying].contains(state))
    }
    for state in IncomingState.allCases {
      #expect(!IncomingState.discarded.canBecome(state))
      #expect(!IncomingState.accepted.canBecome(state) || state == .received)
    }
    for state in IncomingState.allCases where state != .discarded {
      #expect(IncomingState.allCases.contains { state.canBecome($0) })
    }
  }
}
