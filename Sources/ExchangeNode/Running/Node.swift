package import ExchangeCore
import ExchangeStore
import Foundation
package import Logging
import NodeDatabase
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The daemon: publisher, two consumers, judge and assembler, each on its own thread, over one
/// store.
package final class Node: Sendable {
  package struct Options: Sendable {
    package var limits = IntakeLimits()
    package var policy = RetryPolicy()
    package var upkeep = Upkeep.Policy()
    /// Return when nothing is left to send or to receive.
    package var untilIdle = false

    package init() {}
  }

  private let context: NodeContext
  private let transport: any DocumentTransport
  private let options: Options
  private let log: Logger
  private let stop = StopSignal()
  private let reviewBell = Doorbell()
  private let assemblyBell = Doorbell()
  private let relay: Relay
  private let review: MessageReview
  private let links: LinkWatch
  private let certificate: CertificateWatch
  private let quarantineLog: QuarantineLog
  /// How often content came, and up to which of those times the review has looked at all documents
  /// that wait for attachments.
  private let contentCount = Atomic(1)
  private let reviewedCount = Atomic(0)

  package init(
    context: NodeContext, transport: any DocumentTransport, options: Options, log: Logger
  ) {
    self.context = context
    self.transport = transport
    self.options = options
    self.log = log
    let links = LinkWatch(log: log, givesUp: options.untilIdle)
    self.links = links
    relay = Relay(
      store: context.store, clock: context.clock, policy: options.policy, log: log,
      onLink: { links.changed("publisher", $0) })
    certificate = CertificateWatch(context: context, log: log)
    quarantineLog = QuarantineLog(log: log, clock: context.clock)
    review = MessageReview(
      context: context, limits: options.limits, log: log, quarantineLog: quarantineLog)
  }

  /// Prepares the folder and returns when the daemon has stopped: on SIGTERM, SIGINT, cancellation,
  /// or, with `untilIdle`, when nothing moves any more. What was in flight needs no recovery of its
  /// own: it is still `queued` or `received` and goes on.
  ///
  /// Throws `NodeError.unreachable` with `untilIdle` when the broker cannot be used.
  package func run(handlesSignals: Bool = true) async throws {
    let threads = ThreadsService(
      stop: stop, prepare: { [self] in try prepare() }, workers: workers())
    let group = ServiceGroup(
      configuration: .init(
        services: [
          .init(service: threads, successTerminationBehavior: .gracefullyShutdownGroup)
        ],
        gracefulShutdownSignals: handlesSignals ? [.sigterm, .sigint] : [], logger: log))
    try await group.run()
    try context.store.file.checkpoint()
    log.info("node stopped", metadata: ["unit": "\(context.unit.organId)"])
    if let failure = links.failure { throw failure }
  }

  private func prepare() throws {
    let now = context.clock.now
    try context.store.file.check()
    try context.store.contents.sweepContent(at: now)
    try context.store.review.lookAgainAtWaiting(at: now)
    try review.announce()
    _ = try context.store.relay.reviveNotices(suspendedBefore: now, at: now)
    log.info("node started", metadata: ["unit": "\(context.unit.organId)"])
    certificate.step()
  }

  /// All of them listen to one stop signal. What a loop leaves undone is in the database.
  private func workers() -> [ThreadsService.Worker] {
    var workers: [ThreadsService.Worker] = [
      .init(name: "publisher") { [self] in transport.publish(from: relay, until: stop) },
      .init(name: "review") { [self] in reviewing() },
      .init(name: "assembler") { [self] in assembling() },
      .init(name: "upkeep") { [self] in keepingUp() },
    ]
    workers += Lane.allCases.map { lane in
      .init(name: "consumer \(lane)") { [self] in
        let intake = Intake(
          store: context.store, hashing: context.hashing, clock: context.clock,
          limits: options.limits,
          isKnown: { [directory = context.directory] in directory.current.unit($0) != nil },
          events: LaneEvents(node: self, lane: lane), quarantineLog: quarantineLog)
        transport.consume(lane, into: intake, until: stop)
      }
    }
    if options.untilIdle {
      workers.append(.init(name: "idle watch") { [self] in waitForIdle() })
    }
    return workers
  }

  // MARK: Loops

  private func reviewing() {
    loop(reviewBell, name: "review") { [self] in
      let content = contentCount.load(ordering: .acquiring)
      let count = try review.step(ripe: content != reviewedCount.load(ordering: .relaxed))
      // One step takes a batch, which may not be all.
      if count == 0 || review.hasSeenRipe { reviewedCount.store(content, ordering: .releasing) }
      if count > 0 { stop.wake() }
      return count > 0
    }
  }

  private func assembling() {
    let assembler = Assembler(context: context, log: log)
    loop(assemblyBell, name: "assembler") { [self] in
      let count = try assembler.step()
      if count > 0 { contentArrived() }
      return count > 0
    }
  }

  private func keepingUp() {
    let upkeep = Upkeep(context: context, policy: options.upkeep, log: log)
    let care = ContentScrubber(context: context, log: log)
    loop(Doorbell(), name: "upkeep", pause: 60) { [self] in
      // Trouble of the one is none of the other.
      defer {
        do { try care.step() } catch {
          log.error("stored content cannot be looked at", metadata: ["error": "\(error)"])
        }
      }
      certificate.step()
      if try upkeep.step() { stop.wake() }
      return false
    }
  }

  private func contentArrived() {
    contentCount.add(1, ordering: .acquiringAndReleasing)
    reviewBell.ring()
  }

  /// Calls `step` while it finds work, then waits for the bell. Trouble (disk full, a key that
  /// cannot sign) is logged and tried again; nothing is lost, because nothing was changed.
  private func loop(
    _ bell: Doorbell, name: String, pause: Double = 1, _ step: () throws -> Bool
  ) {
    let key = stop.onWake { [stop] in if stop.isRequested { bell.ring() } }
    defer { stop.removeWaker(key) }
    while !stop.isRequested {
      do {
        if try !step() { _ = bell.wait(seconds: pause) }
      } catch {
        log.error("\(name) cannot work", metadata: ["error": "\(error)"])
        _ = bell.wait(seconds: 2)
      }
    }
  }

  private func waitForIdle() {
    while !stop.isRequested {
      _ = links.bell.wait(seconds: 0.2)
      if links.failure != nil {
        stop.request()
      } else if links.areConsumersIdle, (try? isStill()) == true, links.areConsumersIdle {
        stop.request()
      }
    }
  }

  private func isStill() throws -> Bool {
    try relay.isIdle() && context.store.reader.openWork(now: context.clock.now).unjudged == 0
      && context.store.contents.completeTransfers().isEmpty
      && contentCount.load(ordering: .acquiring) == reviewedCount.load(ordering: .acquiring)
  }

  private struct LaneEvents: IntakeEvents {
    let node: Node
    let lane: Lane

    func stored(hasMessages: Bool, hasPieces: Bool) {
      node.links.consumer(lane, isIdle: false)
      if hasPieces {
        node.assemblyBell.ring()
        node.contentArrived()
      } else {
        node.reviewBell.ring()
      }
    }

    func deliveredOften(messages: Int, failures: Int64) {
      node.log.warning(
        "messages were delivered again and again without an acknowledgement",
        metadata: [
          "lane": "\(lane)", "messages": "\(messages)", "failedDeliveries": "\(failures)",
          "next": """
          look in this log for the reason (disk, database, connection); RabbitMQ 4 deletes a message \
          at its delivery limit, 20 by default: let the broker's operator run congvan broker check
          """,
        ])
    }

    func connectionChanged(_ state: LinkState) {
      node.links.changed("consumer \(lane)", state)
      node.links.consumer(lane, isIdle: false)
    }

    func wentIdle() { node.links.consumer(lane, isIdle: true) }
  }
}
