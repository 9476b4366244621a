import ExchangeCore
import ExchangeTestKit
import Testing

/// Random walks against the simplest model that can be right. A failure names its seed.
@Suite struct PropertyTests {
  // MARK: Window of unconfirmed messages

  /// The model: a list of open messages, searched from its beginning.
  private struct Open {
    let tag: UInt64
    let token: UInt64
    let id: String
    var returned: PublishOutcome?
  }

  /// 16 channels' lives of 10,000 steps each: every message gets exactly one outcome, the model's.
  @Test(arguments: 1...16) func everyMessageIsAnsweredOnceAsTheModelSays(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var window = PublishWindow(maximumCount: 64, maximumBytes: 64_000)
    var model: [Open] = []
    var nextTag: UInt64 = 1
    var added: UInt64 = 0
    var answered: Set<UInt64> = []

    func expect(_ settled: [PublishWindow.Settled], _ wanted: [(UInt64, PublishOutcome)]) {
      #expect(settled.map(\.token) == wanted.map(\.0), "seed \(seed)")
      #expect(settled.map(\.outcome) == wanted.map(\.1), "seed \(seed)")
      for (token, _) in settled {
        #expect(answered.insert(token).inserted, "\(token) is answered twice, seed \(seed)")
      }
    }

    for _ in 0..<10_000 {
      switch Int.random(in: 0..<100, using: &random) {
      case ..<45 where window.roomCount > 0:
        added += 1
        // Ids repeat: a message that was sent again while its first copy is open.
        let id = "m\(added / 2)"
        window.add(token: added, messageID: id, routingKey: "ordinary.B", bytes: 1000)
        model.append(Open(tag: nextTag, token: added, id: id))
        nextTag += 1
      case ..<75:
        // Now and then a tag that is not open, or was never given.
        let tag =
          random.chance(90)
          ? model.randomElement(using: &random)?.tag ?? 3
          : UInt64.random(in: 0...200, using: &random)
        let (isAck, isMultiple) = (random.chance(80), random.chance(30))
        let outcome: PublishOutcome = isAck ? .confirmed : .rejected
        let covered = model.filter {
          isMultiple ? tag == 0 || $0.tag <= tag : $0.tag == tag
        }
        model.removeAll { open in covered.contains { $0.tag == open.tag } }
        expect(
          window.confirmed(tag: tag, multiple: isMultiple, accepted: isAck),
          covered.map { ($0.token, $0.returned ?? outcome) })
      case ..<95:
        let id = model.randomElement(using: &random)?.id ?? "nobody"
        window.returned(messageID: id, routingKey: "ordinary.B", code: 312, text: "NO_ROUTE")
        if let index = model.firstIndex(where: { $0.id == id && $0.returned == nil }) {
          model[index].returned = .returned(code: 312, text: "NO_ROUTE")
        }
      default:
        let error = random.chance(50) ? (code: 406, text: "PRECONDITION_FAILED") : nil
        let silent = model.filter { $0.returned == nil }
        let wanted = model.map { open -> (UInt64, PublishOutcome) in
          if let returned = open.returned { return (open.token, returned) }
          if silent.count == 1, let error {
            return (open.token, .refused(code: error.code, text: error.text))
          }
          return (open.token, .unknown)
        }
        model = []
        nextTag = 1
        expect(window.lost(channelError: error), wanted)
      }
      #expect(window.count == model.count && window.bytes == 1000 * model.count, "seed \(seed)")
    }
    #expect(answered.count + model.count == Int(added), "seed \(seed)")
    #expect(added > 2000, "the walk went somewhere")
  }

  // MARK: Retry

  /// Over whole lives of refusals: no wait is longer than the cap, the waits' ceiling never shrinks, a
  /// person is asked exactly when the horizon is over, and never before.
  @Test(arguments: 1...50) func refusalsEndWithAPersonAtTheHorizon(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let horizon = Duration.seconds(Int64.random(in: 60...400_000, using: &random))
    let policy = RetryPolicy(horizon: horizon)
    var failingFor = Duration.zero
    for failure in 1...100_000 {
      let outcome: PublishOutcome =
        random.chance(50) ? .rejected : .returned(code: 312, text: "NO_ROUTE")
      switch policy.decide(outcome, failures: failure, failingFor: failingFor, using: &random) {
      case .retry(let after, _, _):
        #expect(failingFor < horizon, "seed \(seed)")
        #expect(after >= .zero && after <= policy.backoff.cap, "seed \(seed)")
        #expect(
          after <= policy.backoff.base * (1 << min(failure - 1, 20)),
          "failure \(failure), seed \(seed)")
        failingFor += after + .milliseconds(Int64.random(in: 0...1000, using: &random))
      case .suspend:
        #expect(failingFor >= horizon, "seed \(seed)")
        return
      case .settled, .again:
        Issue.record("a refusal is no success, seed \(seed)")
        return
      }
    }
    Issue.record("a person is never asked, seed \(seed)")
  }

  // MARK: Pieces

  /// Whatever the sizes, the plan's pieces are the file, each byte once, on the grid of the wire.
  @Test(arguments: 1...200) func piecesAreTheFile(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let near = Int64.random(in: 0...5, using: &random) * WireLimits.pieceBytes
    let size = max(1, near + Int64.random(in: -2...2, using: &random))
    let digest = SHA256Digest(bytes: random.bytes(32))
    guard let digest else { return }
    let plan = DeliveryPlan(attachments: [(digest, size)])
    var end: Int64 = 0
    for position in 0..<plan.count {
      switch plan[position] {
      case .piece(let address):
        #expect(address.offset == end && address.offset % WireLimits.pieceBytes == 0)
        #expect(address.length > 0 && address.length <= WireLimits.pieceBytes)
        #expect(address.size == size && address.sha256 == digest)
        end += address.length
      case .manifest: #expect(position == plan.count - 1)
      case nil: Issue.record("a hole at \(position), seed \(seed)")
      }
    }
    #expect(end == size, "seed \(seed)")
  }
}
