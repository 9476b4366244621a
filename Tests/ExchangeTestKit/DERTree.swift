package import Foundation

/// Just enough DER to take a message apart and to put it together wrongly.
package struct DERTree {
  package var tag: UInt8
  /// Children of a constructed value.
  package var children: [DERTree] = []
  /// Contents of a primitive value.
  package var bytes: [UInt8] = []
  /// What stands in the message instead of this value, tag and length included: to break DER.
  package var raw: [UInt8]?

  package init(_ tag: UInt8, _ children: [DERTree]) {
    self.tag = tag
    self.children = children
  }

  package init(_ tag: UInt8, bytes: [UInt8]) {
    self.tag = tag
    self.bytes = bytes
  }

  /// Reads one value of well-formed DER, as OpenSSL writes it. Nil when it is not, or nests deeper
  /// than 64.
  package init?(_ data: some Collection<UInt8>) {
    var rest = Array(data)[...]
    guard let tree = Self.next(&rest, depth: 0), rest.isEmpty else { return nil }
    self = tree
  }

  package var encoded: Data {
    var output: [UInt8] = []
    append(to: &output)
    return Data(output)
  }

  private func append(to output: inout [UInt8]) {
    if let raw {
      output += raw
      return
    }
    output.append(tag)
    Self.appendLength(contentCount, to: &output)
    if isConstructed {
      for child in children { child.append(to: &output) }
    } else {
      output += bytes
    }
  }

  private var isConstructed: Bool { tag & 0x20 != 0 }

  private var contentCount: Int {
    guard isConstructed else { return bytes.count }
    return children.reduce(0) { sum, child in
      let count = child.contentCount
      return sum + (child.raw?.count ?? 2 + (count < 0x80 ? 0 : Self.digits(count)) + count)
    }
  }

  private static func appendLength(_ count: Int, to output: inout [UInt8]) {
    guard count >= 0x80 else { return output.append(UInt8(count)) }
    let digits = digits(count)
    output.append(0x80 | UInt8(digits))
    for place in (0..<digits).reversed() {
      output.append(UInt8(truncatingIfNeeded: count >> (8 * place)))
    }
  }

  /// Bytes of a number, without leading zeros.
  private static func digits(_ count: Int) -> Int { (71 - count.leadingZeroBitCount) / 8 }

  /// id-signedData with the given parts (RFC 5652 5.1).
  package static func signedData(
    content: [UInt8], digests: [DERTree] = [], certificates: [DERTree]? = nil,
    signers: [DERTree] = []
  ) -> DERTree {
    let data = DERTree(
      0x30, [oid(data: 1), DERTree(0xA0, [DERTree(0x04, bytes: content)])])
    let parts =
      [DERTree(0x02, bytes: [1]), DERTree(0x31, digests), data]
      + (certificates.map { [DERTree(0xA0, $0)] } ?? []) + [DERTree(0x31, signers)]
    return DERTree(0x30, [oid(data: 2), DERTree(0xA0, [DERTree(0x30, parts)])])
  }

  /// 1.2.840.113549.1.7.n
  package static func oid(data number: UInt8) -> DERTree {
    DERTree(0x06, bytes: [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, number])
  }

  /// The parts of a SignedData message: version, digests, content, certificates, signers.
  package var signedDataParts: [DERTree] {
    get { children[1].children[0].children }
    set { children[1].children[0].children = newValue }
  }

  private static func next(_ rest: inout ArraySlice<UInt8>, depth: Int) -> DERTree? {
    guard depth < 64, let tag = rest.popFirst(), let first = rest.popFirst() else { return nil }
    var count = Int(first)
    if first >= 0x80 {
      guard (1...4).contains(first & 0x7F), rest.count >= Int(first & 0x7F) else { return nil }
      count = rest.prefix(Int(first & 0x7F)).reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(Int(first & 0x7F))
    }
    guard count <= rest.count else { return nil }
    var inner = rest.prefix(count)
    rest = rest.dropFirst(count)
    guard tag & 0x20 != 0 else { return DERTree(tag, bytes: Array(inner)) }
    var children: [DERTree] = []
    while !inner.isEmpty {
      guard let child = next(&inner, depth: depth + 1) else { return nil }
      children.append(child)
    }
    return DERTree(tag, children)
  }
}
