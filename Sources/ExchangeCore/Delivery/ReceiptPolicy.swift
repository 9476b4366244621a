/// When a missing receipt is worth a person's look. It never means that a delivery failed: the other
/// unit's machine may be off for weeks, and the broker keeps the message.
package struct ReceiptPolicy: Sendable, Hashable {
  /// A delivery that the broker has had for so long without a receipt is overdue.
  package var overdueAfter: Duration
  /// A delivery without a receipt that ends (`expiresAt`) within this time is about to expire.
  package var expiryWarning: Duration

  package init(
    overdueAfter: Duration = .seconds(72 * 3600), expiryWarning: Duration = .seconds(24 * 3600)
  ) {
    self.overdueAfter = overdueAfter
    self.expiryWarning = expiryWarning
  }
}

/// The policy at one moment: what lists, filters and warnings compare with.
package struct ReceiptWatch: Sendable, Hashable {
  /// Published then or earlier: overdue.
  package let overdueBefore: Timestamp
  /// Ends then or earlier: about to expire.
  package let expiringBefore: Timestamp

  package init(_ policy: ReceiptPolicy, now: Timestamp) {
    overdueBefore = now.advanced(by: .zero - policy.overdueAfter)
    expiringBefore = now.advanced(by: policy.expiryWarning)
  }

  package func isOverdue(_ state: OutgoingState, publishedAt: Timestamp?) -> Bool {
    state == .published && publishedAt.map { $0 <= overdueBefore } ?? false
  }

  package func isExpiring(_ state: OutgoingState, expiresAt: Timestamp?) -> Bool {
    Self.expires.contains(state) && expiresAt.map { $0 <= expiringBefore } ?? false
  }

  /// States that a time to live ends.
  package static let expires: [OutgoingState] = [.queued, .retrying, .published]
}
