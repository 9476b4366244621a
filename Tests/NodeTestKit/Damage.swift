package import ExchangeCore
import ExchangeTestKit
package import Foundation
import GRDB
import NodeDatabase

/// What a disk, a person or an older version does to a node's folder, behind the node's back.
package enum Damage: Sendable, CaseIterable {
  case missing, truncated, otherBytes
}

extension TestNode {
  /// The digest of the one content that this node has.
  package func onlyContent() throws -> SHA256Digest {
    let rows = try query("SELECT sha256 FROM blob")
    guard rows.count == 1, let digest = SHA256Digest(bytes: rows[0]["sha256"]) else {
      throw Stuck(what: "\(rows.count) contents")
    }
    return digest
  }

  package func path(of digest: SHA256Digest) -> String {
    folder.path("blobs/\(digest.hex.prefix(2))/\(digest.hex)")
  }

  /// Damages a content behind the node's back, wherever it stands.
  package func damage(_ digest: SHA256Digest, _ damage: Damage) throws {
    let path = path(of: digest)
    let hex = digest.hex
    guard FileManager.default.fileExists(atPath: path) else {
      switch damage {
      case .missing: try change("DELETE FROM blob WHERE sha256 = x'\(hex)'")
      case .truncated:
        try change(
          "UPDATE blob SET content = substr(content, 1, 7), size = 7 WHERE sha256 = x'\(hex)'")
      case .otherBytes:
        try change("UPDATE blob SET content = zeroblob(size) WHERE sha256 = x'\(hex)'")
      }
      return
    }
    switch damage {
    case .missing: try FileManager.default.removeItem(atPath: path)
    case .truncated:
      let handle = try FileHandle(forUpdating: URL(filePath: path))
      try handle.truncate(atOffset: 1000)
      try handle.close()
    case .otherBytes:
      let handle = try FileHandle(forUpdating: URL(filePath: path))
      try handle.seek(toOffset: 150_000)
      try handle.write(contentsOf: Data("hỏng".utf8))
      try handle.close()
    }
  }

  /// Changes the database behind the node's back.
  package func change(_ sql: String) throws {
    try DatabaseQueue(path: folder.path(DatabaseFile.name)).write { try $0.execute(sql: sql) }
  }

  /// Runs `body` while every write of one kind to a table fails, as on a full disk.
  package func withTrouble(_ operation: String, on table: String, _ body: () throws -> Void) throws
  {
    let queue = try DatabaseQueue(path: folder.path(DatabaseFile.name))
    try queue.write {
      try $0.execute(
        sql: """
          CREATE TRIGGER trouble BEFORE \(operation) ON \(table)
          BEGIN SELECT RAISE(ABORT, 'disk full'); END
          """)
    }
    defer { try? queue.write { try $0.execute(sql: "DROP TRIGGER trouble") } }
    try body()
  }

  /// True when the bytes stand anywhere in the node's folder, once finished transactions are in the
  /// database file.
  package func holds(_ bytes: Data) throws -> Bool {
    try DatabaseQueue(path: folder.path(DatabaseFile.name)).inDatabase {
      _ = try $0.checkpoint(.truncate)
    }
    let paths = FileManager.default.enumerator(at: folder.url, includingPropertiesForKeys: nil)
    for case let url as URL in paths ?? .init() {
      if let content = try? Data(contentsOf: url), content.firstRange(of: bytes) != nil {
        return true
      }
    }
    return false
  }
}
