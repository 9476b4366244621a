package import ExchangeCore
package import Foundation
package import NodeDatabase

#if canImport(Glibc)
  import Glibc
#endif

/// Where content stands after it was taken in: small content goes into the database row, larger
/// content is already a synced file under its digest.
package enum StoredContent: Sendable {
  case inline(Data, SHA256Digest)
  case file(SHA256Digest, size: Int64)

  package var sha256: SHA256Digest {
    switch self {
    case .inline(_, let digest), .file(let digest, _): digest
    }
  }

  package var size: Int64 {
    switch self {
    case .inline(let data, _): Int64(data.count)
    case .file(_, let size): size
    }
  }
}

/// The folders beside the database: `blobs/<2 digits>/<digest>` for content longer than 256 KiB,
/// `spool/` for attachments that are still coming in, `tmp/` for files being written, `damaged/` for
/// what no longer had its digest.
///
/// Every file is written under another name, synced, renamed, and its folder synced, before a row
/// may name it. Paths come from digests and row keys, never from a peer.
package struct ContentFiles: Sendable {
  /// Up to this many bytes a row is faster than a synced file (measured: 100 KiB 1.7 times faster
  /// in the database, 1 MiB 2.2 times faster as a file).
  package static let inlineLimit = 262_144
  static let chunk = 1_048_576

  let root: String
  let hashing: any ContentHashing

  /// Makes the folders when they are missing.
  package init(folder: String, hashing: any ContentHashing) throws(StoreError) {
    root = folder
    self.hashing = hashing
    for name in ["blobs", "spool", "tmp"] { try FileIO.makeFolder("\(folder)/\(name)") }
  }

  // MARK: Space

  /// Bytes that the disk has free for this user.
  package func freeSpace() throws(StoreError) -> Int64 {
    var status = statvfs()
    guard statvfs(root, &status) == 0 else { throw StoreError.system("statvfs", root) }
    return Int64(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
  }

  /// Throws `.full` when the disk has less than `floor` bytes free: the queue is the safer place
  /// then.
  package func requireSpace(_ floor: Int64) throws(StoreError) {
    let free = try freeSpace()
    guard free >= floor else {
      throw StoreError(
        .full, "\(root): \(free / 1_048_576) MB free, \(floor / 1_048_576) MB are kept free")
    }
  }

  /// Throws unless `bytes` more than `floor` can be written at this moment. Free space is asked for
  /// first; then a file of that size is made and removed, because a quota, a lack of inodes or a disk
  /// that became read-only cannot be seen otherwise.
  package func requireRoom(for bytes: Int64, above floor: Int64) throws(StoreError) {
    let free = try freeSpace()
    guard free >= floor + bytes else {
      throw StoreError(
        .full,
        "\(root): \(free / 1_048_576) MB free; to receive, the node needs \(bytes / 1_048_576) MB "
          + "more than the \(floor / 1_048_576) MB of limits.freeBytes")
    }
    let path = "\(root)/tmp/room-\(UUID().uuidString)"
    let file = try OpenFile(path, O_RDWR | O_CREAT | O_EXCL)
    defer { FileIO.remove(path) }
    let number = posix_fallocate(file.descriptor, 0, off_t(bytes))
    guard number == 0 else {
      errno = number
      throw StoreError.system("fallocate", path)
    }
  }

  // MARK: Guarding

  /// Runs `body`, which takes content in and commits its rows, while nobody removes content: a file
  /// that has no row yet must not be taken for a leftover. Any number of processes and threads may
  /// do this at the same time.
  package func keeping<Value>(_ body: () throws -> Value) throws -> Value {
    try locked(LOCK_SH, body)
  }

  /// Runs `body`, which removes content, while nobody takes content in.
  func removing<Value>(_ body: () throws -> Value) throws -> Value { try locked(LOCK_EX, body) }

  /// As `removing`; nil at once when content is being taken in and `waits` is false.
  func removing<Value>(waits: Bool, _ body: () throws -> Value) throws -> Value? {
    try locked("content.lock", waits ? LOCK_EX : LOCK_EX | LOCK_NB, body)
  }

  private func locked<Value>(_ kind: CInt, _ body: () throws -> Value) throws -> Value {
    guard let value = try locked("content.lock", kind, body) else {
      throw StoreError(.busy, "content.lock: is taken")
    }
    return value
  }

  /// Runs `body` in one process at a time; nil when another has the lock and `waits` is false. The
  /// kernel drops the lock when a process ends, however it ends.
  func exclusively<Value>(_ name: String, waits: Bool = true, _ body: () throws -> Value) throws
    -> Value?
  {
    try locked(name, waits ? LOCK_EX : LOCK_EX | LOCK_NB, body)
  }

  private func locked<Value>(_ name: String, _ kind: CInt, _ body: () throws -> Value) throws
    -> Value?
  {
    let file = try OpenFile("\(root)/\(name)", O_RDWR | O_CREAT)
    while flock(file.descriptor, kind) != 0 {
      if errno == EWOULDBLOCK { return nil }
      guard errno == EINTR else { throw StoreError.system("flock", name) }
    }
    let value = try body()
    _ = consume file
    return value
  }

  // MARK: Taking in

  /// Copies the file at `path` in; memory stays flat. `inspect` may read the file, only while it runs,
  /// and refuse by throwing.
  package func ingest(
    path: String, maximum: Int64, inspect: (AttachmentBytes) throws -> Void
  ) throws -> StoredContent {
    let source = try Self.open(path)
    let status = try source.status()
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw DocumentError(.attachmentUnreadable, "file “\(path)”: is not a regular file")
    }
    let size = Int64(status.st_size)
    guard size > 0 else { throw DocumentError(.attachmentSize, "file “\(path)”: is empty") }
    guard size <= maximum else {
      throw DocumentError(
        .tooLarge, "file “\(path)”: \(size) bytes, at most \(maximum) are allowed")
    }
    let descriptor = source.descriptor
    try inspect(
      AttachmentBytes(size: size) { try FileIO.read(descriptor, count: $1, at: $0) })
    if size <= Self.inlineLimit {
      let data = try source.read(count: Int(size), at: 0)
      try expectUnchanged(try source.status().isSameFile(as: status), path)
      return .inline(data, hashing.sha256(data))
    }
    let temporary = temporaryPath()
    do {
      let copy = try OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL)
      let hash = hashing.makeHash()
      var offset: Int64 = 0
      while offset < size {
        let data = try source.read(count: Int(min(Int64(Self.chunk), size - offset)), at: offset)
        try expectUnchanged(!data.isEmpty, path)
        hash.update(data)
        try copy.write(data, at: offset)
        offset += Int64(data.count)
      }
      try expectUnchanged(try source.status().isSameFile(as: status), path)
      CrashPoint.contentBeforeSync.pass()
      try copy.sync()
      let digest = hash.finish()
      try publish(temporary, as: digest)
      return .file(digest, size: size)
    } catch {
      FileIO.remove(temporary)
      throw error
    }
  }

  /// Opens a person's file. Without waiting: a pipe has no end, and is refused later.
  private static func open(_ path: String) throws -> OpenFile {
    do { return try OpenFile(path, O_RDONLY | O_NONBLOCK) } catch {
      let isMissing = FileIO.isMissing(path)
      throw DocumentError(
        isMissing ? .attachmentMissing : .attachmentUnreadable, "file “\(path)”: \(error.reason)")
    }
  }

  /// Stores content that is in memory (a single piece). Content above the inline limit is on disk
  /// when this returns.
  package func ingest(_ data: Data, digest: SHA256Digest) throws(StoreError) -> StoredContent {
    guard data.count > Self.inlineLimit else { return .inline(data, digest) }
    let temporary = temporaryPath()
    do {
      let file = try OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL)
      try file.write(data, at: 0)
      CrashPoint.contentBeforeSync.pass()
      try file.sync()
    }
    try publish(temporary, as: digest)
    return .file(digest, size: Int64(data.count))
  }

  /// Stores content that is in memory and computes its digest.
  package func ingest(_ data: Data) throws(StoreError) -> StoredContent {
    try ingest(data, digest: hashing.sha256(data))
  }

  // MARK: Spool

  /// Writes pieces of one transfer into its spool file and syncs once.
  package func spool(_ pieces: [(offset: Int64, body: Data)], transfer: SpoolName)
    throws(StoreError)
  {
    let path = spoolPath(transfer)
    let isNew = FileIO.size(path) == nil
    let file = try OpenFile(path, O_WRONLY | O_CREAT)
    for piece in pieces { try file.write(piece.body, at: piece.offset) }
    CrashPoint.spoolBeforeSync.pass()
    try file.sync()
    if isNew { try FileIO.syncFolder("\(root)/spool") }
    CrashPoint.spoolAfterSync.pass()
  }

  /// Hashes a complete spool file; on a match it becomes the blob. False when the digest differs: the
  /// file goes with its row, and every piece has to come again.
  package func assemble(_ transfer: SpoolName, digest: SHA256Digest, size: Int64)
    throws(StoreError) -> Bool
  {
    let path = spoolPath(transfer)
    guard !FileIO.isMissing(path) else {
      // A crash after the rename and before the row: the blob is there already.
      guard condition(digest, size: size) == .intact else {
        throw StoreError(.contentMissing, "transfer of \(digest): its spool file is missing")
      }
      return true
    }
    let file = try OpenFile(path, O_RDONLY)
    guard let found = try? self.digest(of: file, size: size) else {
      throw StoreError(.contentDamaged, "transfer of \(digest): its spool file cannot be read")
    }
    guard found == digest else { return false }
    try publish(path, as: digest)
    return true
  }

  // MARK: Reading

  /// Up to `count` bytes of a blob file from `offset`.
  package func read(_ digest: SHA256Digest, offset: Int64, count: Int) throws(StoreError) -> Data {
    let path = blobPath(digest)
    let file: OpenFile
    do { file = try OpenFile(path, O_RDONLY) } catch {
      guard FileIO.isMissing(path) else { throw error }
      throw StoreError(.contentMissing, "content \(digest): its file is missing")
    }
    return try file.read(count: count, at: offset)
  }

  // MARK: Keeping clean

  /// Removes the file of a content, and what was set aside of it. Called inside `removing`, when no
  /// row names it.
  func remove(_ digest: SHA256Digest) {
    FileIO.remove(blobPath(digest))
    FileIO.remove(damagedPath(digest))
  }

  /// False when neither the spool file of a transfer nor, for a complete one, the blob that it becomes
  /// (`digest`) is there.
  func hasBytes(of transfer: SpoolName, digest: SHA256Digest?) -> Bool {
    !FileIO.isMissing(spoolPath(transfer))
      || digest.map { !FileIO.isMissing(blobPath($0)) } == true
  }

  /// Removes the spool file of a transfer whose row is gone.
  func remove(_ transfer: SpoolName) { FileIO.remove(spoolPath(transfer)) }

  /// Removes temporary files, and blob and spool files that no row knows: leftovers of a crash
  /// between writing a file and committing its row. Called inside `removing`, when nobody is in
  /// between.
  func sweep(isKnownBlob: (SHA256Digest) throws -> Bool, knownSpool: Set<String>) throws {
    for name in names(in: "tmp") { FileIO.remove("\(root)/tmp/\(name)") }
    for name in names(in: "spool") where !knownSpool.contains(name) {
      FileIO.remove("\(root)/spool/\(name)")
    }
    for folder in names(in: "blobs") {
      for name in names(in: "blobs/\(folder)") {
        guard let digest = SHA256Digest(hex: name), try !isKnownBlob(digest) else { continue }
        FileIO.remove(blobPath(digest))
      }
    }
  }

  func names(in folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
  }

  // MARK: Paths

  /// Name of a transfer's spool file, made from the sender and the digest by hashing, so that the
  /// file can be written before its row exists and no text of a peer becomes a path.
  package struct SpoolName: Hashable, Sendable {
    package let fileName: String
  }

  package func spoolName(sender: UnitID, sha256: SHA256Digest, size: Int64) -> SpoolName {
    let identity = Data("\(sender)\n\(sha256)\n\(size)".utf8)
    return SpoolName(fileName: hashing.sha256(identity).hex + ".part")
  }

  private func spoolPath(_ name: SpoolName) -> String { "\(root)/spool/\(name.fileName)" }

  func blobPath(_ digest: SHA256Digest) -> String {
    let hex = digest.hex
    return "\(root)/blobs/\(hex.prefix(2))/\(hex)"
  }

  private func temporaryPath() -> String { "\(root)/tmp/\(UUID().uuidString)" }

  private func publish(_ path: String, as digest: SHA256Digest) throws(StoreError) {
    let folder = "\(root)/blobs/\(digest.hex.prefix(2))"
    if FileIO.size(folder) == nil {
      try FileIO.makeFolder(folder)
      try FileIO.syncFolder("\(root)/blobs")
    }
    CrashPoint.contentBeforeRename.pass()
    try FileIO.rename(path, to: blobPath(digest))
    CrashPoint.contentAfterRename.pass()
    try FileIO.syncFolder(folder)
  }

  private func expectUnchanged(_ unchanged: Bool, _ path: String) throws {
    guard unchanged else {
      throw DocumentError(.attachmentUnreadable, "file “\(path)”: changed while it was read")
    }
  }
}
