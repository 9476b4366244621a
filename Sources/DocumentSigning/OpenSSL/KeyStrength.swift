import COpenSSL

/// Which public keys the wire's profile allows (schemas/README.md section 5).
enum KeyStrength {
  /// Above this a verification costs milliseconds, which a stranger could ask for at will.
  private static let maximumRSABits: Int32 = 8192
  private static let minimumRSABits: Int32 = 2048
  private static let minimumECBits: Int32 = 256
  private static let curves = ["prime256v1", "secp384r1", "secp521r1"]

  /// Why a key is not allowed; its description completes “the key is …”.
  struct Problem: CustomStringConvertible {
    let description: String
    /// True when a longer key of the same kind is allowed.
    let isWeak: Bool
  }

  /// What is wrong with the key (an EVP_PKEY that stays its owner's), or nil.
  static func problem(_ key: OpaquePointer?) -> Problem? {
    guard let key else {
      return Problem(description: "of a kind that this OpenSSL cannot read", isWeak: false)
    }
    switch EVP_PKEY_get_base_id(key) {
    case EVP_PKEY_RSA:
      let bits = EVP_PKEY_get_bits(key)
      if bits < minimumRSABits {
        return Problem(
          description: "RSA with \(bits) bits, at least \(minimumRSABits) needed", isWeak: true)
      }
      if bits > maximumRSABits {
        return Problem(
          description: "RSA with \(bits) bits, at most \(maximumRSABits) allowed", isWeak: false)
      }
      return nil
    case EVP_PKEY_EC:
      // A curve without a name carries its own parameters, which nobody has examined.
      let name = curve(of: key)
      if let name, curves.contains(name) { return nil }
      return Problem(
        description: "an EC key on \(name ?? "a curve without a name"), not on P-256, P-384 or "
          + "P-521",
        isWeak: EVP_PKEY_get_bits(key) < minimumECBits)
    case EVP_PKEY_RSA_PSS:
      return Problem(
        description: "an RSA key for RSASSA-PSS only; signatures here are RSA PKCS #1 v1.5 or "
          + "ECDSA",
        isWeak: false)
    default:
      return Problem(
        description: "of the kind \(describe(key)); signatures here are RSA PKCS #1 v1.5 or ECDSA",
        isWeak: false)
    }
  }

  /// `RSA 2048` or `EC prime256v1`, for listings.
  static func describe(_ key: OpaquePointer?) -> String {
    guard let key else { return "unknown" }
    switch EVP_PKEY_get_base_id(key) {
    case EVP_PKEY_RSA: return "RSA \(EVP_PKEY_get_bits(key))"
    case EVP_PKEY_EC: return "EC \(curve(of: key) ?? "\(EVP_PKEY_get_bits(key))")"
    default: return EVP_PKEY_get0_type_name(key).map { String(cString: $0) } ?? "unknown"
    }
  }

  private static func curve(of key: OpaquePointer) -> String? {
    var name = [CChar](repeating: 0, count: 64)
    guard EVP_PKEY_get_group_name(key, &name, name.count, nil) == 1 else {
      OpenSSLErrors.clear()
      return nil
    }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
