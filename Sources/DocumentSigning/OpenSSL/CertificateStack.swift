import COpenSSL

/// Owns a STACK_OF(X509) and a reference to each of its certificates.
struct CertificateStack: ~Copyable {
  /// STACK_OF(X509) *
  private let pointer: OpaquePointer

  /// Takes over `pointer` and its references.
  init(owning pointer: OpaquePointer) { self.pointer = pointer }

  /// A stack of `certificates`. Nil when memory ran out.
  init?(_ certificates: [Certificate]) {
    guard let pointer = congvan_certificates_new() else { return nil }
    for certificate in certificates {
      guard congvan_certificates_add(pointer, certificate.pointer) == 1 else {
        congvan_certificates_free(pointer)
        return nil
      }
    }
    self.pointer = pointer
  }

  deinit { congvan_certificates_free(pointer) }

  borrowing func withPointer<Result>(_ body: (OpaquePointer) -> Result) -> Result { body(pointer) }

  var count: Int { Int(congvan_certificates_count(pointer)) }

  /// Each with a reference of its own.
  var certificates: [Certificate] { Self.certificates(of: pointer) }

  /// Shares the certificates of a stack that stays its owner's. NULL is an empty stack.
  static func certificates(of stack: OpaquePointer?) -> [Certificate] {
    (0..<max(0, congvan_certificates_count(stack))).compactMap {
      congvan_certificates_at(stack, $0).map(Certificate.init(sharing:))
    }
  }
}
