/// Transport state of one outgoing delivery: one document to one unit. Business status is kept
/// elsewhere; the two never share a column.
package enum OutgoingState: String, Sendable, Hashable, CaseIterable, Codable {
  /// Waiting for the publisher.
  case queued
  /// The broker confirmed every message of the delivery; the receipt is outstanding.
  case published
  /// A signed receipt was verified and stored. Only a signed refusal (02) can still follow.
  case delivered
  /// The broker answered but would not take it; tried again at `nextAt`.
  case retrying
  /// A person must act; `lastError` says why.
  case suspended
  /// The receiver answered 02 with a code: automatically, or by a person after the receipt.
  case refused
  /// Its time to live ended before a receipt came. Can be resent.
  case expired
  /// Withdrawn by a person before it was published, or before it arrived.
  case cancelled

  /// The transition table. The store enforces it inside the transaction.
  package func canBecome(_ next: OutgoingState) -> Bool {
    switch (self, next) {
    case (.queued, .published), (.queued, .retrying), (.queued, .suspended), (.queued, .cancelled),
      (.queued, .delivered), (.queued, .refused), (.queued, .expired),
      (.retrying, .queued), (.retrying, .published), (.retrying, .suspended),
      (.retrying, .cancelled), (.retrying, .delivered), (.retrying, .refused),
      (.retrying, .expired), (.retrying, .retrying),
      (.published, .delivered), (.published, .refused), (.published, .suspended),
      (.published, .expired), (.published, .queued),
      (.suspended, .queued), (.suspended, .cancelled), (.suspended, .delivered),
      (.suspended, .refused),
      // A person at the receiver may refuse what had arrived.
      (.delivered, .refused),
      // The receiver lost it and said so in its answer to a tally.
      (.delivered, .queued),
      (.refused, .queued), (.refused, .delivered),
      // Taken back while its last message was on its way: a signed answer is the truth.
      (.cancelled, .delivered), (.cancelled, .refused),
      // The take-back was declined: a person sends it to those that do not have it.
      (.cancelled, .queued),
      (.expired, .queued), (.expired, .delivered), (.expired, .refused):
      true
    default: false
    }
  }

  /// Shown by `--failed` and taken by `resend --failed`.
  package var isFailed: Bool { [.suspended, .refused, .expired].contains(self) }
}

/// Transport state of one incoming message with a document.
package enum IncomingState: String, Sendable, Hashable, CaseIterable, Codable {
  /// Stored raw and acknowledged to the broker; not judged yet.
  case received
  /// The manifest is believed; attachments are being put together.
  case verified
  /// The manifest is believed; attachments are still missing.
  case incomplete
  /// Whole, and the signed receipt is in the outbox; or a status that was taken into the log. Final
  /// for a document; a status that comes again is judged again.
  case accepted
  /// Not believed, or against a rule; the outcome code says which.
  case quarantined
  /// Put aside by a person, with a reason. Final.
  case discarded

  package func canBecome(_ next: IncomingState) -> Bool {
    switch (self, next) {
    case (.received, .verified), (.received, .incomplete), (.received, .accepted),
      (.received, .quarantined),
      (.verified, .accepted), (.verified, .incomplete), (.verified, .quarantined),
      (.incomplete, .accepted), (.incomplete, .quarantined), (.incomplete, .verified),
      (.quarantined, .received), (.quarantined, .discarded),
      // A status that comes again; the store refuses it for documents.
      (.accepted, .received):
      true
    default: false
    }
  }
}
