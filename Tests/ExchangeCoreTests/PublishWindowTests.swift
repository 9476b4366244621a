import ExchangeCore
import Testing

@Suite struct PublishWindowTests {
  private func window(_ count: Int, bytes: Int = 10) -> PublishWindow {
    var window = PublishWindow(maximumCount: 64, maximumBytes: 1000)
    for token in 1...count {
      window.add(
        token: UInt64(token) * 100, messageID: "m\(token)", routingKey: "ordinary.B", bytes: bytes)
    }
    return window
  }

  private func tokens(_ settled: [PublishWindow.Settled]) -> [UInt64] { settled.map(\.token) }

  @Test func confirmsMayComeOutOfOrder() {
    var window = window(3)
    #expect(tokens(window.confirmed(tag: 2, multiple: false, accepted: true)) == [200])
    #expect(tokens(window.confirmed(tag: 1, multiple: false, accepted: true)) == [100])
    #expect(tokens(window.confirmed(tag: 3, multiple: false, accepted: true)) == [300])
    #expect(window.isEmpty && window.bytes == 0)
  }

  @Test func multipleCoversEveryOpenTagUpToTheNamedOne() {
    var window = window(5)
    _ = window.confirmed(tag: 2, multiple: false, accepted: true)
    let settled = window.confirmed(tag: 4, multiple: true, accepted: false)
    #expect(tokens(settled) == [100, 300, 400])
    #expect(settled.allSatisfy { $0.outcome == .rejected })
    #expect(window.count == 1)
  }

  @Test func multipleWithTagZeroCoversAll() {
    var window = window(4)
    #expect(tokens(window.confirmed(tag: 0, multiple: true, accepted: true)).count == 4)
  }

  @Test(arguments: [0, 9, UInt64.max]) func unknownTagsAreIgnored(_ tag: UInt64) {
    var window = window(2)
    #expect(window.confirmed(tag: tag, multiple: false, accepted: true).isEmpty)
    #expect(window.count == 2)
  }

  @Test func aTagIsSettledOnce() {
    var window = window(2)
    _ = window.confirmed(tag: 1, multiple: false, accepted: true)
    #expect(window.confirmed(tag: 1, multiple: false, accepted: false).isEmpty)
    #expect(tokens(window.confirmed(tag: 2, multiple: true, accepted: true)) == [200])
  }

  @Test func aReturnIsTheAnswerOfTheAckThatFollows() {
    var window = window(2)
    window.returned(messageID: "m2", routingKey: "ordinary.B", code: 312, text: "NO_ROUTE")
    let settled = window.confirmed(tag: 2, multiple: true, accepted: true)
    #expect(settled.map(\.outcome) == [.confirmed, .returned(code: 312, text: "NO_ROUTE")])
  }

  @Test func twoReturnsOfOneIdBelongToTwoMessages() {
    var window = PublishWindow(maximumCount: 8, maximumBytes: 1000)
    for token in 1...2 {
      window.add(token: UInt64(token), messageID: "same", routingKey: "ordinary.B", bytes: 1)
    }
    window.returned(messageID: "same", routingKey: "ordinary.C", code: 312, text: "")
    window.returned(messageID: "same", routingKey: "ordinary.B", code: 312, text: "")
    let settled = window.confirmed(tag: 0, multiple: true, accepted: true)
    #expect(settled.map(\.outcome) == [.returned(code: 312, text: ""), .confirmed])
  }

  @Test func aCloseWithSeveralInFlightNamesNobody() {
    var window = window(3)
    let settled = window.lost(channelError: (403, "ACCESS_REFUSED"))
    #expect(settled.map(\.outcome) == [.unknown, .unknown, .unknown])
    #expect(window.isEmpty && window.bytes == 0)
  }

  @Test func aCloseWithOneInFlightNamesIt() {
    var window = window(1)
    #expect(
      window.lost(channelError: (406, "PRECONDITION")).map(\.outcome) == [
        .refused(code: 406, text: "PRECONDITION")
      ])
  }

  @Test func aReturnedMessageIsNotTheCulprit() {
    var window = window(2)
    window.returned(messageID: "m1", routingKey: "ordinary.B", code: 312, text: "NO_ROUTE")
    #expect(
      window.lost(channelError: (403, "NO")).map(\.outcome) == [
        .returned(code: 312, text: "NO_ROUTE"), .refused(code: 403, text: "NO"),
      ])
  }

  @Test func tagsBeginAgainAfterALoss() {
    var window = window(3)
    _ = window.lost(channelError: nil)
    window.add(token: 7, messageID: "m7", routingKey: "ordinary.B", bytes: 1)
    #expect(tokens(window.confirmed(tag: 1, multiple: false, accepted: true)) == [7])
  }

  @Test func roomIsBoundedInCountAndBytes() {
    var window = PublishWindow(maximumCount: 2, maximumBytes: 100)
    window.add(token: 1, messageID: "a", routingKey: "k", bytes: 150)
    #expect(window.roomCount == 1 && window.roomBytes == 0)
    _ = window.confirmed(tag: 1, multiple: false, accepted: true)
    #expect(window.roomCount == 2 && window.roomBytes == 100)
  }

  /// One message stays unanswered while many others come and go; then everything settles.
  @Test func anUnansweredMessageDoesNotHoldBackTheOthers() {
    var window = window(1)
    for token in UInt64(2)...10_000 {
      window.add(token: token, messageID: "x", routingKey: "k", bytes: 1)
      #expect(tokens(window.confirmed(tag: token, multiple: false, accepted: true)) == [token])
    }
    #expect(window.count == 1)
    #expect(tokens(window.confirmed(tag: 10_000, multiple: true, accepted: true)) == [100])
  }
}
