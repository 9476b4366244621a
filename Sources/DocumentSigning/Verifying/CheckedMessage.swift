import ExchangeCore
import Foundation

/// A signer whose signature and attributes hold. Whether anyone trusts him is another question.
struct CheckedSigner {
  let certificate: Certificate
  let digest: SHA256Digest
  let signingTime: Timestamp

  /// `profile` is the extended key usage that counted.
  func identity(profile: String) -> SignerIdentity {
    SignerIdentity(
      subject: certificate.subject, certificate: digest, signingTime: signingTime,
      profile: profile)
  }
}

/// The signers of a message after everything was checked that needs no trust.
struct CheckedMessage {
  /// In the message's order; 1 to 4.
  let signers: [CheckedSigner]
  /// All certificates of the message: intermediates, and whatever else its sender put there.
  let certificates: [Certificate]

  /// Checks every signer over `content`, which is the message's own. `anchors` may be named by
  /// signing-certificate-v2. Throws the first problem found.
  init(_ message: borrowing SignedMessage, content: Data, anchors: [Certificate])
    throws(SignatureFinding)
  {
    defer { OpenSSLErrors.clear() }
    try message.checkShape()
    let included = try message.certificates()
    certificates = included
    signers = try message.withSigners { (signers) throws(SignatureFinding) -> [CheckedSigner] in
      var checked: [CheckedSigner] = []
      for signer in signers {
        let certificate = try signer.certificate()
        try signer.checkSignature(of: content)
        let time = try signer.signingTime()
        try signer.checkSigningCertificate(is: certificate, known: included + anchors)
        checked.append(
          CheckedSigner(
            certificate: certificate, digest: certificate.digest, signingTime: time))
      }
      guard Set(checked.map(\.digest)).count == checked.count else {
        throw SignatureFinding(.badProfile, "one signer signs twice")
      }
      return checked
    }
  }
}
