import COpenSSL
import ExchangeCore

extension TrustStore {
  /// Builds the chain of `certificate` to an anchor, at the moment `time`, and looks all of it up in
  /// the revocation lists. `included` are the message's own certificates, none of them trusted.
  ///
  /// Throws `notYetValid`, `expired`, `revoked`, or `untrustedChain` with OpenSSL's text.
  func check(_ certificate: Certificate, at time: Timestamp, included: [Certificate])
    throws(Finding)
  {
    defer { OpenSSLErrors.clear() }
    guard let untrusted = CertificateStack(included) else { throw Self.outOfMemory }
    let chain = try untrusted.withPointer { untrusted in
      withPointer { store in
        Result { () throws(Finding) in
          try Self.buildChain(certificate, store: store, untrusted: untrusted, at: time)
        }
      }
    }.get()
    try checkRevocation(chain)
  }

  private static let outOfMemory = Finding(.untrustedChain, "out of memory")

  private static func buildChain(
    _ certificate: Certificate, store: OpaquePointer, untrusted: OpaquePointer, at time: Timestamp
  ) throws(Finding) -> [Certificate] {
    guard let context = X509_STORE_CTX_new() else { throw outOfMemory }
    defer { X509_STORE_CTX_free(context) }
    guard X509_STORE_CTX_init(context, store, certificate.pointer, untrusted) == 1 else {
      throw outOfMemory
    }
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), time_t(time.wholeSeconds))
    guard X509_verify_cert(context) != 1 else {
      return CertificateStack.certificates(of: X509_STORE_CTX_get0_chain(context))
    }
    let error = X509_STORE_CTX_get_error(context)
    let culprit = X509_STORE_CTX_get_current_cert(context).map(Certificate.init(sharing:))
    let text = String(cString: X509_verify_cert_error_string(Int(error)))
    throw Finding(
      problem(of: error),
      "“\(culprit?.subject ?? certificate.subject)”: \(text), judged at \(time)")
  }

  private static func problem(of error: Int32) -> SignatureProblem {
    switch error {
    case X509_V_ERR_CERT_NOT_YET_VALID: .notYetValid
    case X509_V_ERR_CERT_HAS_EXPIRED: .expired
    case X509_V_ERR_CERT_REVOKED: .revoked
    default: .untrustedChain
    }
  }

  /// OpenSSL's own CRL check is not used: it refuses a list that was issued after the judging time,
  /// and would let a certificate pass that was revoked after its claimed signing time. Here a listed
  /// certificate is revoked, whatever the dates say. A list's signature is checked when it matters,
  /// on a hit; a hit in a list that nobody signed does not pass either.
  private func checkRevocation(_ chain: [Certificate]) throws(Finding) {
    for (index, certificate) in chain.enumerated() {
      let issuer = index + 1 < chain.count ? chain[index + 1] : certificate
      for list in lists {
        guard let since = list.revocation(of: certificate) else { continue }
        let date = since.map { " since \($0)" } ?? ""
        let subject = certificate.subject
        // The list may be signed with an anchor's newer key of the same name.
        guard
          list.isSigned(by: issuer)
            || anchorCertificates.contains(where: { list.isIssued(by: $0) && list.isSigned(by: $0) }
            )
        else {
          throw Finding(
            .untrustedChain, "“\(subject)” is in a revocation list that its issuer did not sign")
        }
        throw Finding(.revoked, "“\(subject)” is revoked\(date)")
      }
    }
  }
}
