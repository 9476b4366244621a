package import ExchangeCore
package import ExchangeNode
package import ExchangeStore
package import Logging

/// Tallies that an operator asks for: what `reconcile` does.
package struct TallyByHand: Sendable {
  private let upkeep: Upkeep
  private let reader: ExchangeReader
  private let actor: Actor

  package init(context: NodeContext, policy: Upkeep.Policy, actor: Actor, log: Logger) {
    upkeep = Upkeep(context: context, policy: policy, log: log)
    reader = context.store.reader
    self.actor = actor
  }

  package struct Outcome: Sendable {
    package fileprivate(set) var queued: Set<UnitID> = []
    package fileprivate(set) var failures: [UnitID: any Error] = [:]

    /// Nothing was asked for.
    package init() {}
  }

  /// Queues a signed tally to each of `units` (nil: to every unit) that something was sent to. `queued` is
  /// called after each one that is committed.
  package func send(to units: [UnitID]?, queued: (UnitID) -> Void) throws -> Outcome {
    var outcome = Outcome()
    for pair in try reader.reconciliations(withAny: units) {
      // A unit that fails is no reason to leave out those after it.
      do {
        guard try upkeep.tally(pair.unit, by: actor) else { continue }
        outcome.queued.insert(pair.unit)
        queued(pair.unit)
      } catch {
        outcome.failures[pair.unit] = error
      }
    }
    return outcome
  }
}

extension ExchangeReader {
  /// How things stand with each of `units`; nil for all that something was sent to.
  package func reconciliations(withAny units: [UnitID]?) throws -> [Reconciliation] {
    guard let units else { return try reconciliations(with: nil) }
    return try units.flatMap { try reconciliations(with: $0) }
  }
}
