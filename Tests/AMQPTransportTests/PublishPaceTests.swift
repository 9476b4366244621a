import Testing

@testable import AMQPTransport

@Suite struct PublishPaceTests {
  private func identity(_ token: UInt64) -> PublishPace.Identity {
    .init(messageID: "m\(token)", routingKey: "k")
  }

  private func proven() -> PublishPace {
    var pace = PublishPace()
    pace.published(1, identity(1))
    pace.settled(1)
    return pace
  }

  @Test func aFreshConnectionRisksOneMessage() {
    var pace = proven()
    #expect(!pace.isAlone)
    pace.connected()
    #expect(pace.isAlone)
  }

  @Test func suspectsGoAloneUntilAllAreAnswered() {
    var pace = proven()
    for token in UInt64(1)...3 { pace.published(token, identity(token)) }
    pace.lost(isAboutContent: true)
    pace.connected()
    for token in UInt64(1)...2 {
      #expect(pace.isAlone)
      pace.published(token + 10, identity(token))
      pace.settled(token + 10)
    }
    #expect(pace.isAlone)
    pace.published(13, identity(3))
    pace.lost(isAboutContent: true)
    pace.connected()
    pace.published(14, identity(4))
    pace.settled(14)
    #expect(!pace.isAlone)
  }

  @Test func aLostLineMakesNoSuspects() {
    var pace = proven()
    for token in UInt64(1)...3 { pace.published(token, identity(token)) }
    pace.lost(isAboutContent: false)
    #expect(!pace.isAlone)
  }

  @Test func suspectsThatNeverComeBackAreForgotten() {
    var pace = proven()
    for token in UInt64(1)...2 { pace.published(token, identity(token)) }
    pace.lost(isAboutContent: true)
    for token in UInt64(100)..<108 {
      #expect(pace.isAlone)
      pace.published(token, identity(token))
      pace.settled(token)
    }
    #expect(!pace.isAlone)

    for token in UInt64(1)...2 { pace.published(token, identity(token)) }
    pace.lost(isAboutContent: true)
    pace.sourceIsEmpty()
    #expect(!pace.isAlone)
  }
}
