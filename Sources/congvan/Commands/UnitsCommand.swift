import ArgumentParser
import ExchangeCore
import ExchangeNode

struct UnitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "units", abstract: "List the units of the directory.")

  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let assembly = try folder.assembly()
    let directory = try assembly.directory()
    let now = SystemClock().now
    // Without anchors the units can be listed all the same.
    let verifier = try? assembly.verifier(directory, assembly.trust())
    let units = directory.current.units.map { unit in
      (unit: unit, problems: unit.listed.map { problem(of: $0, verifier, at: now) })
    }
    if json {
      return Console.print(.array(units.map { json(of: $0.unit, $0.problems) }))
    }
    Console.table(
      ["MÃ", "TÊN", "CẤP TRÊN", "NHÓM", "CHỨNG THƯ"],
      units.map { unit, problems in
        [
          unit.id.rawValue, unit.name, unit.parent?.rawValue ?? "-",
          unit.groups.map { "@\($0)" }.joined(separator: " "), Self.text(of: problems),
        ]
      })
  }

  private func problem(
    of certificate: ListedCertificate, _ verifier: (any SignatureVerifier)?, at now: Timestamp
  ) -> CertificateProblem? {
    if let verifier { return verifier.problem(of: certificate, at: now) }
    return certificate.problem.map { CertificateProblem(.unreadable, $0) }
  }

  /// How many are usable, and why others are not: `1`, `0 (hết hạn)`, `1 (+2: hết hạn, bị thu hồi)`.
  static func text(of problems: [CertificateProblem?]) -> String {
    guard !problems.isEmpty else { return "không có" }
    let usable = problems.count { $0 == nil }
    guard usable < problems.count else { return "\(usable)" }
    let words = CertificateProblem.Kind.allCases
      .filter { kind in problems.contains { $0?.kind == kind } }.map(\.vietnamese)
      .joined(separator: ", ")
    return usable == 0 ? "0 (\(words))" : "\(usable) (+\(problems.count - usable): \(words))"
  }

  private func json(of unit: Directory.Unit, _ problems: [CertificateProblem?]) -> JSON {
    .object([
      "id": .string(unit.id.rawValue), "name": .string(unit.name),
      "aliases": .array(unit.aliases.map { .string($0.rawValue) }),
      "parent": .text(unit.parent?.rawValue), "successor": .text(unit.successor?.rawValue),
      "groups": .array(unit.groups.map(JSON.string)),
      "validFrom": .text(unit.validFrom?.rawValue), "validTo": .text(unit.validTo?.rawValue),
      "certificates": .array(unit.certificates.map { .string($0.hex) }),
      "certificateStates": .array(
        zip(unit.listed, problems).map { listed, problem in
          .object([
            "sha256": .text(listed.digest?.hex), "usable": .bool(problem == nil),
            "problem": .text(problem?.detail),
          ])
        }),
    ])
  }
}

extension CertificateProblem.Kind {
  fileprivate var vietnamese: String {
    switch self {
    case .unreadable: "không đọc được"
    case .notYetValid: "chưa có hiệu lực"
    case .expired: "hết hạn"
    case .revoked: "bị thu hồi"
    case .untrusted: "không tin cậy"
    case .outsideProfile: "sai quy cách"
    }
  }
}
