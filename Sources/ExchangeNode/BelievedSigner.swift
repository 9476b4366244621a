package import ExchangeCore
package import Foundation
import Synchronization

/// A signer that signs nothing that no other unit would believe: before it signs, its certificate is
/// judged as a receiver judges it (chain, usage, digests, dates, revocation, directory).
///
/// For acts of people that is done at every act (`requireBelieved`); what the daemon signs by itself
/// rests on a judgement that is at most 60 seconds old.
package final class BelievedSigner: DocumentSigner {
  /// How long a judgement counts for what the daemon signs.
  private static let period = Duration.seconds(60)

  private let signer: any DocumentSigner
  private let verifier: any SignatureVerifier
  private let directory: any DirectorySource
  private let unit: UnitID
  /// When the certificate was believed last, and which certificates the directory listed then.
  private let believed = Mutex<(at: Timestamp, listed: [SHA256Digest])?>(nil)

  /// Signs with `signer` for `unit`.
  package init(
    _ signer: any DocumentSigner, unit: UnitID, verifier: any SignatureVerifier,
    directory: any DirectorySource
  ) {
    self.signer = signer
    self.unit = unit
    self.verifier = verifier
    self.directory = directory
  }

  package var certificate: SignerCertificate? { signer.certificate }
  package var identity: String? { signer.identity }
  package func identity(of message: Data) -> String? { signer.identity(of: message) }

  package func sign(_ content: Data, at time: Timestamp) throws -> Data {
    let listed = directory.current.unit(unit)?.certificates ?? []
    let isRecent = believed.withLock { believed in
      guard let believed, believed.listed == listed else { return false }
      return believed.at <= time && time < believed.at.advanced(by: Self.period)
    }
    if !isRecent { try requireBelieved(at: time) }
    return try signer.sign(content, at: time)
  }

  /// Throws `UNIT-NOT-IN-DIRECTORY`, or what the verifier finds, with the next step of the cause.
  package func requireBelieved(at time: Timestamp) throws {
    let listed = directory.current.unit(unit)?.certificates ?? []
    do {
      if let certificate = signer.certificate, !listed.contains(certificate.digest) {
        let owner = directory.current.owner(ofCertificate: certificate.digest)
        let whose = owner.map { "lists it for “\($0.id)”, not for" } ?? "does not list it for"
        throw NodeError(
          .notAUnit,
          "signing certificate “\(certificate.subject)”: the directory \(whose) “\(unit)”",
          next: "Ask the federation to enter this certificate in the directory; until the new "
            + "directory is here, sign with a listed one.")
      }
      try verifier.examine(signer, of: unit, at: time)
    } catch {
      believed.withLock { $0 = nil }
      throw error
    }
    believed.withLock { $0 = (time, listed) }
  }
}
