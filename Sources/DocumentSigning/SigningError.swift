package import ExchangeCore

/// Why a key, a certificate or a trust file cannot be used, or a signature not be made.
///
/// Never thrown for what a peer sent: that is a `Verdict`. Reasons name files and OpenSSL's own
/// texts, never a pass phrase.
package typealias SigningError = Failure<SigningErrorCode>

/// The codes of `SigningError`. Printed and quoted on the telephone, so only ever added.
package enum SigningErrorCode: String, FailureCode {
  /// The private key or PKCS#12 file cannot be read or is broken.
  case keyUnreadable = "KEY-UNREADABLE"
  /// The key is encrypted and the pass phrase is missing or does not open it.
  case keyPassphrase = "KEY-PASSPHRASE"
  case keyCertificateMismatch = "KEY-CERTIFICATE-MISMATCH"
  case keyTooWeak = "KEY-TOO-WEAK"
  /// A kind of key that the signature profile does not have: Ed25519, RSASSA-PSS, another curve.
  case keyNotAllowed = "KEY-NOT-ALLOWED"
  case certificateUnreadable = "CERTIFICATE-UNREADABLE"
  /// The signing certificate is not valid at the moment of signing.
  case certificateNotValid = "CERTIFICATE-NOT-VALID"
  /// Other units would not believe what is signed with the certificate.
  case certificateNotBelieved = "CERTIFICATE-NOT-BELIEVED"
  case trustUnreadable = "TRUST-UNREADABLE"
  case revocationUnreadable = "CRL-UNREADABLE"
  /// The signed message would be longer than the wire allows.
  case signedTooLarge = "SIGNED-TOO-LARGE"
  case signingFailed = "SIGNING-FAILED"
  case keyExists = "KEY-EXISTS"
  case keyNotWritten = "KEY-NOT-WRITTEN"
  case keyNotMade = "KEY-NOT-MADE"

  /// The next step for the person who meets the failure.
  package var hint: String {
    switch self {
    case .keyUnreadable:
      "Check the path and that this account may read the file; it is a private key in PEM or DER, "
        + "or a PKCS#12 file (.p12)."
    case .keyPassphrase: "Give the pass phrase that the key file was protected with."
    case .keyCertificateMismatch:
      "Give the certificate that the authority issued for this very key, not for an older one."
    case .keyTooWeak: "Ask for a certificate with RSA of 2048 bits or more, or EC P-256 or more."
    case .keyNotAllowed:
      "Make a key of the kind rsa or ec (congvan init --key-type), and ask for a certificate for it."
    case .certificateUnreadable:
      "Give a file with the certificate and its intermediates: PEM, DER (.cer) or PKCS#7 (.p7b)."
    case .certificateNotValid:
      "Check this machine's clock; if it is right, ask the authority for a new certificate."
    case .certificateNotBelieved: "Ask the authority for a correct certificate."
    case .trustUnreadable:
      "Give a file with the federation's root certificates: PEM, DER (.cer) or PKCS#7 (.p7b)."
    case .revocationUnreadable:
      "Fetch the authority's revocation list (CRL) again, as PEM, DER or PKCS#7."
    case .signedTooLarge: "Name fewer recipients, attachments or related documents, and send again."
    case .signingFailed: "Check the key with: openssl pkey -check; then send the text to support."
    case .keyExists: "Keys are never overwritten: name another file, or move the old one away."
    case .keyNotWritten: "Check the folder, its permissions and the free space on the disk."
    case .keyNotMade: "Check the OpenSSL installation with: openssl version"
    }
  }
}
