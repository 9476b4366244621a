import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import NodeDatabase
import Testing

@testable import ExchangeStore

#if canImport(Glibc)
  import Glibc
#endif

/// Taking content in, reading it, putting it together.
@Suite(.timeLimit(.minutes(1))) struct ContentFilesTests {
  let folder: TemporaryFolder
  let files: ContentFiles

  init() throws {
    folder = try TemporaryFolder()
    files = try ContentFiles(folder: folder.url.path, hashing: OpenSSLHashing())
  }

  private func ingest(
    _ path: String, maximum: Int64 = 1 << 30, inspect: (AttachmentBytes) throws -> Void = { _ in }
  ) throws -> StoredContent {
    try files.ingest(path: path, maximum: maximum, inspect: inspect)
  }

  private func write(_ data: Data) throws -> String {
    try folder.write(data, as: "\(UUID().uuidString).pdf")
  }

  private var temporaryFiles: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path("tmp")) }
  }

  private func blob(_ digest: SHA256Digest) -> String {
    folder.path("blobs/\(digest.hex.prefix(2))/\(digest)")
  }

  // MARK: Taking in

  @Test(arguments: [
    1, 1000, ContentFiles.inlineLimit - 1, ContentFiles.inlineLimit, ContentFiles.inlineLimit + 1,
    1_048_576, 1_048_577, 3_000_000,
  ])
  func contentIsKeptWhole(_ size: Int) throws {
    var random = SeededRandom(seed: UInt64(size))
    let data = random.bytes(min(size, 5000)) + Data(repeating: 7, count: max(0, size - 5000))
    for content in [try ingest(write(data)), try files.ingest(data)] {
      #expect(content.size == size)
      #expect(content.sha256 == TestStore.hash(data))
      switch content {
      case .inline(let bytes, _):
        #expect(size <= ContentFiles.inlineLimit)
        #expect(bytes == data)
      case .file(let digest, _):
        #expect(size > ContentFiles.inlineLimit)
        #expect(try Data(contentsOf: URL(filePath: blob(digest))) == data)
      }
    }
    #expect(try temporaryFiles == [])
  }

  @Test func inspectReadsWhereItWants() throws {
    let data = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 1000) })
    var seen: [[UInt8]] = []
    _ = try ingest(write(data)) { file in
      #expect(file.size == 300_000)
      seen = try [0, 65_000, 234_464, 299_999, 300_000, -1].map {
        try file.bytes(at: $0, count: 65_536)
      }
    }
    let expected = [
      data.prefix(65_536), data[65_000..<130_536], data.suffix(65_536), data.suffix(1),
    ]
    #expect(seen == expected.map(Array.init) + [[], []])
  }

  @Test func whatInspectRefusesLeavesNothing() throws {
    struct Refused: Error {}
    #expect(throws: Refused.self) {
      try ingest(write(Data(count: 400_000))) { _ in throw Refused() }
    }
    #expect(try temporaryFiles == [])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("blobs")) == [])
  }

  @Test func aSymbolicLinkIsTheFileItNames() throws {
    let link = folder.path("link.pdf")
    try FileManager.default.createSymbolicLink(
      atPath: link, withDestinationPath: try write(Data("nội dung".utf8)))
    #expect(try ingest(link).sha256 == TestStore.hash(Data("nội dung".utf8)))
  }

  /// None of these may hang, trap or be taken for content.
  @Test(arguments: [
    ("empty", DocumentErrorCode.attachmentSize), ("folder", .attachmentUnreadable),
    ("pipe", .attachmentUnreadable), ("device", .attachmentUnreadable),
    ("socket", .attachmentUnreadable), ("loop", .attachmentUnreadable),
    ("missing", .attachmentMissing), ("large", .tooLarge),
  ])
  func whatIsNoFileIsRefused(_ kind: String, _ code: DocumentErrorCode) throws {
    var path = folder.path(kind)
    switch kind {
    case "empty": try folder.write(Data(), as: kind)
    case "large": try folder.write(Data(count: 101), as: kind)
    case "folder":
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    case "pipe": #expect(mkfifo(path, 0o600) == 0)
    case "device": path = "/dev/zero"
    case "socket": try makeSocket(path)
    case "loop":
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: path)
    default: break
    }
    #expect(throws: DocumentError(code, "")) { try ingest(path, maximum: 100) }
  }

  private func makeSocket(_ path: String) throws {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let name = Array(path.utf8)
    try #require(name.count < MemoryLayout.size(ofValue: address.sun_path))
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(status == 0)
  }

  /// The file changes after it was looked at: what is signed is what was read, or nothing.
  @Test(arguments: [1000, 400_000], ["grow", "shrink", "replace"])
  func aFileThatChangesWhileItIsReadIsRefused(_ size: Int, _ change: String) throws {
    let path = try write(Data(count: size))
    #expect(throws: DocumentError(.attachmentUnreadable, "")) {
      try ingest(path) { _ in
        let handle = try FileHandle(forUpdating: URL(filePath: path))
        defer { try? handle.close() }
        switch change {
        case "grow":
          try handle.seekToEnd()
          try handle.write(contentsOf: Data("thêm".utf8))
        case "shrink": try handle.truncate(atOffset: 10)
        default:
          try handle.seek(toOffset: 5)
          try handle.write(contentsOf: Data("khác".utf8))
        }
        // The writer is a moment later than the file's last change, whatever the disk's clock.
        utimensTomorrow(path)
      }
    }
    #expect(try temporaryFiles == [])
  }

  private func utimensTomorrow(_ path: String) {
    var times = [timeval(tv_sec: time(nil) + 86_400, tv_usec: 0)]
    times.append(times[0])
    utimes(path, &times)
  }

  // MARK: Reading

  @Test(arguments: [1000, 400_000])
  func rangesAreRead(_ size: Int) throws {
    let test = try TestStore()
    let data = Data((0..<size).map { UInt8(truncatingIfNeeded: $0) })
    try test.issue(content: data)
    let digest = TestStore.hash(data)
    for (offset, count) in [
      (0, size), (0, 10), (size - 3, 10), (size, 10), (size + 5, 10), (size / 2, 1), (5, 0),
    ] {
      let expected = offset < size ? Data(data[offset..<min(size, offset + count)]) : Data()
      #expect(
        try test.store.contents.content(digest, offset: Int64(offset), count: count) == expected)
    }
  }

  @Test func whatIsNotThereIsMissing() throws {
    let test = try TestStore()
    #expect(throws: StoreError(.contentMissing, "")) {
      try test.store.contents.content(TestStore.hash(Data()), offset: 0, count: 1)
    }
    try test.issue(content: Data(count: 400_000))
    try FileManager.default.removeItem(atPath: test.folder.path("blobs"))
    #expect(throws: StoreError(.contentMissing, "")) {
      try test.store.contents.content(TestStore.hash(Data(count: 400_000)), offset: 0, count: 1)
    }
  }

  // MARK: Putting together

  private func transfer(_ data: Data) throws -> ContentFiles.SpoolName {
    let name = files.spoolName(
      sender: TestStore.beta, sha256: TestStore.hash(data), size: Int64(data.count))
    let middle = 1_048_576
    try files.spool([(offset: Int64(middle), body: data.dropFirst(middle))], transfer: name)
    try files.spool([(offset: 0, body: data.prefix(middle))], transfer: name)
    return name
  }

  @Test func piecesBecomeABlob() throws {
    let data = Data(repeating: 1, count: 1_048_576) + Data(repeating: 2, count: 99)
    let digest = TestStore.hash(data)
    let name = try transfer(data)
    #expect(try files.assemble(name, digest: digest, size: Int64(data.count)))
    #expect(try Data(contentsOf: URL(filePath: blob(digest))) == data)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("spool")) == [])
    // Again, as after a crash between the rename and the row.
    #expect(try files.assemble(name, digest: digest, size: Int64(data.count)))
  }

  @Test func anotherDigestIsNoBlob() throws {
    let data = Data(repeating: 1, count: 1_048_576) + Data(repeating: 2, count: 99)
    let name = try transfer(data)
    let other = TestStore.hash(Data("khác".utf8))
    #expect(try !files.assemble(name, digest: other, size: Int64(data.count)))
    #expect(!FileManager.default.fileExists(atPath: blob(other)))
    // The file goes with its row: until then the answer is the same.
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("spool")).count == 1)
    #expect(try !files.assemble(name, digest: other, size: Int64(data.count)))
  }

  @Test func namesOfTransfersDoNotMeet() {
    let digest = TestStore.hash(Data())
    let names = [TestStore.beta, TestStore.gamma].flatMap { unit in
      [5, 50].map { files.spoolName(sender: unit, sha256: digest, size: $0).fileName }
    }
    #expect(Set(names).count == 4)
    #expect(names.allSatisfy { !$0.contains("/") && $0.hasSuffix(".part") })
  }

  @Test func whoTakesInKeepsTheSweeperOut() async throws {
    // Two processes are two openings of the lock file; a thread stands in for the second.
    let files = files
    let order = Order()
    try files.keeping {
      let thread = Thread {
        try? files.removing { order.add("remove") }
        order.done()
      }
      thread.start()
      order.add("keep")
    }
    order.wait()
    #expect(order.events == ["keep", "remove"])
  }

  private final class Order: @unchecked Sendable {
    private let condition = NSCondition()
    private var names: [String] = []
    private var isDone = false
    var events: [String] { condition.withLock { names } }
    func add(_ name: String) { condition.withLock { names.append(name) } }
    func done() {
      condition.withLock {
        isDone = true
        condition.signal()
      }
    }
    func wait() {
      condition.withLock {
        while !isDone, condition.wait(until: Date(timeIntervalSinceNow: 20)) {}
      }
    }
  }
}
