package import Foundation

/// Signs with the unit's key (chứng thư số cơ quan). Blocks for the time of one signature.
package protocol DocumentSigner: Sendable {
  /// DER of a CMS SignedData (RFC 5652) with `content` attached and the signed attributes of
  /// schemas/README.md section 5. Called once per document or status, never again for a resend.
  func sign(_ content: Data, at time: Timestamp) throws -> Data

  /// The certificate that it signs with; nil when it cannot say.
  var certificate: SignerCertificate? { get }

  /// Throws a `ReportableError` when other units would not believe what is signed at `time`. To be
  /// asked before anything else of an act is done.
  func requireBelieved(at time: Timestamp) throws

  /// Which certificates go along with every signature: SHA-256 in hexadecimal over the signer's and
  /// its intermediates, in no order. Nil when the signer does not know.
  var identity: String? { get }

  /// The same of a message that was signed before, whoever signed it; nil when it cannot be read.
  func identity(of message: Data) -> String?
}

extension DocumentSigner {
  package var certificate: SignerCertificate? { nil }
  package func requireBelieved(at time: Timestamp) throws {}
  package var identity: String? { nil }
  package func identity(of message: Data) -> String? { nil }
}

/// What is said of the unit's own certificate before anything is signed with it.
package struct SignerCertificate: Hashable, Sendable {
  /// RFC 2253 subject, UTF-8.
  package let subject: String
  /// SHA-256 of its DER: what the directory lists.
  package let digest: SHA256Digest
  /// From when on signatures fail: the end of the certificate, or of an issuer that ends earlier.
  package let notAfter: Timestamp

  package init(subject: String, digest: SHA256Digest, notAfter: Timestamp) {
    self.subject = subject
    self.digest = digest
    self.notAfter = notAfter
  }
}

/// Judges signatures. A verdict is a value; only an accident (out of memory) would be an error.
package protocol SignatureVerifier: Sendable {
  /// Verifies `message` as if it had arrived at `arrival` from unit `claimed`.
  func verify(_ message: Data, from claimed: UnitID, arrivedAt arrival: Timestamp) -> Verdict

  /// Verifies a message that this unit itself signed, perhaps long ago, as of its signing time. Its
  /// certificate chains to an anchor, is not revoked, and is the unit's: the directory lists it, its CN
  /// is `unit` or an alias, or its subject is `subject`, that of the certificate in use today.
  func verifyOwn(_ message: Data, of unit: UnitID, subject: String?) -> Verdict

  /// Signs a sample with `signer` and judges it as a receiver does that has the same anchors,
  /// revocation lists and directory. Throws a `ReportableError` that says why it would not be
  /// believed and what to do.
  func examine(_ signer: any DocumentSigner, of unit: UnitID, at time: Timestamp) throws

  /// Why nothing that is signed with a listed certificate at `time` would be believed; nil when
  /// nothing is known against it. Its issuers may come with the message, so a missing one is nothing.
  func problem(of certificate: ListedCertificate, at time: Timestamp) -> CertificateProblem?

  /// Who signed `message`, whatever has become of their certificates since: directory, chain and
  /// revocation lists do not matter. Empty unless every signature holds.
  func signers(of message: Data, arrivedAt arrival: Timestamp) -> [SignerIdentity]

  /// What the verdicts rest on beside the directory: anchors, revocation lists, rules. Changes when one
  /// of them does, also from one run of the program to the next.
  var basis: String { get }
}

/// Why a unit's certificate in the directory is of no use.
package struct CertificateProblem: Hashable, Sendable {
  /// The causes, for a word in a table.
  package enum Kind: Hashable, Sendable, CaseIterable {
    case unreadable, notYetValid, expired, revoked, untrusted
    /// A key or signature algorithm, or an extended key usage, that the profile does not allow.
    case outsideProfile
  }

  package let kind: Kind
  /// A sentence's predicate: “expired on …”, “is cut off …”.
  package let detail: String

  package init(_ kind: Kind, _ detail: String) {
    self.kind = kind
    self.detail = detail
  }
}

/// Who signed, once the signature has been checked.
package struct SignerIdentity: Hashable, Sendable {
  /// RFC 2253 subject of the certificate, UTF-8.
  package let subject: String
  /// SHA-256 of the certificate's DER: what the directory lists.
  package let certificate: SHA256Digest
  /// The claimed signing time (signed attribute), when there is one.
  package let signingTime: Timestamp?
  /// By which extended key usage the certificate may sign documents, for example
  /// `emailProtection` or `any (no extended key usage)`. Nil when it was not looked at.
  package let profile: String?

  /// How history records the signer: subject, certificate, and the extended key usage that counted.
  package var evidence: String {
    "\(subject), \(certificate)" + (profile.map { ", \($0)" } ?? "")
  }

  package init(
    subject: String, certificate: SHA256Digest, signingTime: Timestamp?, profile: String? = nil
  ) {
    self.subject = subject
    self.certificate = certificate
    self.signingTime = signingTime
    self.profile = profile
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
