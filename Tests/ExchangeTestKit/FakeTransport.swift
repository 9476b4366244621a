package import ExchangeCore
import Foundation

/// One unit's connection to a `FakeBroker`, for tests of a whole node: loops on the threads that
/// the node gives it, as the real one does.
package struct FakeTransport: DocumentTransport {
  private let broker: FakeBroker
  private let unit: UnitID

  package init(broker: FakeBroker, unit: UnitID) {
    self.broker = broker
    self.unit = unit
  }

  package func publish(from source: any PublishSource, until stop: StopSignal) {
    source.connectionChanged(.up)
    loop(until: stop) { (try? broker.publish(from: source, as: unit)) ?? 0 }
    source.connectionChanged(.stopped)
  }

  package func consume(_ lane: Lane, into sink: any DeliverySink, until stop: StopSignal) {
    sink.connectionChanged(.up)
    loop(until: stop) {
      let count = (try? broker.deliver(.init(unit, lane), into: sink)) ?? 0
      if count == 0 { sink.wentIdle() }
      return count
    }
    sink.connectionChanged(.stopped)
  }

  /// Without work it waits for a wake-up or a moment, like a socket with a timeout.
  private func loop(until stop: StopSignal, _ step: () -> Int) {
    let bell = DispatchSemaphore(value: 0)
    let key = stop.onWake { bell.signal() }
    defer { stop.removeWaker(key) }
    while !stop.isRequested {
      if step() == 0 { _ = bell.wait(timeout: .now() + .milliseconds(5)) }
    }
  }
}
