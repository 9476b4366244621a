package import Foundation

/// A manifest of this unit as it travels.
package struct SignedManifest: Sendable {
  package let manifest: Manifest
  /// SHA-256 of the manifest's JSON.
  package let digest: SHA256Digest
  /// CMS, DER: the bytes of every send and resend.
  package let signed: Data

  /// Encodes and signs `manifest`, as of its `createdAt`. Throws `DocumentError.tooLarge` when the CMS
  /// is longer than `WireLimits.bodyBytes`.
  package init(
    _ manifest: Manifest, by signer: any DocumentSigner, hashing: some ContentHashing
  ) throws {
    let json = try ManifestCodec.encode(manifest)
    let signed = try signer.sign(json, at: manifest.createdAt)
    guard signed.count <= WireLimits.bodyBytes else {
      throw DocumentError(
        .tooLarge, "the signed manifest has \(signed.count) bytes: too many recipients or files")
    }
    self.manifest = manifest
    self.digest = hashing.sha256(json)
    self.signed = signed
  }
}
