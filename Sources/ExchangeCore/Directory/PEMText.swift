package import Foundation

/// One block of a PEM text (RFC 7468): what stands between a BEGIN and an END line.
package struct PEMBlock: Sendable, Hashable {
  /// `CERTIFICATE`, `PRIVATE KEY` ….
  package let label: String
  /// The decoded content. Nil when it is not base64, or when the END line is missing.
  package let der: Data?
  /// False when the text ends, or the next block begins, before the END line.
  package let isClosed: Bool
  /// From BEGIN to END, as it stands in the text; empty unless `isClosed`.
  package let text: String

  init(label: String, der: Data? = nil, text: String? = nil) {
    self.label = label
    self.der = der
    isClosed = text != nil
    self.text = text ?? ""
  }
}

/// Reads PEM as people pass it on: with explanations, Bag Attributes or a byte order mark before the
/// BEGIN line, with CRLF, with several blocks, indented, or all in one line.
package enum PEMText {
  private static let begin = Array("-----BEGIN ".utf8)
  private static let end = Array("-----END ".utf8)
  private static let dashes = Array("-----".utf8)

  /// The blocks of `text` in its order. What stands outside of them is ignored.
  package static func blocks(in text: String) -> [PEMBlock] {
    let bytes = Array(text.utf8)
    var blocks: [PEMBlock] = []
    var position = 0
    while let start = find(begin, in: bytes, from: position) {
      position = start + begin.count
      guard let close = find(dashes, in: bytes, from: position) else {
        blocks.append(PEMBlock(label: string(bytes[position...].prefix(40))))
        break
      }
      let label = bytes[position..<close]
      position = close + dashes.count
      let next = find(begin, in: bytes, from: position) ?? bytes.count
      // No further than the next block: an END line that is missing costs no look at all the rest.
      guard
        let finish = find(end + label + dashes, in: bytes, from: position, before: next)
      else {
        blocks.append(PEMBlock(label: string(label)))
        position = next
        continue
      }
      let stop = finish + end.count + label.count + dashes.count
      blocks.append(
        PEMBlock(
          label: string(label), der: decode(bytes[position..<finish]),
          text: string(bytes[start..<stop])))
      position = stop
    }
    return blocks
  }

  /// Where `pattern` begins first, from `start` on and before `limit`.
  private static func find(
    _ pattern: [UInt8], in bytes: [UInt8], from start: Int, before limit: Int = .max
  ) -> Int? {
    let limit = min(limit, bytes.count - pattern.count + 1)
    guard start < limit else { return nil }
    return (start..<limit).first { index in
      bytes[index] == pattern[0] && bytes[index...].starts(with: pattern)
    }
  }

  private static func string(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes, as: UTF8.self)
  }

  /// `bytes` as text: UTF-8, or UTF-16 with a byte order mark, which editors write as “Unicode”.
  package static func text(of bytes: Data) -> String {
    for (mark, encoding) in [
      ([0xFF, 0xFE], String.Encoding.utf16LittleEndian),
      ([0xFE, 0xFF], .utf16BigEndian),
    ] as [([UInt8], String.Encoding)]
    where bytes.starts(with: mark) {
      return String(data: bytes.dropFirst(2), encoding: encoding) ?? ""
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func decode(_ body: ArraySlice<UInt8>) -> Data? {
    let compact = Data(body.filter { $0 > 0x20 })
    return compact.isEmpty ? nil : Data(base64Encoded: compact)
  }
}
