import COpenSSL

/// For what a certificate may be used, by its key usage and extended key usage (RFC 5280 4.2.1.3 and
/// 4.2.1.12), judged by the profile of schemas/README.md section 5.
struct CertificateUsage {
  /// The extended key usages that allow signing documents, the most common first.
  private static let accepted: [(oid: String, name: String)] = [
    ("1.3.6.1.5.5.7.3.4", "emailProtection"),
    ("1.3.6.1.5.5.7.3.36", "documentSigning"),
    ("1.3.6.1.4.1.311.10.3.12", "Microsoft document signing"),
    ("2.5.29.37.0", "anyExtendedKeyUsage"),
  ]
  /// Further ones by the names of RFC 5280; OpenSSL's own are too long for a sentence.
  private static let known = [
    "1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning", "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
  ]
  private static let keyUsages: [(bit: UInt32, name: String)] = [
    (0x80, "digitalSignature"), (0x40, "nonRepudiation"), (0x20, "keyEncipherment"),
    (0x10, "dataEncipherment"), (0x08, "keyAgreement"), (0x04, "keyCertSign"), (0x02, "cRLSign"),
  ]

  /// Nil when the certificate has no key usage.
  private let keyUsage: UInt32?
  /// OIDs in the certificate's order; nil when it has no extended key usage.
  private let extended: [String]?
  private let isInvalid: Bool

  init(_ certificate: Certificate) {
    defer { OpenSSLErrors.clear() }
    let flags = X509_get_extension_flags(certificate.pointer)
    isInvalid = flags & UInt32(EXFLAG_INVALID) != 0
    keyUsage =
      flags & UInt32(EXFLAG_KUSAGE) == 0 ? nil : X509_get_key_usage(certificate.pointer)
    extended = flags & UInt32(EXFLAG_XKUSAGE) == 0 ? nil : Self.extended(of: certificate)
  }

  /// The name of the extended key usage by which the certificate may sign documents; nil when it may
  /// not.
  var profile: String? {
    guard problem == nil else { return nil }
    guard let extended else { return "any (no extended key usage)" }
    return Self.accepted.first { extended.contains($0.oid) }?.name
  }

  /// Why the certificate must not sign documents, a sentence's predicate; nil when it may.
  var problem: String? {
    if isInvalid { return "has extensions that cannot be read" }
    if let keyUsage, keyUsage & 0xC0 == 0 {
      return "has the key usage \(keyUsageNames), neither digitalSignature nor nonRepudiation"
    }
    return extendedProblem
  }

  /// The same for an authority above it: an extended key usage there limits what it issues.
  var authorityProblem: String? {
    isInvalid ? "has extensions that cannot be read" : extendedProblem
  }

  /// All usages, for people: `keyEncipherment; clientAuth`.
  var description: String {
    let extended = extended.map { $0.map(Self.name).joined(separator: ", ") }
    return "key usage \(keyUsage == nil ? "any" : keyUsageNames), extended key usage "
      + (extended ?? "any")
  }

  private var extendedProblem: String? {
    guard let extended, !Self.accepted.contains(where: { extended.contains($0.oid) }) else {
      return nil
    }
    let names = extended.map(Self.name).joined(separator: ", ")
    return "has the extended key usage \(names.isEmpty ? "of nothing" : names) only, none of "
      + Self.accepted.map(\.name).joined(separator: ", ")
  }

  private var keyUsageNames: String {
    let names = Self.keyUsages.filter { (keyUsage ?? 0) & $0.bit != 0 }.map(\.name)
    return names.isEmpty ? "of nothing" : names.joined(separator: ", ")
  }

  private static func name(_ oid: String) -> String {
    accepted.first { $0.oid == oid }?.name ?? known[oid] ?? oid
  }

  private static func extended(of certificate: Certificate) -> [String] {
    guard let stack = X509_get_ext_d2i(certificate.pointer, NID_ext_key_usage, nil, nil) else {
      return []
    }
    let objects = OpaquePointer(stack)
    defer { congvan_objects_free(objects) }
    return (0..<max(0, congvan_objects_count(objects))).compactMap { index in
      var text = [CChar](repeating: 0, count: 128)
      guard OBJ_obj2txt(&text, Int32(text.count), congvan_objects_at(objects, index), 1) > 0 else {
        return nil
      }
      return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
  }
}
