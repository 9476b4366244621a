import ExchangeNode
import Foundation
import Testing

@Suite(.timeLimit(.minutes(1))) struct DoorbellTests {
  @Test func waitsAsLongAsItIsToldAndNoLonger() {
    let bell = Doorbell()
    let start = ContinuousClock.now
    #expect(!bell.wait(seconds: 0.12))
    #expect(!bell.wait(seconds: 0))
    #expect(ContinuousClock.now - start >= .milliseconds(119))
  }

  @Test func anyNumberOfRingsLetsOneWaitThrough() async {
    let bell = Doorbell()
    bell.ring()
    bell.ring()
    #expect(bell.wait(seconds: 30))
    #expect(!bell.wait(seconds: 0))
    Thread { bell.ring() }.start()
    #expect(bell.wait(seconds: 30))
  }
}
