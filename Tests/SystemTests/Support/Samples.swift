import Foundation
import Glibc

/// Files to send.
enum Samples {
  /// A PDF, as far as its mark, of `size` bytes; different content every time.
  static func pdf(_ name: String = "Quyết định.pdf", size: Int = 2000) throws -> String {
    let path = "\(try CleanUp.folder("sample"))/\(name)"
    guard let file = fopen(path, "w") else { throw CommandFailed(description: "fopen \(path)") }
    defer { fclose(file) }
    var block = Array("%PDF-1.7\n".utf8)
    var left = size
    var random = SystemRandomNumberGenerator()
    while left > 0 {
      while block.count < min(left, 1 << 20) {
        withUnsafeBytes(of: random.next()) { block.append(contentsOf: $0) }
      }
      let count = min(left, block.count)
      guard fwrite(block, 1, count, file) == count else {
        throw CommandFailed(description: "fwrite \(path)")
      }
      left -= count
      // Blocks after the first differ by their number, which is enough and fast.
      withUnsafeBytes(of: left) { block.replaceSubrange(16..<24, with: $0) }
    }
    return path
  }

  static func sha256(_ path: String) async throws -> String {
    String(try await Command.require("/usr/bin/sha256sum", ["-b", path]).prefix(64))
  }
}
