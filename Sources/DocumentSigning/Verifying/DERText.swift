import ExchangeCore
import Foundation

/// One value of a DER text (X.690), as positions in it.
struct DERValue {
  let tag: UInt8
  /// Of the tag.
  let start: Int
  let content: Range<Int>

  var whole: Range<Int> { start..<content.upperBound }
  var isConstructed: Bool { tag & 0x20 != 0 }
}

/// Walks over tags and lengths and refuses what is BER but not DER.
///
/// It is a guard and no parser: what the values mean is read by OpenSSL alone. OpenSSL takes BER
/// too, other readers do not, or hash another form of it; what is believed here must verify
/// everywhere. One pass without recursion.
struct DERText {
  private static let maximumDepth = 64

  let bytes: [UInt8]

  init(_ bytes: Data) { self.bytes = Array(bytes) }

  static func problem(_ reason: String, at offset: Int) -> SignatureFinding {
    SignatureFinding(.badProfile, "is BER, not DER: \(reason) at byte \(offset)")
  }

  /// The value that begins at `start` and ends before or at `end`. Throws `badProfile`.
  func value(at start: Int, before end: Int) throws(SignatureFinding) -> DERValue {
    guard start + 2 <= end else { throw Self.problem("a value is cut off", at: start) }
    let tag = bytes[start]
    guard tag & 0x1F != 0x1F, tag & 0xDF != 0 else {
      throw Self.problem("a tag that CMS does not have", at: start)
    }
    if tag & 0xC0 == 0 {
      let isContainer = tag & 0x1F == 0x10 || tag & 0x1F == 0x11
      guard isContainer == (tag & 0x20 != 0) else {
        throw Self.problem("a value in parts (constructed string)", at: start)
      }
    }
    let first = bytes[start + 1]
    guard first != 0x80 else { throw Self.problem("an indefinite length", at: start) }
    guard first > 0x80 else { return try value(tag, start, start + 2, Int(first), end) }
    let digits = Int(first & 0x7F)
    guard digits <= 4, start + 2 + digits <= end else {
      throw Self.problem("a length of \(digits) bytes", at: start)
    }
    let length = bytes[start + 2..<start + 2 + digits].reduce(0) { $0 << 8 | Int($1) }
    guard bytes[start + 2] != 0, length >= 0x80 else {
      throw Self.problem("a length that is not in its shortest form", at: start)
    }
    return try value(tag, start, start + 2 + digits, length, end)
  }

  private func value(_ tag: UInt8, _ start: Int, _ content: Int, _ length: Int, _ end: Int)
    throws(SignatureFinding) -> DERValue
  {
    guard content + length <= end else { throw Self.problem("a value is cut off", at: start) }
    return DERValue(tag: tag, start: start, content: content..<content + length)
  }

  /// The values inside a constructed one.
  func children(of parent: DERValue) throws(SignatureFinding) -> [DERValue] {
    var children: [DERValue] = []
    var position = parent.content.lowerBound
    while position < parent.content.upperBound {
      let child = try value(at: position, before: parent.content.upperBound)
      children.append(child)
      position = child.content.upperBound
    }
    return children
  }

  /// Checks tags and lengths of everything in `range`, and with `values` also that each primitive
  /// value has its one form. Certificates and revocation lists are without `values`: they are what
  /// their authority signed, and no peer can mend them.
  func check(_ range: Range<Int>, values: Bool) throws(SignatureFinding) {
    var position = range.lowerBound
    var ends = [range.upperBound]
    while let end = ends.last {
      guard position < end else {
        ends.removeLast()
        continue
      }
      let value = try value(at: position, before: end)
      if value.isConstructed {
        guard ends.count < Self.maximumDepth else {
          throw Self.problem("nested deeper than \(Self.maximumDepth)", at: position)
        }
        ends.append(value.content.upperBound)
        position = value.content.lowerBound
      } else {
        if values, let problem = problem(in: value) {
          throw Self.problem(problem, at: position)
        }
        position = value.content.upperBound
      }
    }
  }

  /// DER sorts the members of a SET OF by their encoding.
  func isSorted(_ members: [DERValue]) -> Bool {
    zip(members, members.dropFirst()).allSatisfy { left, right in
      !bytes[right.whole].lexicographicallyPrecedes(bytes[left.whole])
    }
  }

  /// True when the value is digits and a `Z`, and as long as that.
  func isTime(_ value: DERValue, digits: Int) -> Bool {
    let text = bytes[value.content]
    return text.count == digits + 1 && text.last == UInt8(ascii: "Z")
      && text.dropLast().allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }

  private func problem(in value: DERValue) -> String? {
    let content = bytes[value.content]
    let first = content.first
    switch value.tag {
    case 0x01:
      return content.count == 1 && (first == 0 || first == 0xFF)
        ? nil : "a BOOLEAN that is neither 00 nor FF"
    case 0x02, 0x0A:
      guard let first else { return "an empty INTEGER" }
      let next = content.dropFirst().first
      let isPadded =
        (first == 0 && next.map { $0 < 0x80 } == true)
        || (first == 0xFF && next.map { $0 >= 0x80 } == true)
      return isPadded ? "an INTEGER that is not in its shortest form" : nil
    case 0x03:
      guard let unused = first, unused < 8, content.count > 1 || unused == 0 else {
        return "a BIT STRING with an impossible number of unused bits"
      }
      let last = content.last ?? 0
      return content.count > 1 && last & (UInt8(1) << unused - 1) != 0
        ? "a BIT STRING whose unused bits are not zero" : nil
    case 0x05: return content.isEmpty ? nil : "a NULL with content"
    case 0x06: return isObjectIdentifier(content) ? nil : "a broken OBJECT IDENTIFIER"
    case 0x17: return isTime(value, digits: 12) ? nil : "a UTCTime not written yyMMddHHmmssZ"
    case 0x18:
      return isTime(value, digits: 14) ? nil : "a GeneralizedTime not written yyyyMMddHHmmssZ"
    default: return nil
    }
  }

  /// Each number in it is in base 128 without leading zeros, and the last one ends.
  private func isObjectIdentifier(_ content: ArraySlice<UInt8>) -> Bool {
    guard let last = content.last, last < 0x80 else { return false }
    var begins = true
    for byte in content {
      if begins, byte == 0x80 { return false }
      begins = byte < 0x80
    }
    return true
  }
}
