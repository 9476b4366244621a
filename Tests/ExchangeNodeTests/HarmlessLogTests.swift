import ExchangeCore
import ExchangeNode
import Logging
import Synchronization
import Testing

@Suite struct HarmlessLogTests {
  private final class Lines: Sendable {
    let all = Mutex<[String]>([])
    var log: Logger {
      Logger(label: "congvan") { label in
        HarmlessLog(label: label) { line in self.all.withLock { $0.append(line) } }
      }
    }
    var last: String { all.withLock { $0.last ?? "" } }
  }

  @Test(arguments: [
    "x\n2026-11-28T00:00:00+0700 error congvan: [x] forged", "\u{1B}]0;title\u{7}", "\u{9B}2J",
    "\u{202E}gpj", "a\u{2028}b", "lone\rreturn",
  ])
  func aValueOfAPeerStaysOnItsLineAndDoesNothing(_ hostile: String) {
    let lines = Lines()
    lines.log.warning("from \(hostile)", metadata: ["type": "\(hostile)", "\(hostile)": "key"])
    let line = lines.last
    #expect(line.hasSuffix("\n") && line.dropLast().allSatisfy { !$0.isNewline })
    #expect(!line.dropLast().unicodeScalars.contains(where: HarmlessText.acts), "\(line)")
  }

  @Test func aValueIsNotTakenForAFurtherField() {
    let lines = Lines()
    lines.log.info("x", metadata: ["message-id": "1 sender=LDLD-TINH", "sender": "CDCS-MAY"])
    #expect(lines.last.contains(#" message-id="1 sender=LDLD-TINH" sender=CDCS-MAY ["#))
  }

  @Test func aLongValueIsCut() {
    let lines = Lines()
    let text = String(repeating: "ổ", count: 1_000_000)
    lines.log.info("x", metadata: ["detail": "\(text)", "nested": ["a": "\(text)"]])
    #expect(lines.last.utf8.count < 10_000 && lines.last.contains("1000000 characters"))
  }

  @Test func whatAPersonReadsStaysReadable() {
    let lines = Lines()
    lines.log.info("đã gửi", metadata: ["subject": "Quyết định 👍", "error": "AMQP-X: no route"])
    #expect(lines.last.contains(" info congvan: error=AMQP-X: no route subject=Quyết định 👍 ["))
    #expect(lines.last.hasSuffix("] đã gửi\n"))
  }
}
