import ExchangeCore
import Foundation

/// What the profile (schemas/README.md section 5) says about the form of a SignedData beyond what
/// OpenSSL asks for. So every message that is believed verifies with plain tools too, and there is one
/// way to write it.
///
/// Called for messages that OpenSSL has parsed; it reads positions and identifiers only.
struct SignedDataShape {
  /// Bytes of the signed attributes of one signer: content-type, message-digest, signing-time and
  /// signing-certificate-v2 take some 300, capabilities some 200 more.
  private static let signedBytes = 16_384
  /// Bytes of the unsigned attributes of one signer: room for a time-stamp with its certificates.
  private static let unsignedBytes = 65_536

  private static let signingTime: [UInt8] = [
    0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x05,
  ]

  private let text: DERText

  /// Throws `badProfile`, with the reason.
  static func check(_ message: Data) throws(SignatureFinding) {
    let shape = SignedDataShape(text: DERText(message))
    try shape.text.check(0..<shape.text.bytes.count, values: false)
    try shape.checkParts()
  }

  private static func problem(_ reason: String) -> SignatureFinding {
    SignatureFinding(.badProfile, reason)
  }

  /// ContentInfo { type, [0] { version, digestAlgorithms, content, [0] certificates?, [1] lists?,
  /// signers } } (RFC 5652 3 and 5.1).
  private func checkParts() throws(SignatureFinding) {
    let message = try text.value(at: 0, before: text.bytes.count)
    let outer = try text.children(of: message)
    guard outer.count == 2, let data = try text.children(of: outer[1]).first else {
      throw Self.problem("is no SignedData")
    }
    var parts = try text.children(of: data)[...]
    guard let version = parts.popFirst(), let digests = parts.popFirst(),
      let content = parts.popFirst(), let signers = parts.popLast()
    else { throw Self.problem("is no SignedData") }
    for part in [version, digests, content] { try text.check(part.whole, values: true) }
    var hasOtherLists = false
    for part in parts {
      let members = try text.children(of: part)
      try checkOrder(members, "certificates or revocation lists")
      if part.tag == 0xA0 {
        guard members.allSatisfy({ $0.tag == 0x30 }) else {
          throw Self.problem("has certificates that are not X.509")
        }
      } else if members.contains(where: { $0.tag != 0x30 }) {
        hasOtherLists = true
      }
    }
    let found = try text.children(of: signers)
    guard (1...SignedMessage.maximumSigners).contains(found.count) else {
      throw Self.problem("\(found.count) signers, 1 to \(SignedMessage.maximumSigners) allowed")
    }
    try checkOrder(found, "signers")
    var used: Set<[UInt8]> = []
    var names: Set<[UInt8]> = []
    var lowest: UInt8 = 1
    for signer in found {
      let checked = try check(signer: signer)
      used.insert(checked.digest)
      lowest = max(lowest, checked.version)
      guard names.insert(checked.name).inserted else {
        throw Self.problem("one signer signs twice")
      }
    }
    try check(digests, used: used)
    // RFC 5652 5.1, for id-data and without attribute certificates.
    try check(version, is: hasOtherLists ? 5 : lowest, of: "SignedData")
  }

  /// Exactly the algorithms that the signers use, each once: openssl refuses a message that lacks one,
  /// and one that is not used could only mislead.
  private func check(_ digests: DERValue, used: Set<[UInt8]>) throws(SignatureFinding) {
    let members = try text.children(of: digests)
    guard members.count == used.count else {
      throw Self.problem(
        "digestAlgorithms has \(members.count) entries, the signers use \(used.count)")
    }
    try checkOrder(members, "digestAlgorithms")
    for member in members {
      guard used.contains(try algorithm(member)) else {
        throw Self.problem("digestAlgorithms is not what the signers use")
      }
    }
  }

  /// SignerInfo { version, name, digest, [0] signed attributes, algorithm, signature, [1] unsigned
  /// attributes? } (RFC 5652 5.3).
  private func check(signer: DERValue) throws(SignatureFinding) -> (
    name: [UInt8], version: UInt8, digest: [UInt8]
  ) {
    let parts = try text.children(of: signer)
    guard parts.count >= 6, parts[3].tag == 0xA0 else {
      throw Self.problem("there are no signed attributes")
    }
    for part in parts.prefix(6) { try text.check(part.whole, values: true) }
    guard parts[1].tag == 0x30 || parts[1].tag == 0x80 else {
      throw Self.problem("a signer is named neither by issuer and number nor by key identifier")
    }
    let version: UInt8 = parts[1].tag == 0x30 ? 1 : 3
    try check(parts[0], is: version, of: "SignerInfo")
    try checkSigned(parts[3])
    _ = try algorithm(parts[4])
    if parts.count > 6 {
      guard parts[6].whole.count <= Self.unsignedBytes else {
        throw Self.problem(
          "unsigned attributes of \(parts[6].whole.count) bytes, at most \(Self.unsignedBytes)")
      }
      try checkOrder(text.children(of: parts[6]), "unsigned attributes")
    }
    return (Array(text.bytes[parts[1].whole]), version, try algorithm(parts[2]))
  }

  private func checkSigned(_ attributes: DERValue) throws(SignatureFinding) {
    guard attributes.whole.count <= Self.signedBytes else {
      throw Self.problem(
        "signed attributes of \(attributes.whole.count) bytes, at most \(Self.signedBytes)")
    }
    let members = try text.children(of: attributes)
    try checkOrder(members, "signed attributes")
    var names: Set<[UInt8]> = []
    for member in members {
      let parts = try text.children(of: member)
      guard parts.count == 2, case let values = try text.children(of: parts[1]), values.count == 1
      else { throw Self.problem("a signed attribute does not have exactly one value") }
      let name = Array(text.bytes[parts[0].content])
      guard names.insert(name).inserted else {
        throw Self.problem("a signed attribute is there twice")
      }
      // RFC 5652 11.3: UTCTime until 2049.
      if name == Self.signingTime, values[0].tag == 0x18,
        text.bytes[values[0].content].lexicographicallyPrecedes("2050".utf8)
      {
        throw Self.problem("signing-time is a GeneralizedTime before 2050")
      }
    }
  }

  /// The identifier of an algorithm whose parameters are absent or NULL.
  private func algorithm(_ value: DERValue) throws(SignatureFinding) -> [UInt8] {
    let parts = try text.children(of: value)
    guard let name = parts.first, parts.count == 1 || (parts.count == 2 && parts[1].tag == 0x05)
    else { throw Self.problem("an algorithm has parameters") }
    return Array(text.bytes[name.content])
  }

  private func check(_ version: DERValue, is wanted: UInt8, of what: String)
    throws(SignatureFinding)
  {
    guard text.bytes[version.content].elementsEqual([wanted]) else {
      throw Self.problem("the version of \(what) is not \(wanted)")
    }
  }

  private func checkOrder(_ members: [DERValue], _ what: String) throws(SignatureFinding) {
    guard text.isSorted(members) else {
      throw Self.problem("is BER, not DER: \(what) are not in the order of a SET OF")
    }
  }
}
