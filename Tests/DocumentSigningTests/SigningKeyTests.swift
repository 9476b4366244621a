import DocumentSigning
import ExchangeCore
import ExchangeTestKit
import Foundation
import Testing

@Suite struct SigningKeyTests {
  private func failure(_ body: () throws -> SigningKey) -> SigningErrorCode? {
    DocumentSigningTests.failure(body)?.kind
  }

  @Test func `A plain PEM key with its chain is read without the root`() throws {
    let world = try World.shared.get()
    let key = try SigningKey.load(
      key: world.alpha.keyPath, certificate: world.alpha.chainPath, passphrase: nil)
    #expect(key.certificate.subject == "CN=LDLD.ALPHA,O=Liên đoàn Lao động Alpha")
    #expect(key.certificate.keyType == "RSA 2048")
    #expect(key.intermediates.map(\.keyType) == ["EC prime256v1"])
  }

  @Test func `An encrypted PEM key wants its pass phrase`() throws {
    let world = try World.shared.get()
    let path = try world.root.encryptedKey(world.beta, passphrase: "mật khẩu 123")
    let load = { passphrase in
      try SigningKey.load(
        key: path, certificate: world.beta.certificatePath, passphrase: passphrase)
    }
    #expect(failure { try load("mật khẩu 123") } == nil)
    #expect(failure { try load("mat khau") } == .keyPassphrase)
    #expect(failure { try load("") } == .keyPassphrase)
    #expect(failure { try load(nil) } == .keyPassphrase)
    #expect(failure { try load(String(repeating: "x", count: 5000)) } == .keyPassphrase)
  }

  @Test func `A PKCS#12 file wants its pass phrase`() throws {
    let world = try World.shared.get()
    let path = try world.intermediate.pkcs12(world.alpha, passphrase: "mật khẩu")
    let load = { passphrase in try SigningKey.load(pkcs12: path, passphrase: passphrase) }
    let key = try load("mật khẩu")
    #expect(key.certificate.subject.hasPrefix("CN=LDLD.ALPHA"))
    #expect(key.intermediates.count == 1)
    #expect(failure { try load("mật") } == .keyPassphrase)
    #expect(failure { try load(nil) } == .keyPassphrase)
  }

  @Test(arguments: [String?.none, ""])
  func `A PKCS#12 file without a pass phrase is read with none`(passphrase: String?) throws {
    let world = try World.shared.get()
    let path = try world.root.pkcs12(world.beta, passphrase: "")
    #expect(failure { try SigningKey.load(pkcs12: path, passphrase: passphrase) } == nil)
  }

  @Test func `Only the chain goes along, whatever else the file holds`() throws {
    let world = try World.shared.get()
    let folder = try TemporaryFolder()
    let paths = [
      world.root.rootPath, world.beta.certificatePath, world.intermediate.certificatePath,
      world.alpha.certificatePath,
    ]
    let texts = try paths.map { try Data(contentsOf: URL(fileURLWithPath: $0)) }
    let all = try folder.write(Data(texts.joined()), as: "all.pem")
    let key = try SigningKey.load(key: world.alpha.keyPath, certificate: all, passphrase: nil)
    #expect(key.certificate.subject.hasPrefix("CN=LDLD.ALPHA"))
    #expect(key.intermediates.map(\.subject) == ["CN=Test Intermediate,O=Test Federation"])
  }

  @Test func `Broken files are told apart from wrong pass phrases`() throws {
    let world = try World.shared.get()
    let folder = try TemporaryFolder()
    let text = try Data(contentsOf: URL(fileURLWithPath: world.beta.keyPath))
    let cut = try folder.write(text.prefix(text.count / 2), as: "cut.key")
    let words = try folder.write(Data("not a key".utf8), as: "words.key")
    let empty = try folder.write(Data(), as: "empty.key")
    for path in [cut, words, empty, folder.path("missing.key"), folder.url.path, "/dev/zero"] {
      let certificate = world.beta.certificatePath
      #expect(
        failure { try SigningKey.load(key: path, certificate: certificate, passphrase: "x") }
          == .keyUnreadable)
      #expect(failure { try SigningKey.load(pkcs12: path, passphrase: "x") } == .keyUnreadable)
      #expect(
        failure {
          try SigningKey.load(key: world.beta.keyPath, certificate: path, passphrase: nil)
        } == .certificateUnreadable)
    }
  }

  @Test func `Key and certificate must belong together`() throws {
    let world = try World.shared.get()
    #expect(
      failure {
        try SigningKey.load(
          key: world.alpha.keyPath, certificate: world.beta.certificatePath, passphrase: nil)
      } == .keyCertificateMismatch)
  }

  @Test(arguments: [TestCA.Key.weakRSA, .weakEC])
  func `Weak keys are refused`(type: TestCA.Key) throws {
    let weak = try World.shared.get().root.issue("WEAK", key: type)
    #expect(
      failure {
        try SigningKey.load(
          key: weak.keyPath, certificate: weak.certificatePath, passphrase: nil)
      } == .keyTooWeak)
  }

  @Test func `No error tells the pass phrase`() throws {
    let world = try World.shared.get()
    let path = try world.root.encryptedKey(world.beta, passphrase: "right-one")
    #expect {
      try SigningKey.load(
        key: path, certificate: world.beta.certificatePath, passphrase: "wrong-one")
    } throws: { error in
      !"\(error)".contains("wrong-one") && "\(error)".contains(path)
    }
  }
}
