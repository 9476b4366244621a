import ExchangeCore
import Foundation
import Testing

/// The examples of schemas/, which other implementations test with too, against our codecs.
@Suite struct SchemaExamplesTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../schemas").standardized

  private struct Expectation: Decodable {
    /// False when JSON Schema cannot say what is wrong.
    var schema: Bool
    var code: String
  }

  /// Paths below `examples/`, such as `manifest/valid/159-QD-LDLD.json`.
  static func examples(_ kind: String, _ verdict: String) -> [String] {
    let path = "\(kind)/\(verdict)"
    let names = try? FileManager.default.contentsOfDirectory(
      atPath: folder.appending(path: "examples/\(path)").path)
    return (names ?? []).sorted().map { "\(path)/\($0)" }
  }

  private static func read(_ path: String) throws -> Data {
    try Data(contentsOf: folder.appending(path: "examples/\(path)"))
  }

  private static func expectations() throws -> [String: Expectation] {
    try JSONDecoder().decode([String: Expectation].self, from: read("expectations.json"))
  }

  /// Decodes with the codec of the path's kind and returns what encodes again.
  private static func roundTrip(_ path: String) throws -> (first: Data, second: Data) {
    func twice(_ recode: (Data) throws -> Data) throws -> (first: Data, second: Data) {
      let first = try recode(read(path))
      return (first, try recode(first))
    }
    return switch path.prefix(while: { $0 != "/" }) {
    case "manifest": try twice { try ManifestCodec.encode(ManifestCodec.decode($0)) }
    case "status": try twice { try StatusCodec.encode(StatusCodec.decode($0)) }
    case "tally": try twice { try TallyCodec.encode(TallyCodec.decodeTally($0)) }
    default: try twice { try TallyCodec.encode(TallyCodec.decodeAnswer($0)) }
    }
  }

  private static let kinds = ["manifest", "status", "tally", "tally-answer"]

  @Test(arguments: kinds.flatMap { examples($0, "valid") })
  func validOnesAreRead(_ path: String) throws {
    let (first, second) = try Self.roundTrip(path)
    #expect(first == second)
    #expect(try Self.expectations()[path] == nil)
  }

  @Test(arguments: kinds.flatMap { examples($0, "invalid") })
  func invalidOnesAreRefusedForTheNamedReason(_ path: String) throws {
    let expectation = try #require(try Self.expectations()[path], "no expectation is written")
    let error = #expect(throws: DocumentError.self) { try Self.roundTrip(path) }
    #expect(error?.code == expectation.code)
  }

  @Test func everyExpectationHasItsExample() throws {
    let examples = Set(Self.kinds.flatMap { Self.examples($0, "invalid") })
    #expect(try Set(Self.expectations().keys) == examples)
    #expect(examples.count > 60)
    #expect(Self.examples("manifest", "valid").count > 10)
  }

  @Test func theCatalogueOfOutcomeCodesIsComplete() throws {
    struct Catalogue: Decodable {
      struct Entry: Decodable {
        var code: String
        var actor: String
        var vi: String
        var en: String
        var hint: String
      }
      var codes: [Entry]
    }
    let catalogue = try JSONDecoder().decode(
      Catalogue.self, from: Data(contentsOf: Self.folder.appending(path: "outcome-codes.json")))
    #expect(
      catalogue.codes.map(\.code).sorted() == OutcomeCode.all.map(\.rawValue).sorted())
    for entry in catalogue.codes {
      #expect(![entry.actor, entry.vi, entry.en, entry.hint].contains(""), "\(entry.code)")
      #expect(entry.code.count <= 50, "\(entry.code) fits reasonCode")
    }
  }
}
