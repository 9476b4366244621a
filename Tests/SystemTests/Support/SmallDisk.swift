import Foundation
import Glibc

/// A file system of its own for a node: it can be filled and made read-only without harm to others.
struct SmallDisk {
  let path: String

  /// True when this account may mount one.
  static let isPermitted: Bool = {
    let path = "\(CleanUp.shared.folder)/mount-\(UInt32.random(in: 0...(.max)))"
    guard mkdir(path, 0o700) == 0, mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0 else {
      return false
    }
    umount2(path, 0)
    return true
  }()

  /// Mounts `megabytes` and copies the folder of `node` there.
  init(megabytes: Int, for node: NodeFolder) throws {
    path = try CleanUp.folder("disk")
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      throw CommandFailed(description: "mount \(path): \(String(cString: strerror(errno)))")
    }
    for name in try FileManager.default.contentsOfDirectory(atPath: node.path) {
      try FileManager.default.copyItem(atPath: "\(node.path)/\(name)", toPath: "\(path)/\(name)")
    }
  }

  /// Fills it up to `left` free bytes.
  func fill(leaving left: Int) throws {
    let descriptor = open("\(path)/ballast", O_WRONLY | O_CREAT, 0o600)
    defer { close(descriptor) }
    var status = statvfs()
    guard descriptor >= 0, statvfs(path, &status) == 0 else {
      throw CommandFailed(description: "cannot fill \(path)")
    }
    let free = Int(status.f_bavail) * Int(status.f_frsize)
    guard posix_fallocate(descriptor, 0, max(1, free - left)) == 0 else {
      throw CommandFailed(description: "cannot fill \(path)")
    }
  }

  func empty() { unlink("\(path)/ballast") }

  func make(readOnly: Bool) throws {
    let flags = UInt(MS_REMOUNT) | (readOnly ? UInt(MS_RDONLY) : 0)
    guard mount("tmpfs", path, "tmpfs", flags, nil) == 0 else {
      throw CommandFailed(description: "remount \(path): \(String(cString: strerror(errno)))")
    }
  }

  func remove() { umount2(path, Int32(MNT_DETACH)) }
}
