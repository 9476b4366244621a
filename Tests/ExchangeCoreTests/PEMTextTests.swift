import ExchangeCore
import Foundation
import Testing

/// PEM as people pass it on, and as a stranger may make it.
@Suite struct PEMTextTests {
  private static func block(_ label: String, _ body: String = "AQID") -> String {
    "-----BEGIN \(label)-----\n\(body)\n-----END \(label)-----\n"
  }

  @Test func anEndLineBelongsToItsOwnBlock() {
    let blocks = PEMText.blocks(
      in: "-----BEGIN A-----\nAQID\n" + Self.block("B") + "-----BEGIN C-----\n" + Self.block("A"))
    #expect(blocks.map(\.label) == ["A", "B", "C", "A"])
    #expect(blocks.map(\.isClosed) == [false, true, false, true])
    #expect(blocks.map(\.der) == [nil, Data([1, 2, 3]), nil, Data([1, 2, 3])])
  }

  @Test func blocksMayStandSideBySide() {
    let blocks = PEMText.blocks(in: Self.block("A").replacing("\n", with: "") + Self.block("B"))
    #expect(blocks.map(\.label) == ["A", "B"] && blocks.allSatisfy { $0.der == Data([1, 2, 3]) })
  }

  /// Hundreds of thousands of blocks in some megabytes: if each cost a look at all that follows it, this
  /// would take hours.
  @Test(
    .timeLimit(.minutes(5)),
    arguments: [
      ("-----BEGIN A-----\n", 200_000, "-----END B-----"),
      ("-----BEGIN A-----\n-----END B-----\n", 100_000, ""),
      ("-----BEGIN -----END ", 150_000, "-----END A-----"), ("-----BEGIN ", 300_000, ""),
      ("-----", 600_000, ""),
    ])
  func theCostGrowsWithTheLength(_ part: String, count: Int, end: String) {
    let blocks = PEMText.blocks(in: String(repeating: part, count: count) + end)
    #expect(blocks.allSatisfy { !$0.isClosed && $0.der == nil })
    #expect(blocks.isEmpty == !part.contains("BEGIN"))
  }
}
