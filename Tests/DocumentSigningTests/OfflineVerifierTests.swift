import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct OfflineVerifierTests {
  @Test func `A trusted file shows its signers without a directory`() throws {
    let world = try World.shared.get()
    let message = try World.signer(world.alpha).sign(World.content, at: World.noon)
    let found = OfflineVerifier(trust: world.trust).inspect(message, arrivedAt: World.noon)
    #expect(found.problem == nil && found.detail == nil)
    #expect(found.content == World.content)
    #expect(found.signers.map(\.signingTime) == [World.noon])
    #expect(found.signers.map(\.certificate.issuer) == ["CN=Test Intermediate,O=Test Federation"])
  }

  @Test func `An untrusted signer is still named`() throws {
    let world = try World.shared.get()
    let foreign = try TestCA(name: "Foreign Root", key: .p256).issue("leader", key: .p256)
    let message = try World.opensslSigned([world.beta, foreign])
    let found = OfflineVerifier(trust: world.trust).inspect(message, arrivedAt: World.now)
    #expect(found.problem == .untrustedChain && found.detail != nil)
    #expect(found.content == World.content)
    #expect(Set(found.signers.map(\.problem)) == [nil, .untrustedChain])
  }

  @Test func `A file that does not hold names no signer`() throws {
    let world = try World.shared.get()
    var message = try World.signer(world.beta).sign(World.content, at: World.noon)
    message[message.count - 1] ^= 1
    let verifier = OfflineVerifier(trust: world.trust)
    let altered = verifier.inspect(message, arrivedAt: World.noon)
    #expect(altered.problem == .altered && altered.signers.isEmpty)
    #expect(altered.content == World.content)
    let garbage = verifier.inspect(Data("%PDF-1.7".utf8), arrivedAt: World.noon)
    #expect(garbage.problem == .notSigned && garbage.content == nil)
  }

  @Test func `A certificate's particulars are those that openssl prints`() throws {
    let world = try World.shared.get()
    let info = try #require(
      CertificateInfo.all(inPEM: Data(world.alpha.certificatePEM.utf8)).first)
    let printed = try OpenSSLCommand.require([
      "x509", "-in", world.alpha.certificatePath, "-noout", "-serial", "-fingerprint", "-sha256",
    ])
    let text = String(decoding: printed, as: UTF8.self)
    #expect(text.contains("serial=\(info.serialNumber)\n"))
    #expect(text.replacing(":", with: "").lowercased().contains(info.sha256.hex))
    #expect(info.notBefore == TestCA.from && info.notAfter == TestCA.to)
    #expect(try CertificateInfo(der: info.der) == info)
    #expect(throws: SigningError(.certificateUnreadable, "")) {
      try CertificateInfo(der: info.der + [0])
    }
    #expect(throws: SigningError(.certificateUnreadable, "")) {
      try CertificateInfo.all(inPEM: Data())
    }
  }
}
