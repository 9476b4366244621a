import DocumentSigning
import ExchangeCore
import Foundation

/// Trust anchor, revocation list, directory and signed messages that `make-seeds.py` made, in the
/// folder CONGVAN_FUZZ_WORLD. Kept with a finding: another world's messages verify nowhere else.
struct SignedWorld: Sendable {
  let trust: TrustStore
  let directory: Directory
  /// No message was signed before.
  let made: Timestamp
  /// When every message arrives.
  let arrival: Timestamp
  /// What each certificate has signed.
  let signed: [SHA256Digest: Set<Data>]
  /// The messages as they were made.
  let seeds: [String: Data]

  private struct Record: Decodable {
    var made: Timestamp
    var arrival: Timestamp
    /// Names of files: a certificate, and what it has signed.
    var signed: [String: [String]]
  }

  /// Traps with a sentence when the folder is not as `make-seeds.py` leaves it.
  init() {
    do {
      let path = ProcessInfo.processInfo.environment["CONGVAN_FUZZ_WORLD"] ?? ""
      let folder = URL(filePath: path)
      func read(_ name: String) throws -> Data {
        try Data(contentsOf: folder.appending(path: name))
      }
      let record = try JSONDecoder().decode(Record.self, from: read("world.json"))
      trust = try TrustStore.load(
        anchors: folder.appending(path: "ca.pem").path,
        revocationLists: folder.appending(path: "revoked.crl").path)
      directory = try Directory.decode(read("directory.json"), hashing: OpenSSLHashing())
      (made, arrival) = (record.made, record.arrival)
      var signed: [SHA256Digest: Set<Data>] = [:]
      for (certificate, contents) in record.signed {
        for info in try CertificateInfo.all(inPEM: read(certificate)) {
          signed[info.sha256] = Set(try contents.map(read))
        }
      }
      self.signed = signed
      let names = try FileManager.default.contentsOfDirectory(
        atPath: folder.appending(path: "messages").path)
      seeds = Dictionary(
        uniqueKeysWithValues: try names.map { ($0, try read("messages/\($0)")) })
    } catch {
      fatalError("CONGVAN_FUZZ_WORLD is not a folder of make-seeds.py: \(error)")
    }
  }
}
