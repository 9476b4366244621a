package import Foundation

/// ZIP archives as various programs write them.
package enum SampleArchive {
  package struct Entry {
    package var name: String
    package var content: Data
    /// What stands in the archive when it is not `content` itself: compressed bytes.
    package var packed: Data?
    package var flags: UInt16 = 0
    package var extra = Data()

    package init(_ name: String, _ content: String = "<x/>") {
      (self.name, self.content) = (name, Data(content.utf8))
    }

    package init(_ name: String, bytes: Data) { (self.name, content) = (name, bytes) }
  }

  /// `comment` stands at the end; `isLarge` writes the records of ZIP64; `hasDescriptors` leaves sizes and
  /// checksums out of the local headers.
  package static func zip(
    _ entries: [Entry], comment: String = "", isLarge: Bool = false, hasDescriptors: Bool = false
  ) -> Data {
    var file = Data()
    var directory = Data()
    for entry in entries {
      let packed = entry.packed ?? entry.content
      let name = Data(entry.name.utf8)
      let flags = entry.flags | (hasDescriptors ? 8 : 0)
      let offset = file.count
      func common(_ isLocal: Bool) -> Data {
        let isHidden = isLocal && hasDescriptors
        return number(20, 2) + number(flags, 2) + number(entry.packed == nil ? 0 : 8, 2)
          + number(0, 4) + number(isHidden ? 0 : crc32(entry.content), 4)
          + number(isHidden ? 0 : packed.count, 4) + number(isHidden ? 0 : entry.content.count, 4)
          + number(name.count, 2) + number(entry.extra.count, 2)
      }
      file += Data("PK\u{3}\u{4}".utf8) + common(true) + name + entry.extra + packed
      if hasDescriptors {
        file +=
          Data("PK\u{7}\u{8}".utf8) + number(crc32(entry.content), 4)
          + number(packed.count, 4) + number(entry.content.count, 4)
      }
      directory +=
        Data("PK\u{1}\u{2}".utf8) + number(20, 2) + common(false)
        + number(0, 2) + number(0, 2) + number(0, 2) + number(0, 4) + number(offset, 4) + name
        + entry.extra
    }
    let start = file.count
    file += directory
    if isLarge {
      let record = file.count
      file +=
        Data("PK\u{6}\u{6}".utf8) + number(44, 8) + number(45, 2) + number(45, 2)
        + number(0, 4) + number(0, 4) + number(entries.count, 8) + number(entries.count, 8)
        + number(directory.count, 8) + number(start, 8)
      file += Data("PK\u{6}\u{7}".utf8) + number(0, 4) + number(record, 8) + number(1, 4)
    }
    let most = isLarge ? 0xFFFF_FFFF : 0
    file +=
      Data("PK\u{5}\u{6}".utf8) + number(0, 4) + number(min(entries.count, 0xFFFF), 2)
      + number(min(entries.count, 0xFFFF), 2) + number(isLarge ? most : directory.count, 4)
      + number(isLarge ? most : start, 4) + number(comment.utf8.count, 2) + Data(comment.utf8)
    return file
  }

  private static func crc32(_ data: Data) -> UInt32 {
    ~data.reduce(UInt32.max) { value, byte in
      (0..<8).reduce(value ^ UInt32(byte)) { value, _ in
        value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1
      }
    }
  }
}

/// OLE compound files.
package enum SampleCompoundFile {
  /// Streams and storages by name; those with `/` in their name stand in a storage. Sectors of 512 bytes.
  /// `padding` sectors of nothing stand before the directory.
  package static func file(_ streams: [String: Data], padding: Int = 0) -> Data {
    var names: [(name: String, parent: String, data: Data?)] = []
    for (path, data) in streams.sorted(by: { $0.key < $1.key }) {
      let parts = path.split(separator: "/").map(String.init)
      if parts.count == 2, !names.contains(where: { $0.name == parts[0] && $0.data == nil }) {
        names.append((parts[0], "", nil))
      }
      names.append((parts.last ?? path, parts.count == 2 ? parts[0] : "", data))
    }
    var body = Data(count: 512 * padding)
    var small = Data()
    var chains: [(Int, Int)] = []
    func append(_ data: Data) -> Int {
      let start = body.count / 512
      body += data + Data(count: (512 - data.count % 512) % 512)
      chains.append((start, body.count / 512 - start))
      return start
    }
    let starts = names.map { item -> Int in
      guard let data = item.data else { return 0 }
      guard data.count < 4096 else { return append(data) }
      let start = small.count / 64
      small += data + Data(count: (64 - data.count % 64) % 64)
      return start
    }
    let root = small.isEmpty ? 0xFFFF_FFFE : append(small)
    func first(in parent: String) -> Int {
      names.firstIndex { $0.parent == parent }.map { $0 + 1 } ?? 0xFFFF_FFFF
    }
    var directory = entry("Root Entry", 5, 0xFFFF_FFFF, first(in: ""), root, small.count)
    for (index, item) in names.enumerated() {
      let next = names.indices.first { $0 > index && names[$0].parent == item.parent }
      let child = item.data == nil ? first(in: item.name) : 0xFFFF_FFFF
      directory += entry(
        item.name, item.data == nil ? 1 : 2, next.map { $0 + 1 } ?? 0xFFFF_FFFF, child,
        starts[index], item.data?.count ?? 0)
    }
    let place = append(directory)
    let sectors = body.count / 512
    let tables = (sectors + 127 + (sectors + 127) / 128) / 128
    var table = [UInt32](repeating: 0xFFFF_FFFF, count: tables * 128)
    for (start, count) in chains {
      for sector in start..<start + count {
        table[sector] = sector == start + count - 1 ? 0xFFFF_FFFE : UInt32(sector + 1)
      }
    }
    for sector in sectors..<sectors + tables { table[sector] = 0xFFFF_FFFD }
    var header = Data([0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) + Data(count: 16)
    header += number(0x3E, 2) + number(3, 2) + number(0xFFFE, 2) + number(9, 2) + number(6, 2)
    header += Data(count: 10) + number(tables, 4) + number(place, 4) + number(0, 4)
    header += number(4096, 4) + number(0xFFFF_FFFE, 4) + number(0, 4) + number(0xFFFF_FFFE, 4)
    header += number(0, 4)
    for index in 0..<109 { header += number(index < tables ? sectors + index : 0xFFFF_FFFF, 4) }
    return header + body + table.reduce(Data()) { $0 + number($1, 4) }
  }

  private static func entry(
    _ name: String, _ type: Int, _ right: Int, _ child: Int, _ start: Int, _ size: Int
  ) -> Data {
    let units = Array(name.utf16)
    let text = units.reduce(Data()) { $0 + number($1, 2) }
    return text + Data(count: 64 - text.count) + number(text.count + 2, 2)
      + Data([UInt8(type), 1]) + number(0xFFFF_FFFF, 4) + number(right, 4) + number(child, 4)
      + Data(count: 36) + number(start, 4) + number(size, 4) + number(0, 4)
  }
}

/// Little-endian, `width` bytes.
private func number(_ value: some BinaryInteger, _ width: Int) -> Data {
  Data((0..<width).map { UInt8(truncatingIfNeeded: UInt64(value) >> (8 * UInt64($0))) })
}
