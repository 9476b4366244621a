import DocumentSigning
import ExchangeCore
import ExchangeNode
import ExchangeStore
import ExchangeTestKit
import Foundation
import NodeDatabase
import NodeTestKit
import Testing

/// Before a connection is opened the disk is asked; and a message that comes again and again is said.
@Suite struct IntakeRoomTests {
  private struct Recording: IntakeEvents {
    let warnings = Watched<[String]>([])

    func stored(hasMessages: Bool, hasPieces: Bool) {}
    func deliveredOften(messages: Int, failures: Int64) {
      warnings.update { $0.append("\(messages) × \(failures)") }
    }
    func connectionChanged(_ state: LinkState) {}
    func wentIdle() {}
  }

  private let node: TestNode
  private let events = Recording()

  init() throws { node = try TestNode(Province.alpha) }

  private func intake(freeBytes: Int64 = 0) -> Intake {
    Intake(
      store: node.context.store, hashing: OpenSSLHashing(), clock: node.clock,
      limits: IntakeLimits(freeBytes: freeBytes), isKnown: { _ in true }, events: events)
  }

  private func message(_ number: Int, failures: Int64) -> InboundMessage {
    var message = InboundMessage(
      assertedSender: Province.beta.organId, lane: .ordinary, redelivered: failures > 0,
      envelope: Envelope(type: "x", messageID: "\(number)"), body: Data("x".utf8), bodySize: 1)
    message.failedDeliveries = failures
    return message
  }

  @Test func roomIsAWindowMoreThanTheFloor() throws {
    try intake().requireRoom()
    #expect(throws: StoreError(.full, "")) { try intake(freeBytes: 1 << 60).requireRoom() }
    var status = statvfs()
    #expect(statvfs(node.folder.path("."), &status) == 0)
    let free = Int64(status.f_bavail) * Int64(status.f_frsize)
    // Enough for the floor, not for what one connection may bring.
    #expect(throws: StoreError(.full, "")) {
      try intake(freeBytes: free - (1 << 20)).requireRoom()
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: node.folder.path("tmp")) == [])
  }

  @Test func aFolderThatCannotBeWrittenIsFound() throws {
    let folder = node.folder.path("tmp")
    try FileManager.default.removeItem(atPath: folder)
    #expect(throws: StoreError(.fileSystem, "")) { try intake().requireRoom() }
  }

  @Test func manyFailedDeliveriesAreSaidOnceAnHour() throws {
    let intake = intake()
    for (number, failures) in [0, 9, 10, 11, 0, 40, Int64.max].enumerated() {
      try intake.store([message(number, failures: failures), message(-number, failures: 0)])
    }
    #expect(events.warnings.value == ["1 × 10"])
    node.clock.advance(by: .seconds(3600))
    try intake.store([message(101, failures: 12), message(102, failures: 17)])
    try intake.store([message(103, failures: 30)])
    #expect(events.warnings.value == ["1 × 10", "2 × 17"])
    // A clock that was set back does not silence it for longer.
    node.clock.advance(by: .seconds(-90_000))
    try intake.store([message(104, failures: 31)])
    #expect(events.warnings.value.last == "1 × 31")
  }

  /// Also when nothing can be stored: that is when it matters.
  @Test func theyAreSaidBeforeTheBatchIsStored() throws {
    #expect(throws: StoreError(.full, "")) {
      try intake(freeBytes: 1 << 60).store([message(1, failures: 10)])
    }
    #expect(events.warnings.value == ["1 × 10"])
  }
}
