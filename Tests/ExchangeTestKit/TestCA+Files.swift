package import ExchangeCore
import Foundation
import Synchronization

extension TestCA {
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
