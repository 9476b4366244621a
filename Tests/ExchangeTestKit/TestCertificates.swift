import ExchangeCore
import Foundation

/// A throw-away certificate authority for the TLS of a test broker, made with the openssl command.
package struct TestCertificates: Sendable {
  /// Holds all files; removed with the broker.
  package let folder: String
  private let name: String

  /// The authority's certificate, PEM.
  package var caFile: String { "\(folder)/\(name).pem" }

  /// Creates the authority in `folder`, which must exist.
  package init(folder: String, name: String = "ca") throws {
    self.folder = folder
    self.name = name
    try Self.request(folder, name, ["-subj", "/CN=test \(name)"])
  }

  /// Certificate and key for `commonName`, with `dnsName` in the subjectAltName if given.
  package func issue(_ commonName: String, dnsName: String? = nil) throws
    -> (certificateFile: String, keyFile: String)
  {
    var options = [
      "-subj", "/CN=\(commonName)", "-CA", caFile, "-CAkey", "\(folder)/\(name).key",
      "-addext", "basicConstraints=critical,CA:FALSE",
    ]
    if let dnsName { options += ["-addext", "subjectAltName=DNS:\(dnsName)"] }
    let file = "\(name)-\(commonName)"
    try Self.request(folder, file, options)
    return ("\(folder)/\(file).pem", "\(folder)/\(file).key")
  }

  private static func request(_ folder: String, _ file: String, _ options: [String]) throws {
    try Command.run(
      [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-keyout", "\(folder)/\(file).key", "-out", "\(folder)/\(file).pem",
      ] + options)
  }
}
