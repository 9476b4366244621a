package import DocumentSigning
package import ExchangeCore
import ExchangeTestKit
import Foundation

/// Units with keys, certificates and a directory, made once for all tests of this process.
///
/// alpha, beta and gamma take part; delta has a certificate and a broker user but is in no
/// directory. beta also answers to the name of its predecessor.
package final class Province: Sendable {
  package static let shared = Result { try Province() }

  package static let alpha = organ("LDLD.ALPHA", "Liên đoàn Lao động tỉnh Alpha")
  package static let beta = organ("CDCS.BETA", "Công đoàn cơ sở Beta")
  package static let gamma = organ("CDCS.GAMMA", "Công đoàn cơ sở Gamma")
  package static let delta = organ("CDCS.DELTA", "Công đoàn cơ sở Delta")
  package static let betaOld = unit("CDCS.BETA-CU")

  package let directory: Directory
  package let trust: TrustStore
  private let signers: [UnitID: CMSSigner]

  private init() throws {
    let root = try TestCA(key: .p256)
    let organs = [Self.alpha, Self.beta, Self.gamma, Self.delta]
    let identities = try Dictionary(
      uniqueKeysWithValues: organs.map { organ in
        (
          organ.organId,
          try root.issue(organ.organId.rawValue, name: organ.organName ?? "", key: .p256)
        )
      })
    signers = try identities.mapValues { identity in
      CMSSigner(
        key: try SigningKey.load(
          key: identity.keyPath, certificate: identity.chainPath, passphrase: nil))
    }
    trust = try TrustStore.load(anchors: root.rootPath)
    let listed: [[String: Any]] = organs.dropLast().map { organ in
      [
        "organId": organ.organId.rawValue, "organName": organ.organName ?? "",
        "aliases": organ == Self.beta ? [Self.betaOld.rawValue] : [], "groups": ["tat-ca"],
        "certificates": [identities[organ.organId]?.certificatePEM ?? ""],
      ]
    }
    directory = try Directory.decode(
      JSONSerialization.data(withJSONObject: ["version": 1, "units": listed]),
      hashing: OpenSSLHashing())
  }

  package func signer(_ organ: Organ) throws -> CMSSigner {
    guard let signer = signers[organ.organId] else { throw Missing(organ: organ) }
    return signer
  }

  package var verifier: CMSVerifier {
    CMSVerifier(trust: { [trust] in trust }, directory: { [directory] in directory })
  }

  package struct Missing: Error { let organ: Organ }

  package static func unit(_ text: String) -> UnitID {
    guard let unit = UnitID(text) else { fatalError("a test names the impossible unit “\(text)”") }
    return unit
  }

  private static func organ(_ id: String, _ name: String) -> Organ {
    Organ(organId: unit(id), organName: name)
  }
}
