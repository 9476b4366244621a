import Foundation

/// The rooms of the house: every target below `Sources`, and what it may import. A target that is not
/// built yet stands here already.
enum Rooms {
  /// Free for every room.
  static let free: Set = ["Foundation", "Synchronization", "Glibc"]

  /// The only rooms that reach SQLite.
  static let withSQL: Set = ["NodeDatabase", "ExchangeStore", "RecordsStore"]

  static let allowed: [String: Set<String>] = [
    "CRabbitMQ": [], "COpenSSL": [],
    "ExchangeCore": [],
    "RecordsCore": ["ExchangeCore"],
    "NodeDatabase": ["ExchangeCore", "GRDB"],
    "ExchangeStore": ["NodeDatabase", "ExchangeCore", "GRDB"],
    "RecordsStore": ["NodeDatabase", "RecordsCore", "ExchangeCore", "GRDB"],
    "DocumentSigning": ["ExchangeCore", "COpenSSL"],
    "TrustServices": ["ExchangeCore", "AsyncHTTPClient"],
    "AMQPTransport": ["ExchangeCore", "CRabbitMQ"],
    "ExchangeNode": [
      "ExchangeStore", "NodeDatabase", "ExchangeCore", "ServiceLifecycle", "UnixSignals", "Logging",
    ],
    "UnitOffice": ["ExchangeStore", "RecordsStore", "ExchangeCore", "RecordsCore", "NodeDatabase"],
    "NodeOperations": [
      "ExchangeStore", "ExchangeNode", "NodeDatabase", "ExchangeCore", "Logging", "Metrics",
      "Prometheus",
    ],
    "UnitWeb": ["UnitOffice", "ExchangeCore", "RecordsCore", "Hummingbird", "Mustache"],
    // All rooms, but not what only a store or a C module is for.
    "congvan": [
      "ExchangeCore", "RecordsCore", "NodeDatabase", "ExchangeStore", "RecordsStore",
      "DocumentSigning", "TrustServices", "AMQPTransport", "ExchangeNode", "UnitOffice",
      "NodeOperations", "UnitWeb", "ArgumentParser", "Logging", "Yams", "ServiceLifecycle",
    ],
  ]

  // MARK: On disk

  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  struct File {
    let room: String
    /// From `Sources` or `Tests` on.
    let path: String
    let swift: SwiftText

    var name: String { (path as NSString).lastPathComponent }
  }

  /// What ships, read once for all tests.
  static let sources = Result { try files(in: "Sources") }

  /// The Swift files below a folder of the repository; the room is the folder in it.
  static func files(in folder: String) throws -> [File] {
    let base = root.appending(path: folder)
    guard let found = FileManager.default.enumerator(atPath: base.path) else {
      throw CocoaError(.fileNoSuchFile)
    }
    return try found.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.sorted().map {
      File(
        room: String($0.prefix { $0 != "/" }), path: "\(folder)/\($0)",
        swift: SwiftText(try String(contentsOf: base.appending(path: $0), encoding: .utf8)))
    }
  }

  /// The folders in a folder of the repository, of whatever language.
  static func folders(in folder: String) throws -> Set<String> {
    Set(try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path))
      .filter { !$0.contains(".") }
  }
}
