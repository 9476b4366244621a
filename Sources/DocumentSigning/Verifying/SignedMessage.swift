import COpenSSL
import ExchangeCore
import Foundation

/// Owns one CMS_ContentInfo that came from outside and has the outer shape of the profile:
/// SignedData (RFC 5652 5.1) over attached id-data, and nothing behind it.
///
/// Parsing is OpenSSL's `d2i`, which reads BER too: with indefinite lengths or strings in parts. So the
/// content of such a message is known, and a secrecy mark in it found, before `checkShape` refuses
/// it. Nesting, and so the stack, is bounded by OpenSSL (30 levels, strings 5).
struct SignedMessage: ~Copyable {
  /// schemas/README.md section 5.
  static let maximumSigners = 4
  private static let maximumCertificates = 16

  /// CMS_ContentInfo *
  private let pointer: OpaquePointer
  private let bytes: Data

  private init(owning pointer: OpaquePointer, bytes: Data) {
    self.pointer = pointer
    self.bytes = bytes
  }

  /// Parses `bytes`. Throws `badProfile` for what is too long or followed by something, else
  /// `notSigned`.
  static func open(_ bytes: Data) throws(SignatureFinding) -> SignedMessage {
    guard bytes.count <= WireLimits.bodyBytes else {
      throw SignatureFinding(
        .badProfile, "\(bytes.count) bytes, at most \(WireLimits.bodyBytes) allowed")
    }
    let (parsed, length) = bytes.withUnsafeBytes { buffer -> (OpaquePointer?, Int) in
      guard let start = buffer.bindMemory(to: UInt8.self).baseAddress else { return (nil, 0) }
      var next: UnsafePointer<UInt8>? = start
      let parsed = d2i_CMS_ContentInfo(nil, &next, buffer.count)
      return (parsed, next.map { $0 - start } ?? 0)
    }
    guard let parsed else {
      throw SignatureFinding(.notSigned, "not a CMS: \(OpenSSLErrors.drain().text)")
    }
    let message = SignedMessage(owning: parsed, bytes: bytes)
    try message.checkType()
    guard length == bytes.count else {
      throw SignatureFinding(.badProfile, "\(bytes.count - length) bytes follow the CMS")
    }
    return message
  }

  deinit { CMS_ContentInfo_free(pointer) }

  /// A copy of the attached content. Throws `notSigned` when it is detached, `badProfile` when it
  /// is not id-data (a SignedData or time-stamp inside, for example).
  borrowing func content() throws(SignatureFinding) -> Data {
    let type = OBJ_obj2nid(CMS_get0_eContentType(pointer))
    guard type == NID_pkcs7_data else {
      OpenSSLErrors.clear()
      throw SignatureFinding(.badProfile, "content type \(Self.name(of: type)) instead of id-data")
    }
    guard let slot = CMS_get0_content(pointer), let octets = slot.pointee else {
      OpenSSLErrors.clear()
      throw SignatureFinding(.notSigned, "the content is detached")
    }
    return ASN1Values.bytes(octets)
  }

  /// DER, and the form that the profile asks for. Throws `badProfile`.
  borrowing func checkShape() throws(SignatureFinding) { try SignedDataShape.check(bytes) }

  /// The certificates inside. Throws `badProfile` when there are more than 16.
  borrowing func certificates() throws(SignatureFinding) -> [Certificate] {
    // Nil when there are none.
    guard let stack = CMS_get1_certs(pointer).map(CertificateStack.init(owning:)) else { return [] }
    guard stack.count <= Self.maximumCertificates else {
      throw SignatureFinding(
        .badProfile, "\(stack.count) certificates, at most \(Self.maximumCertificates) allowed")
    }
    return stack.certificates
  }

  /// Lends the 1 to 4 signers, each with its certificate if that one is inside. Throws `badProfile`
  /// for another number, and what `body` throws.
  borrowing func withSigners<Result>(
    _ body: ([SignerInfo]) throws(SignatureFinding) -> Result
  ) throws(SignatureFinding) -> Result {
    let stack = CMS_get0_SignerInfos(pointer)
    let count = Int(congvan_signers_count(stack))
    guard (1...Self.maximumSigners).contains(count) else {
      throw SignatureFinding(
        .badProfile, "\(max(0, count)) signers, 1 to \(Self.maximumSigners) allowed")
    }
    CMS_set1_signers_certs(pointer, nil, 0)
    let signers = (0..<Int32(count)).compactMap { index in
      congvan_signers_at(stack, index).map(SignerInfo.init(lent:))
    }
    return try body(signers)
  }

  private borrowing func checkType() throws(SignatureFinding) {
    let type = OBJ_obj2nid(CMS_get0_type(pointer))
    guard type == NID_pkcs7_signed else {
      throw SignatureFinding(.notSigned, "CMS type \(Self.name(of: type)) instead of SignedData")
    }
  }

  private static func name(of nid: Int32) -> String {
    nid == NID_undef ? "unknown" : OBJ_nid2ln(nid).map { String(cString: $0) } ?? "\(nid)"
  }
}
