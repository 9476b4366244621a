import COpenSSL

/// Which public keys the wire's profile allows (schemas/README.md section 5).
enum KeyStrength {
  /// Above this a verification costs milliseconds, which a stranger could ask for at will.
  private static let maximumRSABits: Int32 = 8192
  private static let minimumRSABits: Int32 = 2048
  private static let curves = ["prime256v1", "secp384r1", "secp521r1"]

  /// What is wrong with the key (an EVP_PKEY that stays its owner's), or nil.
  static func problem(_ key: OpaquePointer?) -> String? {
    guard let key else { return "its public key is of an unknown kind" }
    switch EVP_PKEY_get_base_id(key) {
    case EVP_PKEY_RSA:
      let bits = EVP_PKEY_get_bits(key)
      if bits < minimumRSABits { return "RSA with \(bits) bits, at least \(minimumRSABits) needed" }
      if bits > maximumRSABits { return "RSA with \(bits) bits, at most \(maximumRSABits) allowed" }
      return nil
    case EVP_PKEY_EC:
      // A curve without a name carries its own parameters, which nobody has examined.
      guard let curve = curve(of: key), curves.contains(curve) else {
        return "an EC key that is not on P-256, P-384 or P-521"
      }
      return nil
    default:
      return "neither RSA nor EC"
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
