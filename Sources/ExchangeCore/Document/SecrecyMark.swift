import Foundation

/// Finds a declared secrecy mark in a manifest, and what it names, however broken the text is:
/// content with a mark must not stay here (Điều 5), so a broken text never helps to hide one.
enum SecrecyMark {
  /// The one value that declares nothing. Compared by bytes.
  private static let none = "Thường"
  private static let name = "secrecymark"

  /// True unless every member `secrecyMark`, at any depth and in any mixture of upper and lower
  /// case, is the text `Thường` in form NFC. Also `null`, a number, NFD and “thường” declare a mark.
  static func isDeclared(in bytes: Data) -> Bool {
    do {
      var tokens = try JSONTokens(bytes)
      var isMark = false
      while let token = try tokens.next() {
        if isMark {
          guard case .string(let text) = token,
            tokens.decoded(text).utf8.elementsEqual(none.utf8)
          else { return true }
        }
        isMark = false
        if case .name(let text) = token {
          isMark = isName(tokens.decoded(text))
        }
      }
      return false
    } catch {
      return isDeclared(inBroken: plain(bytes))
    }
  }

  /// The member's name in any mixture of upper and lower case, with or without spaces around. Scalar by
  /// scalar, in time that the length bounds: nothing is known about the text yet.
  private static func isName(_ text: String) -> Bool {
    let scalars = text.unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
      let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
    else { return false }
    let core = scalars[first...last]
    guard core.prefix(name.count + 1).count == name.count else { return false }
    return core.flatMap(\.properties.lowercaseMapping.unicodeScalars)
      .elementsEqual(name.unicodeScalars)
  }

  /// The digests that stand in `attachments`; of a text that is no JSON, every quoted one.
  static func namedDigests(_ bytes: Data) -> [SHA256Digest] {
    do {
      var tokens = try JSONTokens(bytes)
      var depth = 0
      // By bytes: Swift compares by canonical equivalence, which takes quadratic time on some texts.
      var (isInAttachments, isDigest) = (false, false)
      var found: [SHA256Digest] = []
      while let token = try tokens.next() {
        switch token {
        case .objectStart, .arrayStart: depth += 1
        case .objectEnd, .arrayEnd: depth -= 1
        case .name(let text) where depth == 1:
          isInAttachments = tokens.decoded(text).utf8.elementsEqual("attachments".utf8)
        case .name(let text) where depth == 3:
          isDigest = tokens.decoded(text).utf8.elementsEqual("sha256".utf8)
        case .string(let text) where depth == 3 && isInAttachments && isDigest:
          let hex = tokens.decoded(text)
          if hex.utf8.count == 64, let digest = SHA256Digest(hex: hex.lowercased()) {
            found.append(digest)
          }
        default: break
        }
      }
      return found
    } catch {
      return plain(bytes).split(separator: UInt8(ascii: "\"")).compactMap { part in
        part.count == 64 ? SHA256Digest(hex: String(decoding: part, as: UTF8.self)) : nil
      }
    }
  }

  /// Every mention of the name must be followed by the value that declares nothing.
  private static func isDeclared(inBroken text: [UInt8]) -> Bool {
    let folded = Data(
      text.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 })
    let wanted = Data(name.utf8)
    let isSpace: (UInt8) -> Bool = { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    var rest = folded[...]
    while let found = rest.firstRange(of: wanted) {
      rest = rest[found.upperBound...]
      var value = text[found.upperBound...]
      guard value.popFirst() == UInt8(ascii: "\"") else { return true }
      value = value.drop(while: isSpace)
      guard value.popFirst() == UInt8(ascii: ":"),
        value.drop(while: isSpace).starts(with: "\"\(none)\"".utf8)
      else { return true }
    }
    return false
  }

  /// `\u00XX` as the character it stands for, and without zero bytes (UTF-16).
  private static func plain(_ bytes: Data) -> [UInt8] {
    let bytes = Array(bytes.filter { $0 != 0 })
    var plain: [UInt8] = []
    plain.reserveCapacity(bytes.count)
    var index = 0
    while index < bytes.count {
      var byte = bytes[index]
      index += 1
      if byte == UInt8(ascii: "\\"), bytes[index...].starts(with: "u00".utf8),
        index + 5 <= bytes.count,
        let value = UInt8(String(decoding: bytes[index + 3..<index + 5], as: UTF8.self), radix: 16)
      {
        byte = value
        index += 5
      }
      plain.append(byte)
    }
    return plain
  }
}
