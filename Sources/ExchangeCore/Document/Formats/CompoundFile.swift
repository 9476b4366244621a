/// The directory of an OLE compound file ([MS-CFB]): DOC, XLS, PPT, and what Office makes of a file
/// with a password. Chains are followed with bounds; a directory that contradicts itself ends early.
struct CompoundFile {
  struct Entry {
    /// Lower case: names are compared without it.
    let name: String
    let start: Int64
    let size: Int64
    let left: Int64
    let right: Int64
    let child: Int64
  }

  /// Bytes of the directory that are looked at: 4,096 entries, whatever the size of a sector.
  private static let directoryBytes = 1 << 19

  static let signature: [UInt8] = [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]

  let entries: [Entry]
  /// Names directly under the root: what the file itself is, and not what is embedded in it.
  let top: [Entry]
  private let layout: Layout

  /// Nil when the header or the directory cannot be read.
  init?(_ file: AttachmentBytes) throws {
    guard let layout = try Layout(file) else { return nil }
    var entries: [Entry] = []
    for sector in try layout.chain(
      from: layout.directory, limit: Self.directoryBytes / layout.sectorBytes)
    {
      let bytes = try file.bytes(at: layout.offset(of: sector), count: layout.sectorBytes)
      for start in stride(from: 0, through: bytes.count - 128, by: 128) {
        entries.append(Self.entry(Array(bytes[start..<start + 128])))
      }
    }
    guard let root = entries.first else { return nil }
    self.layout = layout
    self.entries = entries
    var top: [Entry] = []
    var open = [root.child]
    var seen: Set<Int64> = []
    while let number = open.popLast() {
      guard number >= 0, number < entries.count, seen.insert(number).inserted else { continue }
      let entry = entries[Int(number)]
      top.append(entry)
      open += [entry.left, entry.right]
    }
    self.top = top
  }

  func has(_ name: String) -> Bool { top.contains { $0.name == name } }

  /// Up to 512 first bytes of a stream under the root; none when there is no such stream.
  func beginning(of name: String, in file: AttachmentBytes) throws -> [UInt8] {
    guard let entry = top.first(where: { $0.name == name }), entry.size > 0 else { return [] }
    let count = Int(min(512, entry.size))
    guard entry.size < layout.smallStreams else {
      return try file.bytes(at: layout.offset(of: entry.start), count: count)
    }
    // Streams shorter than 4,096 bytes stand in the root's own stream, in sectors of 64 bytes.
    guard let root = entries.first else { return [] }
    let place = entry.start * 64
    let steps = place / Int64(layout.sectorBytes)
    let sectors = try layout.chain(from: root.start, limit: 65_536, skip: steps)
    guard let sector = sectors.first else { return [] }
    return try file.bytes(
      at: layout.offset(of: sector) + place % Int64(layout.sectorBytes), count: min(count, 64))
  }

  private static func entry(_ bytes: [UInt8]) -> Entry {
    let length = min(max((bytes.number16(at: 64) ?? 0) - 2, 0), 62)
    let units = stride(from: 0, to: length - 1, by: 2).map {
      UInt16(truncatingIfNeeded: bytes.number16(at: $0) ?? 0)
    }
    func link(_ index: Int) -> Int64 { bytes.number32(at: index) ?? -1 }
    return Entry(
      name: String(decoding: units, as: UTF16.self).lowercased(), start: link(116),
      size: link(120), left: link(68), right: link(72), child: link(76))
  }
}

/// Where sectors are, and which follows which.
private final class Layout {
  let file: AttachmentBytes
  let sectorBytes: Int
  let directory: Int64
  let smallStreams: Int64
  /// Sectors of the allocation table.
  private var tables: [Int64] = []

  init?(_ file: AttachmentBytes) throws {
    let header = try file.head(512)
    guard header.starts(with: CompoundFile.signature), let shift = header.number16(at: 30),
      shift == 9 || shift == 12, let directory = header.number32(at: 48),
      let small = header.number32(at: 56), let more = header.number32(at: 68)
    else { return nil }
    self.file = file
    sectorBytes = 1 << shift
    self.directory = directory
    smallStreams = small
    tables = (0..<109).compactMap { header.number32(at: 76 + 4 * $0) }
    // Longer lists of tables go on in sectors of their own, chained by their last number.
    var next = more
    // No chain is longer than the file: one that leads back to itself ends.
    var left = min(1024, file.size / Int64(sectorBytes) + 1)
    let perSector = sectorBytes / 4
    while next < 0xFFFF_FFFA, left > 0 {
      left -= 1
      let bytes = try file.bytes(at: offset(of: next), count: sectorBytes)
      guard bytes.count == sectorBytes else { break }
      tables += (0..<perSector - 1).compactMap { bytes.number32(at: 4 * $0) }
      next = bytes.number32(at: sectorBytes - 4) ?? 0xFFFF_FFFE
    }
  }

  func offset(of sector: Int64) -> Int64 { (sector + 1) * Int64(sectorBytes) }

  /// The sectors of a chain; at most `limit` of them, the first `skip` left out.
  func chain(from start: Int64, limit: Int, skip: Int64 = 0) throws -> [Int64] {
    var result: [Int64] = []
    var sector = start
    var step: Int64 = 0
    let limit = min(Int64(limit), file.size / Int64(sectorBytes) + 1)
    while sector < 0xFFFF_FFFA, step < limit {
      if step >= skip {
        result.append(sector)
        if skip > 0 { return result }
      }
      step += 1
      let perSector = Int64(sectorBytes / 4)
      let table = Int(sector / perSector)
      guard table < tables.count else { break }
      let place = offset(of: tables[table]) + sector % perSector * 4
      guard let next = try file.bytes(at: place, count: 4).number32(at: 0) else { break }
      sector = next
    }
    return result
  }
}
