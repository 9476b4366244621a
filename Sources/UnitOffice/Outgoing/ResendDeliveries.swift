import ExchangeCore
package import ExchangeStore
import NodeDatabase

/// Signs nothing: the same bytes go out again, so it works without the unit's key.
extension Office {
  /// Queues deliveries again: same id, same bytes. `ids` are document ids (or their beginnings) or
  /// delivery ids (`document/unit`).
  package func resend(
    ids: [String], filter: DeliveryFilter, reason: String, dryRun: Bool
  ) throws -> [ResendResult] {
    var results: [ResendResult] = []
    try resend(ids: ids, filter: filter, reason: reason, dryRun: dryRun) { results += $0 }
    return results
  }

  /// As above; `report` gets the results step by step, each when it is committed.
  package func resend(
    ids: [String], filter: DeliveryFilter, reason: String, dryRun: Bool,
    report: ([ResendResult]) throws -> Void
  ) throws {
    let reason = try ActReason.checked(reason)
    // However many they are: only keys, and what may be refused again, are kept.
    var keys: [Int64] = []
    var doubtful: [DeliverySummary] = []
    func add(_ delivery: DeliverySummary) {
      keys.append(delivery.key)
      if delivery.state == .refused { doubtful.append(delivery) }
    }
    if ids.isEmpty {
      var filter = filter
      // What was cancelled goes out only when it is named.
      if filter.states.isEmpty {
        filter.states = OutgoingState.allCases.filter { $0 != .cancelled }
      }
      try context.store.reader.eachDelivery(filter) { add($0) }
    }
    for id in ids { try deliveries(named: id, filter).forEach(add) }
    let vain = try stillUnbelieved(among: doubtful)
    if !vain.isEmpty {
      let leftAlone = Set(vain.map(\.delivery))
      keys.removeAll { leftAlone.contains($0) }
      try report(vain)
    }
    try context.store.joining.resend(
      keys, reason: reason, dryRun: dryRun, at: context.clock.now, by: actor, report: report)
  }

  /// The deliveries of a document, or the one of `document/unit`, that fit `filter`; at least one.
  private func deliveries(named id: String, _ filter: DeliveryFilter) throws -> [DeliverySummary] {
    let parts = id.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let (document, direction) = try context.store.reader.find(
      String(parts[0]), preferring: "outgoing")
    guard direction == "outgoing" else {
      throw StoreError(
        .notFound, "document \(document.id) is an incoming one, which is not resent from here",
        next: "List what this unit issued with: congvan outbox")
    }
    let list = "List deliveries with: congvan deliveries --document \(document.id)"
    var one = filter
    one.documents = [document.id]
    if parts.count == 2 {
      guard let unit = UnitID(String(parts[1])) else {
        throw StoreError(
          .notFound, "no delivery “\(id)”: what follows “/” is not a unit's identifier", next: list)
      }
      one.to = [context.directory.current.unit(unit)?.id ?? unit]
    }
    let these = try context.store.reader.deliveries(one)
    guard !these.isEmpty else {
      throw StoreError(.notFound, "no delivery “\(id)”, with the criteria given", next: list)
    }
    return these
  }

  /// Deliveries that were refused for the signature of their document, and would be again: the same
  /// bytes go out, and by today's certificates, lists and directory they are still not believed. When
  /// they are, the receiver may have learned of the certificate meanwhile, and a resend delivers.
  private func stillUnbelieved(among deliveries: [DeliverySummary]) throws -> [ResendResult] {
    let now = context.clock.now
    var reasons: [RecordID: String?] = [:]
    return try deliveries.compactMap { delivery in
      guard delivery.state == .refused, delivery.lastError?.hasPrefix("SIGNATURE-") == true else {
        return nil
      }
      if reasons[delivery.document] == nil {
        reasons[delivery.document] = .some(try problem(of: delivery.document, at: now))
      }
      guard let reason = reasons[delivery.document] ?? nil else { return nil }
      return .leftAlone(delivery, because: reason)
    }
  }

  private func problem(of document: RecordID, at now: Timestamp) throws -> String? {
    let key = try outgoing(document.rawValue).key
    let signed = try context.store.relay.signedManifest(document: key)
    guard
      case .invalid(let problem, let detail, _) = context.verifier.verify(
        signed, from: context.unit.organId, arrivedAt: now)
    else { return nil }
    return "it was signed with a certificate that is still not believed (\(problem.rawValue): "
      + "\(detail)); issue it anew with: congvan send … --replaces \(document)"
  }
}
