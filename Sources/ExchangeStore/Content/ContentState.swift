package import ExchangeCore
import Foundation
import NodeDatabase

#if canImport(Glibc)
  import Glibc
#endif

/// How a stored content was found.
package enum ContentState: Sendable, Hashable {
  case intact
  case missing
  case wrongSize(Int64)
  /// Other bytes, or a disk that no longer gives them back.
  case altered
  /// The file cannot be opened: a matter of rights or of the moment, which says nothing about it.
  case unreadable(String)
  /// As `unreadable`, because of its owner or mode.
  case denied(String)

  /// True when waiting does not help: the bytes have to come from elsewhere.
  package var isDamage: Bool {
    switch self {
    case .missing, .wrongSize, .altered: true
    case .intact, .unreadable, .denied: false
    }
  }

  var code: StoreErrorCode {
    switch self {
    case .missing: .contentMissing
    case .unreadable: .fileSystem
    case .denied: .denied
    case .intact, .wrongSize, .altered: .contentDamaged
    }
  }

  package var text: String {
    switch self {
    case .intact: "is intact"
    case .missing: "is missing"
    case .wrongSize(let size): "has \(size) bytes"
    case .altered: "does not have its digest"
    case .unreadable(let reason), .denied(let reason): "cannot be opened: \(reason)"
    }
  }
}

extension ContentState {
  fileprivate static func unopened(_ error: StoreError) -> ContentState {
    error.kind == .denied ? .denied(error.reason) : .unreadable(error.reason)
  }
}

extension ContentFiles {
  /// Whether the file of a content is there with its size. Reads nothing.
  func glance(_ digest: SHA256Digest, size: Int64) -> ContentState {
    var status = stat()
    guard lstat(blobPath(digest), &status) == 0 else {
      return errno == ENOENT ? .missing : .unopened(.system("open", blobPath(digest)))
    }
    guard status.st_mode & S_IFMT == S_IFREG else { return .altered }
    return status.st_size == size ? .intact : .wrongSize(Int64(status.st_size))
  }

  /// Reads the whole file of a content and compares it with its digest.
  func condition(_ digest: SHA256Digest, size: Int64) -> ContentState {
    let glance = glance(digest, size: size)
    guard glance == .intact else { return glance }
    do {
      let file = try OpenFile(blobPath(digest), O_RDONLY)
      // What opens and cannot be read is a bad place on the disk.
      return (try? self.digest(of: file, size: size)) == digest ? .intact : .altered
    } catch {
      return .unopened(error)
    }
  }

  /// SHA-256 of the first `size` bytes; memory stays flat.
  func digest(of file: borrowing OpenFile, size: Int64) throws(StoreError) -> SHA256Digest {
    let hash = hashing.makeHash()
    var offset: Int64 = 0
    while offset < size {
      let data = try file.read(count: Int(min(Int64(Self.chunk), size - offset)), at: offset)
      if data.isEmpty { break }
      hash.update(data)
      offset += Int64(data.count)
    }
    return hash.finish()
  }

  /// SHA-256 and length of a person's regular file, or nil when it is none or cannot be read.
  package func identity(ofFile path: String) -> (sha256: SHA256Digest, size: Int64)? {
    guard let file = try? OpenFile(path, O_RDONLY | O_NONBLOCK), let status = try? file.status(),
      status.st_mode & S_IFMT == S_IFREG,
      let digest = try? digest(of: file, size: Int64(status.st_size))
    else { return nil }
    return (digest, Int64(status.st_size))
  }

  // MARK: Setting aside

  /// Moves the file of a damaged content out of the way: it may be all that is left of it, so it is
  /// kept until the content is whole again. Called inside `removing`.
  func setAside(_ digest: SHA256Digest) throws(StoreError) {
    let path = blobPath(digest)
    guard !FileIO.isMissing(path) else { return }
    try FileIO.makeFolder("\(root)/damaged")
    try FileIO.rename(path, to: damagedPath(digest))
    try FileIO.syncFolder("\(root)/damaged")
  }

  /// Keeps the bytes of a damaged content that stood in the database.
  func setAside(_ digest: SHA256Digest, bytes: Data) throws(StoreError) {
    try FileIO.makeFolder("\(root)/damaged")
    let file = try OpenFile(damagedPath(digest), O_WRONLY | O_CREAT | O_TRUNC)
    try file.write(bytes, at: 0)
    try file.sync()
  }

  /// Removes what was set aside of contents that are whole again.
  func sweepDamaged(isWhole: (SHA256Digest) throws -> Bool) throws {
    for name in names(in: "damaged") {
      guard let digest = SHA256Digest(hex: name), try isWhole(digest) else { continue }
      FileIO.remove(damagedPath(digest))
    }
  }

  func damagedPath(_ digest: SHA256Digest) -> String { "\(root)/damaged/\(digest.hex)" }
}
