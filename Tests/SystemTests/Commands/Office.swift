import Foundation

/// A node folder without a broker, ready to send: key, certificate, and a directory with two more
/// units. For tests of single commands.
struct Office: Sendable {
  let node: NodeFolder
  /// The folder around it; for further files.
  let folder: String

  init() async throws {
    folder = try CleanUp.folder("office")
    node = NodeFolder(unit: "LDLD-TINH", path: "\(folder)/node")
    try await node.require("init", "--unit", node.unit, "--name", "Liên đoàn Lao động tỉnh")
    let authority = "\(folder)/ca"
    try await Command.require("\(Places.deploy)/ca", ["init", authority])
    try await Command.require(
      "\(Places.deploy)/ca",
      ["sign", authority, "--csr", "\(node.path)/unit.csr", "--out", "\(node.path)/unit.crt"])
    try await Command.require(
      "/usr/bin/install", ["-m", "0600", "\(authority)/ca.pem", "\(node.path)/ca.crt"])
    try writeDirectory()
  }

  private func writeDirectory() throws {
    let certificate = Command.text("\(node.path)/unit.crt")
      .trimmingCharacters(in: .whitespacesAndNewlines)
    let directory: [String: Any] = [
      "version": 1,
      "units": [
        [
          "organId": "LDLD-TINH", "organName": "Liên đoàn Lao động tỉnh",
          "certificates": [certificate],
        ],
        [
          "organId": "CDCT-HUYEN", "organName": "Công đoàn cấp trên", "parent": "LDLD-TINH",
          "groups": ["cap-duoi"],
        ],
        [
          "organId": "CDCS-MAY", "organName": "Công đoàn cơ sở May", "parent": "CDCT-HUYEN",
          "groups": ["cap-duoi", "co-so"], "aliases": ["MAY"],
        ],
      ],
    ]
    try JSONSerialization.data(withJSONObject: directory)
      .write(to: URL(filePath: "\(node.path)/directory.json"))
  }

  /// Writes a file into `folder`; its path.
  func write(_ text: String, as name: String, mode: Int = 0o600) throws -> String {
    let path = "\(folder)/\(name)"
    guard
      FileManager.default.createFile(
        atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
    else { throw CommandFailed(description: "cannot write \(path)") }
    return path
  }

  /// Arguments of a `send` that breaks no rule, with the values of some options replaced.
  func sendArguments(_ changes: [String: String] = [:], files: [String]? = nil) throws -> [String] {
    let options = [
      "--to": "CDCS-MAY", "--number": "159/QĐ-LĐLĐ", "--date": "2018-07-04", "--type": "Quyết định",
      "--subject": "Ban hành Quy chế",
    ].merging(changes) { $1 }
    return ["send"] + (try files ?? [Samples.pdf()])
      + options.sorted { $0.key < $1.key }.flatMap {
        [$0.key] + $0.value.components(separatedBy: ";")
      }
  }

  func send(_ changes: [String: String] = [:], environment: [String: String] = [:]) async throws
    -> CommandResult
  {
    try await node.congvan(try sendArguments(changes), environment: environment)
  }

  /// Puts documents into the database that begin with the first 13 characters of `id`, as if they had
  /// come, or been issued, in the same millisecond. `last` is a hexadecimal digit of the ids' own.
  func addDocuments(_ direction: String, like id: String, count: Int, last: String = "0")
    async throws
  {
    let sender = direction == "incoming" ? "'CDCS-MAY'" : "sender"
    try await node.sql(
      """
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      INSERT INTO document (direction, id, sender, manifestSha256, signed, codeNumber, codeSeparator,
        codeNotation, issuedDate, typeName, subject, urgency, createdAt)
      SELECT '\(direction)', substr(id, 1, 13) || '-7000-8\(last)00-' || printf('%012x', i), \(sender),
        manifestSha256, signed, codeNumber, codeSeparator, codeNotation, issuedDate, typeName, subject,
        urgency, createdAt
      FROM document, n WHERE id = '\(id)';
      """)
  }

  func countDocuments() async throws -> Int {
    try Shape.list(try await node.require("outbox", "--json")).count
  }
}

extension CommandResult {
  /// The code of a failure that was reported as the house does it, or nil. A reason may quote some
  /// lines of a file.
  var failure: String? {
    guard status == 1, output.isEmpty,
      let match = errors.wholeMatch(of: /error\[([A-Z0-9-]+)\]: \S(?:.|\n)+\n  next: \S[^\n]+\n/)
    else { return nil }
    return String(match.1)
  }
}
