/// Whether RAR and 7Z archives say in their readable parts that they are encrypted. An archive whose
/// list of files is compressed may be encrypted without saying so there.
enum ArchiveEncryption {
  static func isDeclared(_ format: FileFormat, _ file: AttachmentBytes, _ head: [UInt8]) throws
    -> Bool
  {
    switch format {
    case .sevenZip: try isEncrypted7Z(file, head)
    case .rar where head.starts(with: Array("Rar!\u{1A}\u{7}\u{1}\u{0}".utf8)):
      isEncryptedRAR5(head)
    case .rar: isEncryptedRAR4(head)
    default: false
    }
  }

  /// The list of coders, at the end of the file, names AES-256 with SHA-256 (06F10701).
  private static func isEncrypted7Z(_ file: AttachmentBytes, _ head: [UInt8]) throws -> Bool {
    guard let offset = head.number64(at: 12), let size = head.number64(at: 20),
      offset < file.size, size <= 1 << 20
    else { return false }
    return try file.bytes(at: 32 + offset, count: Int(size))
      .firstIndex(of: [0x06, 0xF1, 0x07, 0x01]) != nil
  }

  /// Blocks: CRC (2), type (1), flags (2), size (2), and with flag 0x8000 the length of what follows (4).
  /// Main header 0x73: flag 0x80; file 0x74: flag 0x04.
  private static func isEncryptedRAR4(_ head: [UInt8]) -> Bool {
    var position = 7
    for _ in 0..<4 {
      guard position + 7 <= head.count, let flags = head.number16(at: position + 3),
        let size = head.number16(at: position + 5), size >= 7
      else { return false }
      let type = head[position + 2]
      if type == 0x73, flags & 0x80 != 0 { return true }
      if type == 0x74 { return flags & 0x04 != 0 }
      position += size
      if flags & 0x8000 != 0 { position += Int(head.number32(at: position - size + 7) ?? 0) }
    }
    return false
  }

  /// Headers: CRC (4), size, type, flags, and with flag 1 an extra area at the end, with flag 2 data behind. Type 4 encrypts
  /// all headers; a record of type 1 in the extra area of a file (type 2) encrypts that file.
  private static func isEncryptedRAR5(_ head: [UInt8]) -> Bool {
    var position = 8
    for _ in 0..<4 {
      var cursor = position + 4
      guard let size = number(head, &cursor), size > 0, size <= 1 << 20 else { return false }
      let end = cursor + size
      guard let type = number(head, &cursor), let flags = number(head, &cursor) else {
        return false
      }
      if type == 4 { return true }
      let extra = flags & 1 != 0 ? number(head, &cursor) ?? 0 : 0
      let data = flags & 2 != 0 ? number(head, &cursor) ?? 0 : 0
      if type == 2 { return hasEncryptionRecord(head, from: end - extra, to: end) }
      position = end + data
    }
    return false
  }

  private static func hasEncryptionRecord(_ head: [UInt8], from start: Int, to end: Int) -> Bool {
    var cursor = max(0, start)
    while cursor < end {
      guard let size = number(head, &cursor), size > 0 else { return false }
      let next = cursor + size
      guard let type = number(head, &cursor) else { return false }
      if type == 1 { return true }
      cursor = next
    }
    return false
  }

  /// A number of seven bits a byte, lowest first; nil beyond 35 bits or outside.
  private static func number(_ bytes: [UInt8], _ position: inout Int) -> Int? {
    var value = 0
    for shift in stride(from: 0, to: 35, by: 7) {
      guard position >= 0, position < bytes.count else { return nil }
      let byte = bytes[position]
      position += 1
      value |= Int(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }
}
