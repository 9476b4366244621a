/// Text as offices really save it: UTF-8 with or without its mark, UTF-16 ("Unicode Text" of Excel and
/// Notepad), UTF-32, and the 8-bit encodings of old programs.
struct TextContent {
  enum Encoding {
    case utf8
    /// UTF-16 or UTF-32 with a byte order mark.
    case marked
    /// UTF-16 that says nothing of itself.
    case unmarked
    /// No UTF-8 and no NUL: TCVN3, VNI, Windows-1258 and the like.
    case old
  }

  let encoding: Encoding
  /// First character that is neither space nor byte order mark.
  let first: UInt32?

  /// Looks at the first and the last 64 KiB. Nil when that is not recognised as text.
  init?(_ file: AttachmentBytes) throws {
    let head = try file.head()
    let tail = try file.tail()
    if let (width, isLittle) = Self.mark(head) {
      let units = Self.units(head, 0, width, isLittle)
      let last = Self.units(tail, file.size - Int64(tail.count), width, isLittle)
      guard Self.isReadable(units), Self.isReadable(last) else { return nil }
      self.init(.marked, units)
    } else if !head.contains(0), !tail.contains(0) {
      guard Self.isReadable(head.map(UInt32.init)), Self.isReadable(tail.map(UInt32.init)) else {
        return nil
      }
      let isShort = file.size == head.count
      let isUTF8 =
        Self.isUTF8(head, isStart: true, isEnd: isShort)
        && Self.isUTF8(tail, isStart: isShort, isEnd: true)
      self.init(isUTF8 ? .utf8 : .old, Self.withoutMark(head).map(UInt32.init))
    } else if file.size % 2 == 0,
      let units = [true, false].lazy.map({ Self.units(head, 0, 2, $0) }).first(where: Self.isPlain)
    {
      self.init(.unmarked, units)
    } else {
      return nil
    }
  }

  private init(_ encoding: Encoding, _ units: [UInt32]) {
    self.encoding = encoding
    first = units.first { ![0x20, 0x09, 0x0A, 0x0D, 0xFEFF].contains($0) }
  }

  /// True of bytes that no text in an 8-bit encoding or UTF-16 with its mark has.
  static func isBinary(_ bytes: [UInt8]) -> Bool {
    let hasMark = bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF])
    return !hasMark && bytes.contains { $0 == 0 || isControl(UInt32($0)) }
  }

  /// Width of a unit and byte order, from a mark at the beginning.
  private static func mark(_ head: [UInt8]) -> (Int, isLittle: Bool)? {
    if head.starts(with: [0xFF, 0xFE, 0, 0]) { return (4, true) }
    if head.starts(with: [0, 0, 0xFE, 0xFF]) { return (4, false) }
    if head.starts(with: [0xFF, 0xFE]) { return (2, true) }
    if head.starts(with: [0xFE, 0xFF]) { return (2, false) }
    return nil
  }

  private static func withoutMark(_ head: [UInt8]) -> ArraySlice<UInt8> {
    head.starts(with: [0xEF, 0xBB, 0xBF]) ? head.dropFirst(3) : head[...]
  }

  /// Whole units of `bytes`, which stand at `offset` of the file.
  private static func units(_ bytes: [UInt8], _ offset: Int64, _ width: Int, _ isLittle: Bool)
    -> [UInt32]
  {
    let skip = (width - Int(offset % Int64(width))) % width
    return stride(from: skip, through: bytes.count - width, by: width).map { start in
      let unit = bytes[start..<start + width]
      return isLittle
        ? unit.reversed().reduce(0) { $0 << 8 | UInt32($1) }
        : unit.reduce(0) { $0 << 8 | UInt32($1) }
    }
  }

  private static func isControl(_ unit: UInt32) -> Bool {
    // Tab, line feed, vertical tab, form feed, carriage return, end of file (DOS) and escape occur in texts.
    unit < 0x20 && ![0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1A, 0x1B].contains(unit)
  }

  /// No NUL, and of a hundred characters at most five that no text needs (VISCII puts letters there).
  private static func isReadable(_ units: [UInt32]) -> Bool {
    !units.contains { $0 == 0 || $0 > 0x10FFFF }
      && units.count(where: isControl) * 20 <= units.count
  }

  /// Nine of ten characters are Latin letters, digits or usual signs, and none is a control.
  private static func isPlain(_ units: [UInt32]) -> Bool {
    guard !units.isEmpty, !units.contains(where: { $0 == 0 || isControl($0) }) else { return false }
    let usual = units.count { unit in
      unit < 0x0250 || (0x0300..<0x0370).contains(unit) || (0x1E00..<0x1F00).contains(unit)
        || (0x2000..<0x2070).contains(unit)
    }
    return usual * 10 >= units.count * 9
  }

  /// UTF-8, but for a character that is cut in two at a border of the window.
  private static func isUTF8(_ bytes: [UInt8], isStart: Bool, isEnd: Bool) -> Bool {
    var index = isStart ? 0 : bytes.prefix(3).prefix { $0 & 0xC0 == 0x80 }.count
    while index < bytes.count {
      let byte = bytes[index]
      let length =
        switch byte {
        case ..<0x80: 1
        case 0xC2..<0xE0: 2
        case 0xE0..<0xF0: 3
        case 0xF0..<0xF5: 4
        default: 0
        }
      guard length > 0 else { return false }
      let rest = bytes[(index + 1)..<min(index + length, bytes.count)]
      guard rest.allSatisfy({ $0 & 0xC0 == 0x80 }) else { return false }
      if rest.count < length - 1 { return !isEnd }
      index += length
    }
    return true
  }
}
