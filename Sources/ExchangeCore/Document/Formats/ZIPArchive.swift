/// The list of files in a ZIP archive: its central directory, wherever it stands, up to 4 MiB and
/// 10,000 entries of it, also with ZIP64. Nothing is decompressed.
struct ZIPArchive {
  struct Entry {
    /// Its bytes, Latin letters in lower case, with `/` between folders and without one before.
    let name: [UInt8]
    let isEncrypted: Bool
    /// Compression method; 0 is stored.
    let method: Int
    let checksum: UInt32
    /// Bytes once decompressed.
    let size: Int64
    /// Where its local header stands.
    let offset: Int64
  }

  /// Entries that are looked at, and the most that an Office document may have: the list costs time,
  /// and a peer may send a hundred of them in one document.
  static let maximumEntries = 10_000

  let entries: [Entry]
  /// That there are more entries than are looked at, and what says so: a sentence's predicate. Nil
  /// when there are not.
  let excess: String?

  static func hasSignature(_ head: [UInt8]) -> Bool {
    let local: [UInt8] = [0x50, 0x4B, 3, 4]
    // Archives that were made for several disks and fit on one begin with a mark before the first header.
    return head.starts(with: local) || head.starts(with: [0x50, 0x4B, 7, 8] + local)
      || head.starts(with: [0x50, 0x4B, 0x30, 0x30] + local)
  }

  private static let directoryBytes: Int64 = 4 << 20

  /// Nil when no central directory can be read, as in an archive that was cut off.
  init?(_ file: AttachmentBytes) throws {
    guard let (offset, size, count) = try Self.directory(of: file) else { return nil }
    let bytes = try file.bytes(at: offset, count: Int(min(size, Self.directoryBytes)))
    var entries: [Entry] = []
    var position = 0
    while entries.count < Self.maximumEntries, let (entry, next) = Self.entry(bytes, position) {
      entries.append(entry)
      position = next
    }
    guard !entries.isEmpty else { return nil }
    self.entries = entries
    excess =
      if count > Self.maximumEntries {
        "counts \(count) files in its end record"
      } else if bytes.number32(at: position) == Self.mark, entries.count == Self.maximumEntries {
        "lists more than \(Self.maximumEntries) files"
      } else {
        nil
      }
  }

  /// The first bytes of an entry that is stored as it is.
  func beginning(of entry: Entry, in file: AttachmentBytes, count: Int) throws -> [UInt8] {
    let header = try file.bytes(at: entry.offset, count: 30)
    guard header.starts(with: [0x50, 0x4B, 3, 4]), let name = header.number16(at: 26),
      let extra = header.number16(at: 28)
    else { return [] }
    let length = Int(min(Int64(count), entry.size))
    return try file.bytes(at: entry.offset + 30 + Int64(name + extra), count: length)
  }

  /// Begins an entry of the central directory.
  private static let mark: Int64 = 0x0201_4B50

  /// Offset, length and number of entries of the central directory, from the record at the end.
  private static func directory(of file: AttachmentBytes) throws -> (Int64, Int64, Int64)? {
    let tail = try file.tail(65_557)
    let start = file.size - Int64(tail.count)
    var index = tail.count - 22
    while index >= 0 {
      if tail[index] == 0x50, tail[index...].starts(with: [0x50, 0x4B, 5, 6]),
        let count = tail.number16(at: index + 10), let size = tail.number32(at: index + 12),
        let offset = tail.number32(at: index + 16)
      {
        let end = start + Int64(index)
        let (offset, size, count) =
          try large(file, before: end) ?? (offset, size, Int64(count))
        // The offsets of an archive behind other bytes are too small by their number.
        for candidate in [offset, end - size] where candidate >= 0 {
          if try file.bytes(at: candidate, count: 4) == [0x50, 0x4B, 1, 2] {
            return (candidate, size, count)
          }
        }
      }
      index -= 1
    }
    return nil
  }

  /// The same from the ZIP64 record that a locator right before the end record names.
  private static func large(_ file: AttachmentBytes, before end: Int64) throws
    -> (Int64, Int64, Int64)?
  {
    let locator = try file.bytes(at: end - 20, count: 20)
    guard locator.starts(with: [0x50, 0x4B, 6, 7]), let place = locator.number64(at: 8) else {
      return nil
    }
    let record = try file.bytes(at: place, count: 56)
    guard record.starts(with: [0x50, 0x4B, 6, 6]), let count = record.number64(at: 32),
      let size = record.number64(at: 40), let offset = record.number64(at: 48)
    else { return nil }
    return (offset, size, count)
  }

  private static func entry(_ bytes: [UInt8], _ position: Int) -> (Entry, Int)? {
    guard bytes.number32(at: position) == mark,
      let flags = bytes.number16(at: position + 8), let method = bytes.number16(at: position + 10),
      let checksum = bytes.number32(at: position + 16),
      let size = bytes.number32(at: position + 24),
      let name = bytes.number16(at: position + 28), let extra = bytes.number16(at: position + 30),
      let comment = bytes.number16(at: position + 32),
      let offset = bytes.number32(at: position + 42)
    else { return nil }
    let start = position + 46
    guard start + name <= bytes.count else { return nil }
    return (
      Entry(
        name: folded(bytes[start..<start + name]), isEncrypted: flags & 1 != 0, method: method,
        checksum: UInt32(truncatingIfNeeded: checksum), size: size, offset: offset),
      start + name + extra + comment
    )
  }

  private static func folded(_ name: ArraySlice<UInt8>) -> [UInt8] {
    let separators = [UInt8(ascii: "/"), UInt8(ascii: "\\")]
    return name.drop(while: separators.contains).map { byte in
      switch byte {
      case UInt8(ascii: "\\"): UInt8(ascii: "/")
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
      default: byte
      }
    }
  }
}

/// CRC-32 as in ZIP.
func checksum(_ text: String) -> UInt32 {
  ~text.utf8.reduce(UInt32.max) { value, byte in
    (0..<8).reduce(value ^ UInt32(byte)) { value, _ in
      value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1
    }
  }
}
