import COpenSSL
import ExchangeCore

extension TrustStore {
  /// Builds the chain of `certificate` to an anchor, at the moment `time`, checks for what its
  /// certificates may be used, and looks all of them up in the revocation lists. `included` are the
  /// message's own certificates, none of them trusted. Returns the extended key usage that counted.
  ///
  /// Throws `notYetValid`, `expired`, `revoked`, or `untrustedChain` with OpenSSL's text.
  @discardableResult
  func check(_ certificate: Certificate, at time: Timestamp, included: [Certificate])
    throws(SignatureFinding) -> String
  {
    defer { OpenSSLErrors.clear() }
    guard let untrusted = CertificateStack(included) else { throw Self.outOfMemory }
    let chain = try untrusted.withPointer { untrusted in
      withPointer { store in
        Result { () throws(SignatureFinding) in
          try Self.buildChain(certificate, store: store, untrusted: untrusted, at: time)
        }
      }
    }.get()
    let profile = try Self.checkUsage(chain)
    try checkRevocation(chain)
    return profile
  }

  private static let outOfMemory = SignatureFinding(.untrustedChain, "out of memory")

  private static func buildChain(
    _ certificate: Certificate, store: OpaquePointer, untrusted: OpaquePointer, at time: Timestamp
  ) throws(SignatureFinding) -> [Certificate] {
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
    throw SignatureFinding(
      problem(of: error),
      "“\((culprit ?? certificate).subject)”: \(text), judged at \(time)",
      remedy: remedy(of: error, in: culprit ?? certificate),
      isMissingIssuer: isMissingIssuer(error))
  }

  private static func problem(of error: Int32) -> SignatureProblem {
    switch error {
    case X509_V_ERR_CERT_NOT_YET_VALID: .notYetValid
    case X509_V_ERR_CERT_HAS_EXPIRED: .expired
    case X509_V_ERR_CERT_REVOKED: .revoked
    default: .untrustedChain
    }
  }

  private static func remedy(of error: Int32, in culprit: Certificate) -> String {
    switch error {
    case _ where isMissingIssuer(error):
      "Put the certificate of “\(culprit.issuer)” behind the unit's own in "
        + "signing.certificateFile (or into the .p12). If it is there, trust.anchorsFile lacks the "
        + "root above it."
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      "Sign with a certificate of an authority in trust.anchorsFile; a new authority must be put "
        + "there by every unit."
    case X509_V_ERR_CA_MD_TOO_WEAK:
      "Ask the authority for a certificate that is signed with SHA-256 or stronger."
    case X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_CA_KEY_TOO_SMALL:
      "Ask for a certificate with RSA of 2048 bits or more, or EC P-256 or more."
    case X509_V_ERR_CERT_HAS_EXPIRED:
      "Ask the authority for a new certificate; if the dates are right, check this machine's clock."
    case X509_V_ERR_CERT_NOT_YET_VALID:
      "Check this machine's clock; if it is right, wait until the certificate begins."
    default: "Ask the authority for a correct certificate."
    }
  }

  private static func isMissingIssuer(_ error: Int32) -> Bool {
    [
      X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
    ].contains(error)
  }

  /// Instead of OpenSSL's purpose smimesign, which knows emailProtection alone: authorities give
  /// organisations certificates for signing documents, too.
  private static func checkUsage(_ chain: [Certificate]) throws(SignatureFinding) -> String {
    for authority in chain.dropFirst() {
      guard let problem = CertificateUsage(authority).authorityProblem else { continue }
      throw SignatureFinding(
        .untrustedChain, "the authority “\(authority.subject)” \(problem)",
        remedy: "Ask for a certificate of an authority that issues certificates for documents.")
    }
    let usage = chain.first.map(CertificateUsage.init)
    guard let usage, let profile = usage.profile else {
      throw SignatureFinding(
        .untrustedChain, "“\(chain.first?.subject ?? "")” \(usage?.problem ?? "has no chain")",
        remedy: "Ask the authority for a certificate for signing documents: key usage "
          + "digitalSignature or nonRepudiation, extended key usage emailProtection, "
          + "documentSigning or none.")
    }
    return profile
  }

  /// OpenSSL's own CRL check is not used: it refuses a list that was issued after the judging time,
  /// and would let a certificate pass that was revoked after its claimed signing time. Here a listed
  /// certificate is revoked, whatever the dates say. A list's signature is checked when it matters,
  /// on a hit; a hit in a list that nobody signed does not pass either.
  private func checkRevocation(_ chain: [Certificate]) throws(SignatureFinding) {
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
          throw SignatureFinding(
            .untrustedChain, "“\(subject)” is in a revocation list that its issuer did not sign")
        }
        throw SignatureFinding(
          .revoked, "“\(subject)” is revoked\(date)",
          remedy: "Ask the authority for a new certificate, with a new key if the old one leaked.")
      }
    }
  }

  // MARK: Certificates of the directory

  /// What is known against a certificate without the message that would bring its issuers.
  func problem(of certificate: Certificate, at time: Timestamp) -> CertificateProblem? {
    defer { OpenSSLErrors.clear() }
    if let problem = certificate.withPublicKey(KeyStrength.problem) {
      return CertificateProblem(.outsideProfile, "has a key that is \(problem)")
    }
    if let problem = CertificateUsage(certificate).problem {
      return CertificateProblem(.outsideProfile, problem)
    }
    guard let from = certificate.notBefore, let to = certificate.notAfter else {
      return CertificateProblem(.unreadable, "has a validity date that is not a date")
    }
    if time < from { return CertificateProblem(.notYetValid, "is not valid before \(from.shown)") }
    if time >= to { return CertificateProblem(.expired, "expired on \(to.shown)") }
    if lists.contains(where: { $0.revocation(of: certificate) != nil }) {
      return CertificateProblem(.revoked, "is revoked")
    }
    do throws(SignatureFinding) {
      try check(certificate, at: time, included: [])
      return nil
    } catch  where error.isMissingIssuer && !certificate.hasWeakSignature {
      return nil
    } catch  where error.isMissingIssuer {
      return CertificateProblem(.outsideProfile, "is signed with a digest weaker than SHA-256")
    } catch {
      return CertificateProblem(.untrusted, "is not trusted: \(error.detail)")
    }
  }
}
