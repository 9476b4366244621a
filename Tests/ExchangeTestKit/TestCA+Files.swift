package import ExchangeCore
import Foundation
import Synchronization

extension TestCA {
  /// Issues a certificate with these extensions only, each as a line of `openssl`'s configuration,
  /// signed with `digest`. For `request` instead of a new key, when given.
  package func issue(
    _ unit: String, extensionLines: [String], digest: String = "sha256",
    from: Timestamp = TestCA.from, to: Timestamp = TestCA.to,
    for given: (request: String, key: String)? = nil
  ) throws -> Identity {
    let lines = ["[custom]"] + extensionLines + ["subjectKeyIdentifier = hash"]
    let file = try folder.write(
      Data(lines.joined(separator: "\n").utf8 + [0x0A]), as: "\(nextNumber()).ext")
    let more = ["-extfile", file, "-md", digest]
    if let given {
      return try issue(
        request: given.request, keyPath: given.key, from: from, to: to, extensions: "custom",
        more: more)
    }
    return try issue(unit, key: .p256, from: from, to: to, extensions: "custom", more: more)
  }

  /// A request for `unit` with a new key that `openssl genpkey` makes with `options`.
  package func request(_ unit: String, keyOptions options: [String]) throws
    -> (request: String, key: String)
  {
    let number = nextNumber()
    let (key, request) = (folder.path("\(number).key"), folder.path("\(number).csr"))
    try OpenSSLCommand.require(["genpkey", "-quiet", "-out", key] + options)
    try OpenSSLCommand.require([
      "req", "-new", "-key", key, "-subj", "/CN=\(unit)", "-out", request,
    ])
    return (request, key)
  }

  /// Revokes a certificate of this authority, given as a PEM file. Counts in the lists made
  /// afterwards.
  package func revoke(_ certificatePath: String) throws {
    try counter.withLock { _ in
      _ = try OpenSSLCommand.require(
        ["ca", "-batch", "-config", "ca.cnf", "-revoke", certificatePath], in: folder.url)
    }
  }

  /// Issues a revocation list; the path of a PEM file.
  package func revocationList(
    issued: Timestamp = TestCA.from, next: Timestamp = TestCA.to
  ) throws -> String {
    let path = folder.path("\(nextNumber()).crl")
    try counter.withLock { _ in
      _ = try OpenSSLCommand.require(
        [
          "ca", "-gencrl", "-config", "ca.cnf", "-crl_lastupdate", Self.time(issued),
          "-crl_nextupdate", Self.time(next), "-out", path,
        ], in: folder.url)
    }
    return path
  }

  /// The identity's key, certificate and intermediates as a PKCS#12 file; its path.
  package func pkcs12(_ identity: Identity, passphrase: String) throws -> String {
    let path = folder.path("\(nextNumber()).p12")
    try OpenSSLCommand.require([
      "pkcs12", "-export", "-inkey", identity.keyPath, "-in", identity.chainPath, "-passout",
      "pass:\(passphrase)", "-out", path,
    ])
    return path
  }

  /// The identity's key as encrypted PEM PKCS#8; its path.
  package func encryptedKey(_ identity: Identity, passphrase: String) throws -> String {
    let path = folder.path("\(nextNumber()).key")
    try OpenSSLCommand.require([
      "pkcs8", "-topk8", "-in", identity.keyPath, "-passout", "pass:\(passphrase)", "-out", path,
    ])
    return path
  }
}
