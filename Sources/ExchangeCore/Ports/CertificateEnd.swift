/// When to ask for a new certificate.
package enum CertificateEnd {
  /// Authorities take days, and the directory has to reach every unit.
  private static let notice = Duration.seconds(30 * 86_400)

  /// Nil when the certificate is good for another 30 days, or has ended already.
  package static func warning(of certificate: SignerCertificate?, at now: Timestamp) -> Warning? {
    guard let certificate, now < certificate.notAfter,
      certificate.notAfter <= now.advanced(by: notice)
    else { return nil }
    return Warning(
      .certificateEnds,
      "the signing certificate “\(certificate.subject)”, or an issuer of it, ends on "
        + "\(certificate.notAfter.shown): ask the authority for a new one now, and the federation "
        + "to list it beside the old one")
  }
}
