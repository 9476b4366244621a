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
    let verifier = try CMSVerifier(anchorsFile: anchors)
    let report = try ExportFolder.verify(path: file, hashing: OpenSSLHashing()) { message in
      verifier.verifyOffline(message, at: SystemClock().now)
    }
    if json {
      try Console.print(
        .object([
          "valid": .bool(report.isIntact), "documentId": .string(report.manifest.documentID.rawValue),
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
