import DocumentSigning
import ExchangeCore
import Foundation

/// Signed messages. Whatever is believed was signed: the pairs of certificate and content are known,
/// because nobody but `make-seeds.py` has the keys.
enum CMSTarget {
  private static let world = SignedWorld()
  private static let verifier = CMSVerifier(
    trust: { world.trust }, directory: { world.directory })
  private static let offline = OfflineVerifier(trust: world.trust)

  static func run(_ bytes: Data) {
    let inspection = offline.inspect(bytes, arrivedAt: world.arrival)
    if inspection.problem == nil {
      require(!inspection.signers.isEmpty, "no problem and no signer")
      for signer in inspection.signers {
        require(signer.problem == nil, "a signer with a problem in a file without")
        checkSigned(inspection.content, by: signer.certificate.sha256, at: signer.signingTime)
      }
    }
    // One claim for what nobody believes, every claim for the rest: verifying is what costs.
    let units = world.directory.units
    let claims = inspection.problem == nil ? units : [units[bytes.count % units.count]]
    for claimed in claims {
      let verdict = verifier.verify(bytes, from: claimed.id, arrivedAt: world.arrival)
      guard case .valid(let content, let signers) = verdict else { continue }
      require(
        signers.first.map { claimed.certificates.contains($0.certificate) } == true,
        "believed as \(claimed.id)'s and signed by another")
      for signer in signers {
        checkSigned(content, by: signer.certificate, at: signer.signingTime)
      }
      require(
        inspection.problem == nil && inspection.content == content
          && Set(inspection.signers.map(\.certificate.sha256)) == Set(signers.map(\.certificate)),
        "the two verifiers disagree")
    }
  }

  private static func checkSigned(
    _ content: Data?, by certificate: SHA256Digest, at time: Timestamp?
  ) {
    let isKnown = content.flatMap { world.signed[certificate]?.contains($0) } == true
    require(isKnown, "\(certificate) never signed this content")
    // All seeds are signed within this time before the arrival.
    let isSeedTime = time.map { $0 <= world.arrival && world.made <= $0 } == true
    require(isSeedTime, "\(certificate) did not sign at \(time?.iso8601 ?? "no time")")
  }

  /// The seeds are what they are meant to be; otherwise nothing here could ever fail.
  static func checkSeeds() {
    for (name, bytes) in world.seeds {
      let verdicts = world.directory.units.map {
        verifier.verify(bytes, from: $0.id, arrivedAt: world.arrival)
      }
      let believed = verdicts.filter { if case .valid = $0 { true } else { false } }.count
      require(
        (believed > 0) == name.hasPrefix("valid-"), "the seed \(name) has verdicts \(verdicts)")
    }
  }
}
