package import Foundation

/// The bytes of an attachment, read where the check of its format needs them and nowhere else.
///
/// Reading is bounded: a file of a stranger can make the check read `budget` pages of 64 KiB at the
/// most. What lies beyond reads as if the file ended there. No offset traps.
package final class AttachmentBytes {
  /// Bytes of the whole attachment.
  package let size: Int64
  private let source: (_ offset: Int64, _ count: Int) throws -> Data
  private var pages: [Int64: [UInt8]] = [:]
  private var order: [Int64] = []
  private var budget = 256
  static let pageBytes: Int64 = 65_536
  private static let kept = 16

  /// `source` returns up to `count` bytes from `offset`; fewer when the content ends before.
  package init(size: Int64, source: @escaping (_ offset: Int64, _ count: Int) throws -> Data) {
    self.size = size
    self.source = source
  }

  /// Content that is in memory.
  package convenience init(_ data: Data) {
    let bytes = Data(data)
    self.init(size: Int64(bytes.count)) { offset, count in
      bytes.dropFirst(Int(offset)).prefix(count)
    }
  }

  /// The first `length` bytes as content of their own, with what is left of this one's budget.
  func beginning(_ length: Int64) -> AttachmentBytes {
    AttachmentBytes(size: min(length, size)) { offset, count in
      Data(try self.bytes(at: offset, count: count))
    }
  }

  /// Up to `count` bytes from `offset`: fewer at the end, none outside.
  package func bytes(at offset: Int64, count: Int) throws -> [UInt8] {
    guard offset >= 0, offset < size, count > 0 else { return [] }
    let end = offset + min(Int64(count), size - offset)
    var result: [UInt8] = []
    result.reserveCapacity(Int(end - offset))
    var position = offset
    while position < end {
      let page = try page(position / Self.pageBytes)
      let first = Int(position % Self.pageBytes)
      let last = min(page.count, first + Int(end - position))
      guard first < last else { break }
      result += page[first..<last]
      position += Int64(last - first)
    }
    return result
  }

  /// The first bytes.
  func head(_ count: Int = Int(pageBytes)) throws -> [UInt8] { try bytes(at: 0, count: count) }

  /// The last bytes.
  func tail(_ count: Int = Int(pageBytes)) throws -> [UInt8] {
    try bytes(at: max(0, size - Int64(count)), count: count)
  }

  private func page(_ number: Int64) throws -> [UInt8] {
    if let page = pages[number] { return page }
    guard budget > 0 else { return [] }
    budget -= 1
    let page = [UInt8](try source(number * Self.pageBytes, Int(Self.pageBytes)))
    if order.count == Self.kept { pages[order.removeFirst()] = nil }
    pages[number] = page
    order.append(number)
    return page
  }
}

extension Array where Element == UInt8 {
  /// Unsigned little-endian number of `width` bytes at `index`; nil when it is not all there.
  func number(at index: Int, width: Int) -> UInt64? {
    guard index >= 0, index <= count - width else { return nil }
    return self[index..<index + width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  func number16(at index: Int) -> Int? { number(at: index, width: 2).map { Int($0) } }
  func number32(at index: Int) -> Int64? { number(at: index, width: 4).map { Int64($0) } }
  /// Nil also beyond 2⁶³: no file is that long.
  func number64(at index: Int) -> Int64? {
    number(at: index, width: 8).flatMap { Int64(exactly: $0) }
  }

  /// Where `pattern` stands first, from `start` on.
  func firstIndex(of pattern: [UInt8], from start: Int = 0) -> Int? {
    guard let first = pattern.first, count >= pattern.count else { return nil }
    var index = Swift.max(0, start)
    while index <= count - pattern.count {
      if self[index] == first, self[index..<index + pattern.count].elementsEqual(pattern) {
        return index
      }
      index += 1
    }
    return nil
  }

  func contains(_ text: String) -> Bool { firstIndex(of: Array(text.utf8)) != nil }

  func hasSuffix(_ pattern: [UInt8]) -> Bool {
    count >= pattern.count && self[(count - pattern.count)...].elementsEqual(pattern)
  }
}
