import Foundation

/// The independent client (Tests/PythonClient) in the place of a unit's node.
struct PythonClient: Sendable {
  let unit: String
  let province: Province
  var script = Places.pythonClient

  private var folder: String { "\(province.path)/\(unit)" }

  private var access: [String] {
    [
      "--url", "amqp://\(unit)@localhost:\(province.plainPort)/congvan", "--unit", unit,
      "--password-file", province.passwordFile(of: unit), "--key", "\(folder)/unit.key", "--cert",
      "\(folder)/unit.crt",
    ]
  }

  /// Signs a document and publishes it; its id.
  func send(_ files: [String], to recipient: String, number: String, repeated: Int = 1)
    async throws -> String
  {
    struct Sent: Decodable { let documentId: String }
    let output = try await Command.require(
      "/usr/bin/python3",
      [script, "send"] + access + [
        "--name", "Đơn vị có phần mềm khác", "--number", number, "--date", "2018-07-20", "--type",
        "Báo cáo", "--subject", "Tình hình thực hiện Quy chế", "--to", recipient, "--repeat",
        "\(repeated)",
      ] + files)
    return try JSONDecoder().decode(Sent.self, from: Data(output.utf8)).documentId
  }

  /// What arrives until `count` documents and statuses have come, or `seconds` have passed.
  func receive(count: Int, seconds: Int, receipt: Bool = false) async throws -> [Arrival] {
    let result = try await Command.run(
      "/usr/bin/python3",
      [script, "receive"] + access + [
        "--ca", "\(folder)/ca.crt", "--directory", "\(folder)/directory.json", "--wait",
        "\(seconds)", "--count", "\(count)",
      ] + (receipt ? ["--receipt"] : []))
    guard result.status < 2 else { throw CommandFailed(description: "receive: \(result)") }
    return try result.output.split(separator: "\n").map {
      try JSONDecoder().decode(Arrival.self, from: Data($0.utf8))
    }
  }

  /// A verified document or status, or a problem with one.
  struct Arrival: Decodable, Sendable {
    struct File: Decodable, Sendable {
      let name: String
      let size: Int
      let sha256: String
    }
    let kind: String
    let documentId: String?
    let statusId: String?
    let statusCode: String?
    let reasonCode: String?
    let bodySha256: String?
    let attachments: [File]?
    let code: String?
    let reason: String?
  }
}
