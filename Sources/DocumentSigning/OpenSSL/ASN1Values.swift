import COpenSSL
import ExchangeCore
import Foundation

/// Reads of OpenSSL's ASN.1 values. The pointers stay their owner's.
enum ASN1Values {
  /// The moment of a `Time` (UTCTime or GeneralizedTime), nil when it is not a well-formed one.
  static func timestamp(_ time: UnsafePointer<ASN1_TIME>?) -> Timestamp? {
    // ASN1_TIME_to_tm(NULL) means "now" to OpenSSL: an absent time must never become one.
    guard let time else { return nil }
    var parts = tm()
    guard ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    return Timestamp(microseconds: Int64(timegm(&parts)) * 1_000_000)
  }

  /// A copy of the bytes of an OCTET STRING or of any string-like value.
  static func bytes(_ string: UnsafePointer<ASN1_STRING>) -> Data {
    let count = Int(ASN1_STRING_length(string))
    guard count > 0, let start = ASN1_STRING_get0_data(string) else { return Data() }
    return Data(bytes: start, count: count)
  }

  /// Beyond this a name is not a name but an attempt to fill the log.
  private static let maximumNameBytes = 1024

  /// RFC 2253 text of a distinguished name, UTF-8, control characters escaped; cut off with “…” when
  /// it is longer than 1024 bytes.
  static func text(_ name: OpaquePointer?) -> String {
    guard let name else { return "" }
    let bytes = MemoryBIO.writing { X509_NAME_print_ex($0, name, 0, congvan_name_flags()) >= 0 }
    guard let bytes, bytes.count > maximumNameBytes else {
      return String(decoding: bytes ?? Data(), as: UTF8.self)
    }
    return String(decoding: bytes.prefix(maximumNameBytes), as: UTF8.self) + "…"
  }
}

extension Timestamp {
  /// Whole seconds since 1970, rounded down: what X.509 and CMS can express.
  var wholeSeconds: Int {
    let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    return Int(rest < 0 ? seconds - 1 : seconds)
  }
}
