import ArgumentParser
import DocumentSigning
import ExchangeCore
import Foundation
import UnitOffice

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Verify an exported document offline: signatures, chain, every attachment and status."
  )

  @Argument(help: "The exported folder or its manifest.p7m.") var file: String
  @Option(help: "CA certificates (PEM, DER or PKCS#7). Default: trust.anchorsFile of the node.")
  var ca: String?
  @Option(help: "Revocation lists (PEM or DER). Default with no --ca: trust.crlFile of the node.")
  var crl: String?
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let trust: TrustStore
    if let ca {
      trust = try TrustStore.load(anchors: ca, revocationLists: crl)
    } else {
      trust = try nodesTrust()
    }
    let verifier = OfflineVerifier(trust: trust)
    let report = try ExportFolder.verify(path: file, hashing: OpenSSLHashing()) { message in
      verifier.inspect(message, arrivedAt: SystemClock().now).verdict
    }
    if json {
      Console.print(
        .object([
          "valid": .bool(report.isIntact),
          "documentId": .string(report.manifest.documentID.rawValue),
          "from": .string(report.manifest.from.organId.rawValue),
          "signers": .array(report.signers.map(\.json)),
          "attachments": .array(
            report.attachments.map {
              .object(["name": .string($0.name), "problem": .text($0.problem)])
            }),
          "statuses": .array(report.statuses.map(\.json)),
        ]))
    } else {
      let manifest = report.manifest
      Console.print(
        "manifest: valid — \(manifest.typeName) \(manifest.number) of \(manifest.from.organId)")
      for signer in report.signers {
        Console.print(
          "signed by \(signer.subject) at \(signer.signingTime?.shown ?? "?"), "
            + "certificate for \(signer.profile ?? "?")")
      }
      for attachment in report.attachments {
        Console.print("attachment “\(attachment.name)”: \(attachment.problem ?? "intact")")
      }
      for status in report.statuses { Console.print(status.line) }
    }
    guard report.isIntact else {
      throw OfficeError(
        .verifyFailed, report.problems.joined(separator: "; "), next: report.next)
    }
  }

  /// Anchors and lists of the node; without a node the way out is `--ca`.
  private func nodesTrust() throws -> TrustStore {
    do {
      return try folder.assembly().trust(revocationLists: crl)
    } catch let error as ConfigError where [.noFolder, .missing].contains(error.kind) {
      throw ConfigError(
        error.kind, error.reason,
        next: "Name the CA certificates with --ca FILE, or a node's folder with --dir.")
    }
  }
}

extension SignerIdentity {
  fileprivate var json: JSON {
    .object([
      "subject": .string(subject), "certificate": .string(certificate.hex),
      "signingTime": .time(signingTime), "profile": .text(profile),
    ])
  }
}

extension ExportFolder.SignedFile {
  fileprivate var json: JSON {
    .object([
      "file": .string(file), "problem": .text(problem), "code": .text(statement?.code.rawValue),
      "refusesOtherCopy": .bool(refusesOtherCopy),
      "from": .text(statement?.from.organId.rawValue), "to": .text(statement?.to.rawValue),
      "at": .time(statement?.timestamp), "reasonCode": .text(statement?.reasonCode),
      "description": .text(statement?.note), "signers": .array(signers.map(\.json)),
    ])
  }

  fileprivate var line: Line {
    guard let statement else { return "status “\(file)”: \(problem ?? "?")" }
    let code = [statement.code.rawValue, statement.code.vietnamese].compactMap { $0 }
    let verdict = refusesOtherCopy ? "valid, refuses another copy than this one" : "valid"
    let by = signers.map { ", signed by \($0.subject)" }.joined()
    return "status \(code.joined(separator: " ")) of \(statement.from.organId) at "
      + "\(statement.timestamp.shown): \(problem ?? verdict)\(by)"
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
          signingTime: signer.signingTime, profile: signer.profile)
      })
  }
}
