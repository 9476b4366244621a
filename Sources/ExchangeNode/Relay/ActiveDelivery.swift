import ExchangeCore
import ExchangeStore
import NodeDatabase

/// One delivery while it is being published: which messages are out, which are confirmed. A value
/// without I/O.
struct ActiveDelivery {
  let work: DeliveryWork
  /// Positions published and not answered yet.
  private(set) var outstanding: Set<Int64> = []
  /// Positions whose answer was lost with a connection.
  private var again: Set<Int64> = []
  /// Positions confirmed beyond `progress`, out of order.
  private var confirmed: Set<Int64> = []
  /// Every position below is confirmed.
  private(set) var progress: Int64
  var savedProgress: Int64
  private var nextPosition: Int64
  private(set) var failure: PublishOutcome?
  /// Its turn is over because it ended in the database meanwhile: nothing is left to write down.
  private(set) var isDropped = false
  /// Why it cannot go on for a reason of our own: content that is missing or damaged.
  private(set) var storeFailure: StoreError?

  /// Confirmed pieces after which progress is written down, so that a restart resumes near there.
  private static let saveInterval: Int64 = 32

  init(_ work: DeliveryWork) {
    self.work = work
    // The manifest always goes out again, even when everything had been confirmed.
    progress = max(0, min(work.progress, work.plan.count - 1))
    savedProgress = progress
    nextPosition = progress
  }

  var hasNext: Bool { !isOver && (!again.isEmpty || nextPosition < work.plan.count) }
  var isComplete: Bool { progress == work.plan.count }
  var shouldSaveProgress: Bool { progress - savedProgress >= Self.saveInterval }

  private var isOver: Bool { failure != nil || storeFailure != nil || isDropped }

  /// The next message to publish, or nil.
  func peek() -> (position: Int64, step: DeliveryPlan.Step)? {
    guard !isOver else { return nil }
    let position = again.min() ?? nextPosition
    return work.plan[position].map { (position, $0) }
  }

  mutating func take(_ position: Int64) {
    again.remove(position)
    if position == nextPosition { nextPosition += 1 }
    outstanding.insert(position)
  }

  mutating func drop() { isDropped = true }

  mutating func fail(_ outcome: PublishOutcome) { failure = failure ?? outcome }

  mutating func fail(_ error: StoreError) { storeFailure = storeFailure ?? error }

  mutating func settle(position: Int64, _ outcome: PublishOutcome) {
    guard outstanding.remove(position) != nil else { return }
    switch outcome {
    case .confirmed:
      confirmed.insert(position)
      while confirmed.remove(progress) != nil { progress += 1 }
    case .unknown: again.insert(position)
    case .returned, .rejected, .refused: fail(outcome)
    }
  }
}
