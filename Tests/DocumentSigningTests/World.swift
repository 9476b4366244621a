import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation

/// Units, certificates and a directory, made once for all tests.
///
/// alpha signs with RSA below an intermediate, beta with EC below the root; the leader is in no
/// directory entry, but has a certificate of the same authority.
final class World: Sendable {
  static let shared = Result { try World() }

  let root: TestCA
  let intermediate: TestCA
  let alpha: TestCA.Identity
  let beta: TestCA.Identity
  let leader: TestCA.Identity
  let trust: TrustStore
  let directory: Directory

  static let alphaID = unit("LDLD.ALPHA")
  static let betaID = unit("LDLD.BETA")
  static let content = Data(#"{"version":1,"subject":"V/v tổ chức hội nghị"}"#.utf8)
  /// Within every certificate's validity.
  static let noon = Timestamp(microseconds: 1_790_000_000_000_000)

  private init() throws {
    root = try TestCA()
    intermediate = try root.intermediate(key: .p256)
    alpha = try intermediate.issue("LDLD.ALPHA", name: "Liên đoàn Lao động Alpha")
    beta = try root.issue("LDLD.BETA", name: "Liên đoàn Lao động Beta", key: .p256)
    leader = try root.issue("leader", name: "Nguyễn Văn An", key: .p256)
    trust = try TrustStore.load(anchors: root.rootPath)
    directory = try Self.makeDirectory(["LDLD.ALPHA": [alpha], "LDLD.BETA": [beta]])
  }

  static func unit(_ text: String) -> UnitID {
    guard let unit = UnitID(text) else { fatalError("a test names the impossible unit “\(text)”") }
    return unit
  }

  /// A directory of units with their certificates, decoded from the wire's JSON. Each unit has its
  /// id with `-OLD` as an alias.
  static func makeDirectory(_ units: [String: [TestCA.Identity]]) throws -> Directory {
    let wire: [String: Any] = [
      "version": 1,
      "units": units.map { id, identities in
        [
          "organId": id, "organName": "Unit \(id)", "aliases": ["\(id)-OLD"],
          "certificates": identities.map(\.certificatePEM),
        ] as [String: Any]
      },
    ]
    return try Directory.decode(
      try JSONSerialization.data(withJSONObject: wire), hashing: OpenSSLHashing())
  }

  func verifier(
    trust: TrustStore? = nil, directory: Directory? = nil, times: TimeRules = TimeRules()
  ) -> CMSVerifier {
    let (trust, directory) = (trust ?? self.trust, directory ?? self.directory)
    return CMSVerifier(trust: { trust }, directory: { directory }, times: times)
  }

  static func signer(_ identity: TestCA.Identity) throws -> CMSSigner {
    CMSSigner(
      key: try SigningKey.load(
        key: identity.keyPath, certificate: identity.chainPath, passphrase: nil))
  }

  /// A message that the `openssl` program signs now, with further `options`.
  static func opensslSigned(
    _ identities: [TestCA.Identity], content: Data = content,
    options: [String] = ["-cades", "-nodetach"]
  ) throws -> Data {
    let folder = try TemporaryFolder()
    let input = try folder.write(content, as: "content")
    return try OpenSSLCommand.require(
      ["cms", "-sign", "-binary", "-outform", "DER", "-in", input]
        + identities.flatMap { ["-signer", $0.certificatePath, "-inkey", $0.keyPath] }
        + identities.compactMap(\.intermediatesPath).flatMap { ["-certfile", $0] } + options)
  }

  static var now: Timestamp { SystemClock().now }
}

/// The error of this room that `body` throws; nil when it throws none.
func failure<Result>(_ body: () throws -> Result) -> SigningError? {
  do {
    _ = try body()
    return nil
  } catch {
    return error as? SigningError
  }
}

extension Verdict {
  /// The problem, nil for a valid one.
  var problem: SignatureProblem? {
    if case .early = self { return .signedInFuture }
    guard case .invalid(let problem, _, _) = self else { return nil }
    return problem
  }

  var content: Data? {
    switch self {
    case .valid(let content, _), .early(_, _, let content): content
    case .invalid(_, _, let content): content
    }
  }

  var signers: [SignerIdentity] {
    guard case .valid(_, let signers) = self else { return [] }
    return signers
  }
}
