package import Foundation

/// Signs with the unit's key (chứng thư số cơ quan). Blocks for the time of one signature.
package protocol DocumentSigner: Sendable {
  /// DER of a CMS SignedData (RFC 5652) with `content` attached and the signed attributes of
  /// schemas/README.md section 5. Called once per document or status, never again for a resend.
  func sign(_ content: Data, at time: Timestamp) throws -> Data
}

/// Judges signatures. A verdict is a value; only an accident (out of memory) would be an error.
package protocol SignatureVerifier: Sendable {
  /// Verifies `message` as if it had arrived at `arrival` from unit `claimed`.
  func verify(_ message: Data, from claimed: UnitID, arrivedAt arrival: Timestamp) -> Verdict
}

/// Who signed, once the signature has been checked.
package struct SignerIdentity: Hashable, Sendable {
  /// RFC 2253 subject of the certificate, UTF-8.
  package let subject: String
  /// SHA-256 of the certificate's DER: what the directory lists.
  package let certificate: SHA256Digest
  /// The claimed signing time (signed attribute), when there is one.
  package let signingTime: Timestamp?

  package init(subject: String, certificate: SHA256Digest, signingTime: Timestamp?) {
    self.subject = subject
    self.certificate = certificate
    self.signingTime = signingTime
  }
}

/// The outcome of checking one signed message.
package enum Verdict: Hashable, Sendable {
  /// Signature, certificate, chain and the unit's right to that certificate all hold.
  case valid(content: Data, signers: [SignerIdentity])
  /// The signature holds, but its signing time lies ahead of the arrival, by no more than a wrong
  /// clock explains: to be judged as if it had arrived at `notBefore`, and not earlier than then.
  case early(notBefore: Timestamp, detail: String, content: Data)
  /// `content` is present when the CMS could be opened: a refusal can then name what it refuses.
  case invalid(SignatureProblem, detail: String, content: Data?)
}

/// What is wrong with a signature. Raw values are outcome codes (schemas/outcome-codes.json).
package enum SignatureProblem: String, Hashable, Sendable, CaseIterable {
  /// The bytes are not a CMS SignedData with attached content.
  case notSigned = "SIGNATURE-NOT-SIGNED"
  /// A CMS that breaks the profile: no signer, too many, a missing signed attribute, a weak digest.
  case badProfile = "SIGNATURE-PROFILE"
  /// Content or signed attributes do not match the signature.
  case altered = "SIGNATURE-ALTERED"
  /// The signer's certificate is in no unit's directory entry.
  case unknownSigner = "SIGNATURE-UNKNOWN-SIGNER"
  /// The certificate belongs to another unit than the one that sent the message.
  case notThisUnit = "SIGNATURE-NOT-THIS-UNIT"
  case notYetValid = "SIGNATURE-NOT-YET-VALID"
  case expired = "SIGNATURE-EXPIRED"
  case revoked = "SIGNATURE-REVOKED"
  case untrustedChain = "SIGNATURE-UNTRUSTED"
  /// The signing time lies so far after the arrival that no waiting helps.
  case signedInFuture = "SIGNATURE-TIME-IN-FUTURE"
}
