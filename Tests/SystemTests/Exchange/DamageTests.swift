import Foundation
import Testing

extension Exchange {
  /// What a disk or a person does to a node's folder, with real processes.
  @Suite struct DamageTests {
    struct Check: Decodable {
      struct Finding: Decodable {
        struct Place: Decodable {
          let id: String
          let direction: String
        }
        let code: String
        let next: String
        let sha256: String
        let setAside: Bool
        let documents: [Place]
      }
      let sound: Bool
      let findings: [Finding]
    }

    private func check(_ node: NodeFolder, _ arguments: String...) async throws -> (Check, Int32) {
      let result = try await node.congvan(["check", "--json"] + arguments)
      return (try JSONDecoder().decode(Check.self, from: Data(result.output.utf8)), result.status)
    }

    private func overwrite(_ path: String) throws {
      let handle = try FileHandle(forUpdating: URL(filePath: path))
      try handle.seek(toOffset: 100_000)
      try handle.write(contentsOf: Data("hỏng".utf8))
      try handle.close()
    }

    /// Both sides lose the same file: the sender's is repaired, the receiver's comes again.
    @Test func damagedContentIsFoundAndComesBack() async throws {
      let sender = try await Province.node("HARM-A")
      let receiver = try await Province.node("HARM-B")
      let original = try Samples.pdf(size: 3_000_000)
      let digest = try await Samples.sha256(original)
      let id = try await withDaemons(sender, receiver) { _ in
        let id = try await sender.send(original, to: "HARM-B")
        try await sender.delivery(of: id, becomes: "delivered")
        let (sound, status) = try await check(receiver, "--full")
        #expect(sound.sound)
        #expect(status == 0)
        return id
      }
      for node in [sender, receiver] {
        try overwrite("\(node.path)/blobs/\(digest.prefix(2))/\(digest)")
      }
      let (quick, _) = try await check(receiver)
      #expect(quick.sound, "size and presence are as before")
      let (full, status) = try await check(receiver, "--full")
      #expect(status == 1)
      #expect(full.findings.map(\.code) == ["STORE-CONTENT-DAMAGED"])
      #expect(full.findings[0].sha256 == digest)
      #expect(full.findings[0].documents.map(\.id) == [id])
      #expect(full.findings[0].next.contains("check --repair"))

      let repaired = try await sender.congvan(["check", "--full", "--repair", original])
      #expect(repaired.status == 0, "\(repaired)")
      let (set, _) = try await check(receiver, "--full", "--repair")
      #expect(set.findings.map(\.setAside) == [true])
      try await withDaemons(sender, receiver) { _ in
        try await sender.require("reconcile", "HARM-B")
        _ = try await eventually("the content again") {
          try await check(receiver, "--full").0.sound ? true : nil
        }
        try await sender.delivery(of: id, becomes: "delivered")
      }
      #expect(try await receiver.inbox().map(\.id) == [id])
      #expect(try await receiver.inbox().map(\.state) == ["accepted"])
      #expect(
        try await receiver.sql("SELECT count(*) FROM status WHERE direction='sent'") == "1")
      #expect(
        try await Samples.sha256("\(receiver.path)/blobs/\(digest.prefix(2))/\(digest)") == digest)
    }

    /// The receiver's database is damaged; yesterday's backup takes its place.
    @Test func aReceiverFromABackupGetsWhatItLacks() async throws {
      let sender = try await Province.node("LOSS-A")
      let receiver = try await Province.node("LOSS-B")
      let backup = try CleanUp.folder("backup")
      var ids: [String] = []
      try await withDaemons(sender, receiver) { _ in
        for number in 1...4 {
          let file = try Samples.pdf(size: number * 400_000)
          ids.append(try await sender.send(file, to: "LOSS-B", number: "\(number)/QĐ-LĐLĐ"))
          try await sender.delivery(of: ids[number - 1], becomes: "delivered")
          if number == 2 { try await backUp(receiver, to: backup) }
        }
      }
      try await damagePages(of: receiver)
      for arguments in [["node"], ["check"]] {
        let result = try await receiver.congvan(arguments)
        #expect(result.status == 1)
        #expect((result.errors + result.output).contains("[STORE-CORRUPT]"), "\(result)")
        #expect((result.errors + result.output).contains("restore the last backup"))
      }
      try await restore(receiver, from: backup)
      #expect(try await receiver.inbox().count == 2)
      try await withDaemons(sender, receiver) { _ in
        try await sender.require("reconcile", "LOSS-B")
        _ = try await eventually("what the backup lacks") {
          try await receiver.inbox().filter { $0.state == "accepted" }.count == 4 ? true : nil
        }
        for id in ids { try await sender.delivery(of: id, becomes: "delivered") }
      }
      #expect(Set(try await receiver.inbox().map(\.id)) == Set(ids))
      try await receiver.require("check", "--full")
    }

    /// The sender's database is yesterday's: what was issued since is unknown to it.
    @Test func aSenderFromABackupIsToldWhatItLacksAndCollidesWithNothing() async throws {
      let sender = try await Province.node("PAST-A")
      let receiver = try await Province.node("PAST-B")
      let backup = try CleanUp.folder("backup")
      let lost = try await withDaemons(sender, receiver) { _ in
        let first = try await sender.send(try Samples.pdf(), to: "PAST-B", number: "1/QĐ-LĐLĐ")
        try await sender.delivery(of: first, becomes: "delivered")
        try await backUp(sender, to: backup)
        let lost = try await sender.send(
          try Samples.pdf(size: 400_000), to: "PAST-B", number: "2/QĐ-LĐLĐ")
        try await sender.delivery(of: lost, becomes: "delivered")
        return lost
      }
      try await restore(sender, from: backup)
      // An hour is the time that a document is given to be overtaken by a tally.
      try await receiver.sql("UPDATE received SET receivedAt = receivedAt - 7200000000")
      try await withDaemons(sender, receiver) { _ in
        let new = try await sender.send(try Samples.pdf(), to: "PAST-B", number: "3/QĐ-LĐLĐ")
        try await sender.delivery(of: new, becomes: "delivered")
        try await sender.require("reconcile", "PAST-B")
        let told = try await eventually("word of what is unknown") {
          let list = try await sender.require("quarantine", "list", "--json")
          return try Shape.list(list).first
        }
        #expect(told["outcome"] as? String == "STATUS-UNMATCHED")
        #expect((told["detail"] as? String)?.contains(lost) == true)
        #expect((told["detail"] as? String)?.contains("restored from a backup") == true)
      }
      let inbox = try await receiver.inbox()
      #expect(inbox.count == 3)
      #expect(Set(inbox.map(\.id)).count == 3)
      // The receiver can give it back: an export that verifies.
      let folder = "\(try CleanUp.folder("export"))/văn bản"
      try await receiver.require("export", lost, "--out", folder)
      try await sender.require("verify", folder)
      try await sender.require("check", "--full")
    }

    /// Commands of many people while the daemon runs.
    @Test func manyCommandsBesideTheDaemonDisturbNothing() async throws {
      let sender = try await Province.node("HARM-A")
      let receiver = try await Province.node("HARM-B")
      try await withDaemons(sender, receiver) { _ in
        let ids = try await withThrowingTaskGroup(of: String?.self, returning: [String].self) {
          group in
          for number in 0..<6 {
            group.addTask {
              try await sender.send(
                try Samples.pdf(size: 300_000), to: "HARM-B", number: "8\(number)/QĐ-LĐLĐ")
            }
          }
          group.addTask {
            let second = try await sender.congvan(["node"])
            #expect(second.errors.contains("error[NODE-ALREADY-RUNNING]"))
            return nil
          }
          return try await group.reduce(into: [String]()) { if let id = $1 { $0.append(id) } }
        }
        #expect(Set(ids).count == 6)
        for id in ids { try await sender.delivery(of: id, becomes: "delivered") }
        try await sender.require("check", "--full")
      }
    }

    // MARK: Backups, as deploy/README.md section 9 says

    private func backUp(_ node: NodeFolder, to folder: String) async throws {
      try await node.sql("VACUUM INTO '\(folder)/congvan.db'")
      try await Command.require("/usr/bin/cp", ["-a", "\(node.path)/blobs", folder])
    }

    private func restore(_ node: NodeFolder, from folder: String) async throws {
      for name in ["congvan.db", "congvan.db-wal", "congvan.db-shm", "blobs"] {
        try? FileManager.default.removeItem(atPath: "\(node.path)/\(name)")
      }
      for name in ["congvan.db", "blobs"] {
        try await Command.require("/usr/bin/cp", ["-a", "\(folder)/\(name)", node.path])
      }
    }

    /// Every second page behind the first two.
    private func damagePages(of node: NodeFolder) async throws {
      try await node.sql("PRAGMA wal_checkpoint(TRUNCATE)")
      let handle = try FileHandle(forUpdating: URL(filePath: "\(node.path)/congvan.db"))
      for page in stride(from: 8192, to: try handle.seekToEnd(), by: 8192) {
        try handle.seek(toOffset: page)
        try handle.write(contentsOf: Data(repeating: 0xAB, count: 4096))
      }
      try handle.close()
    }
  }
}
