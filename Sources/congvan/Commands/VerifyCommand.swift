import ArgumentParser
import DocumentSigning
import ExchangeCore
import ExchangeNode
import Foundation

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Verify an exported document offline: signature, chain, every attachment.")

  @Argument(help: "The exported folder or its manifest.p7m.") var file: String
  @Option(help: "CA certificates (PEM). Default: trust.anchorsFile of the node.") var ca: String?
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let anchors: String
    if let ca {
      anchors = ca
    } else {
      anchors = try folder.assembly().settings.path("trust.anchorsFile") ?? ""
    }
    let verifier = OfflineVerifier(trust: try TrustStore.load(anchors: anchors))
    let report = try ExportFolder.verify(path: file, hashing: OpenSSLHashing()) { message in
      verifier.inspect(message, arrivedAt: SystemClock().now).verdict
    }
    if json {
      try Console.print(
        .object([
          "valid": .bool(report.isIntact),
          "documentId": .string(report.manifest.documentID.rawValue),
          "from": .string(report.manifest.from.organId.rawValue),
          "signers": .array(
            report.signers.map { signer in
              .object([
                "subject": .string(signer.subject), "certificate": .string(signer.certificate.hex),
                "signingTime": .time(signer.signingTime),
              ])
            }),
          "attachments": .array(
            report.attachments.map {
              .object(["name": .string($0.name), "problem": .text($0.problem)])
            }),
        ]))
    } else {
      let manifest = report.manifest
      Console.print(
        "manifest: valid — \(manifest.typeName) \(manifest.number) of \(manifest.from.organId)")
      for signer in report.signers {
        Console.print("signed by \(signer.subject) at \(signer.signingTime?.shown ?? "?")")
      }
      for attachment in report.attachments {
        Console.print("attachment “\(attachment.name)”: \(attachment.problem ?? "intact")")
      }
    }
    guard report.isIntact else {
      let bad = report.attachments.compactMap { item in
        item.problem.map { "attachment “\(item.name)” \($0)" }
      }
      throw NodeError(.verifyFailed, bad.joined(separator: "; "))
    }
  }
}

extension Inspection {
  fileprivate var verdict: Verdict {
    if let problem { return .invalid(problem, detail: detail ?? "", content: content) }
    return .valid(
      content: content ?? Data(),
      signers: signers.map { signer in
        SignerIdentity(
          subject: signer.certificate.subject, certificate: signer.certificate.sha256,
          signingTime: signer.signingTime)
      })
  }
}
