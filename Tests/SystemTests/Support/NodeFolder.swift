import Foundation

/// A unit's node folder, and the program working on it.
struct NodeFolder: Sendable {
  let unit: String
  let path: String
  /// For every command and daemon of this node.
  var environment: [String: String] = [:]

  func congvan(_ arguments: [String], environment more: [String: String] = [:]) async throws
    -> CommandResult
  {
    try await Command.run(
      Places.congvan, arguments + ["--dir", path],
      environment: environment.merging(more) { $1 })
  }

  @discardableResult
  func require(_ arguments: String...) async throws -> String { try await require(arguments) }

  @discardableResult
  func require(_ arguments: [String]) async throws -> String {
    try await Command.require(
      Places.congvan, arguments + ["--dir", path], environment: environment)
  }

  /// What a command prints with `--json`.
  func json<Value: Decodable>(_ type: Value.Type = Value.self, _ arguments: String...)
    async throws -> Value
  {
    let output = try await Command.require(
      Places.congvan, arguments + ["--json", "--dir", path], environment: environment)
    return try JSONDecoder().decode(type, from: Data(output.utf8))
  }

  func inbox() async throws -> [Incoming] { try await json([Incoming].self, "inbox") }

  func deliveries(of document: String) async throws -> [Delivery] {
    try await json([Delivery].self, "deliveries", "--document", document)
  }

  /// Arguments of `send` for a document that breaks no rule.
  func sendArguments(
    _ files: [String], to recipients: [String], number: String = "159/QĐ-LĐLĐ",
    subject: String = "Ban hành Quy chế trao đổi văn bản điện tử"
  ) -> [String] {
    ["send"] + files + ["--to"] + recipients
      + [
        "--number", number, "--date", "2018-07-04", "--type", "Quyết định", "--subject", subject,
      ]
  }

  /// Issues a document; its id.
  func send(_ files: String..., to recipients: String..., number: String = "159/QĐ-LĐLĐ")
    async throws -> String
  {
    let output = try await Command.require(
      Places.congvan,
      sendArguments(files, to: recipients, number: number) + ["--dir", path],
      environment: environment)
    return output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// The first delivery of `document`, once its state is `state`.
  @discardableResult
  func delivery(
    of document: String, becomes state: String, within limit: Duration = .seconds(60)
  ) async throws -> Delivery {
    var last: Delivery?
    do {
      return try await eventually(within: limit, "delivery “\(state)”") {
        last = try await deliveries(of: document).first
        return last?.state == state ? last : nil
      }
    } catch let error as TimedOut {
      throw TimedOut(description: "\(error); the last was \(String(describing: last))")
    }
  }

  /// Asks the database file itself, beside the program.
  @discardableResult
  func sql(_ query: String) async throws -> String {
    try await Command.require(
      "/usr/bin/sqlite3", ["-cmd", ".timeout 10000", "\(path)/congvan.db", query]
    ).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Names of the files in `folder` (and below it) of this node.
  func files(in folder: String) -> [String] {
    let found = FileManager.default.enumerator(atPath: "\(path)/\(folder)")?.allObjects ?? []
    return found.compactMap { $0 as? String }.sorted()
  }
}

/// A member of `congvan deliveries --json`, as far as the tests read it.
struct Delivery: Decodable, Sendable, Equatable {
  let id: String
  let to: String
  let state: String
  let status: String?
  let attempts: Int
  let lastError: String?
  let lastErrorText: String?
}

/// A member of `congvan inbox --json`, as far as the tests read it.
struct Incoming: Decodable, Sendable, Equatable {
  struct File: Decodable, Sendable, Equatable {
    let name: String
    let size: Int
    let sha256: String
  }
  let id: String
  let from: String
  let number: String
  let subject: String
  let state: String
  let outcome: String?
  let duplicates: Int
  let attachments: [File]
}
