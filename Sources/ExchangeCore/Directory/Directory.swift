package import Foundation

/// Who exists, and with which certificates they sign: the list of units that the federation issues.
///
/// Here it is a JSON file that each node reads (schemas/directory.schema.json); its signed
/// distribution over the exchange will deliver the same value.
package struct Directory: Sendable, Hashable {
  package struct Unit: Sendable, Hashable {
    package let id: UnitID
    package let aliases: [UnitID]
    package let name: String
    package let parent: UnitID?
    package let successor: UnitID?
    package let validFrom: CalendarDate?
    package let validTo: CalendarDate?
    package let groups: [String]
    /// The entries of `certificates`, in the file's order; those too that cannot be read.
    package let listed: [ListedCertificate]
    /// Digests of the certificates (DER, SHA-256) the unit may sign with: those that can be read.
    package let certificates: [SHA256Digest]
    /// `quorum` (default) or `classic`: how the broker keeps the unit's queues.
    package let queueType: String

    /// Units begin, end and get successors; both dates are inclusive.
    package func isValid(on date: CalendarDate) -> Bool {
      (validFrom.map { $0 <= date } ?? true) && (validTo.map { date <= $0 } ?? true)
    }
  }

  package let units: [Unit]
  private let byID: [UnitID: Int]
  private let byCertificate: [SHA256Digest: Int]

  package static let maximumUnits = 200_000

  package init(units: [Unit]) throws(DirectoryError) {
    var byID: [UnitID: Int] = [:]
    for (index, unit) in units.enumerated() {
      for id in [unit.id] + unit.aliases {
        guard byID.updateValue(index, forKey: id) == nil else {
          throw DirectoryError(.duplicate, "directory: “\(id)” stands for two units")
        }
      }
    }
    var byCertificate: [SHA256Digest: Int] = [:]
    for (index, unit) in units.enumerated() {
      do {
        try TextRules.check(unit.name, field: "organName", maximum: Organ.maximumNameLength)
      } catch {
        throw DirectoryError(.malformed, "directory: unit “\(unit.id)”: \(error.reason)")
      }
      guard ["quorum", "classic"].contains(unit.queueType) else {
        throw DirectoryError(.malformed, "directory: unit “\(unit.id)”: queueType is unknown")
      }
      for certificate in unit.certificates {
        // Twice for the same unit means the same as once.
        guard let other = byCertificate.updateValue(index, forKey: certificate), other != index
        else { continue }
        throw DirectoryError(
          .duplicate,
          "directory: a certificate of “\(unit.id)” is also listed for “\(units[other].id)”",
          next: "Ask the federation whose certificate it is: SHA-256 \(certificate.hex).")
      }
    }
    self.units = units
    self.byID = byID
    self.byCertificate = byCertificate
  }

  /// Finds a unit by its id or one of its aliases.
  package func unit(_ id: UnitID) -> Unit? { byID[id].map { units[$0] } }

  /// The unit that signs with the certificate, or nil.
  package func owner(ofCertificate digest: SHA256Digest) -> Unit? {
    byCertificate[digest].map { units[$0] }
  }

  /// What `--to` names: a unit, an alias, or `@group`.
  package func resolve(recipient text: String) throws(DirectoryError) -> [Unit] {
    if text.hasPrefix("@") {
      let found = units.filter { $0.groups.contains(String(text.dropFirst())) }
      guard !found.isEmpty else { throw DirectoryError(.unknown, "to: no unit in group “\(text)”") }
      return found
    }
    guard let id = UnitID(text), let unit = unit(id) else {
      let near = units.map(\.id.rawValue).min { left, right in
        Spelling.distance(left, text) < Spelling.distance(right, text)
      }
      let proposal = near.map { " — did you mean “\($0)”?" } ?? ""
      throw DirectoryError(.unknown, "to: “\(text)” is not in the directory\(proposal)")
    }
    return [unit]
  }

  /// Reads the directory file. `file` names it in errors; `inspect` says what is wrong with the DER of
  /// a listed certificate, nil when it is one. A certificate that is not counts for nothing, and
  /// everything else in the directory does. Throws `DirectoryError`.
  package static func decode(
    _ bytes: Data, hashing: some ContentHashing, file: String = "directory",
    inspect: (Data) -> String? = { _ in nil }
  ) throws -> Directory {
    let wire = try DirectoryJSON(bytes, file: file).decode(Wire.self)
    guard wire.version == 1 else {
      throw DirectoryError(
        .malformed, "\(file): version \(wire.version), this node reads 1",
        next: "Update congvan: the federation issues directories of a newer version.")
    }
    guard wire.units.count <= maximumUnits else {
      throw DirectoryError(.malformed, "\(file): more than \(maximumUnits) units")
    }
    return try Directory(
      units: wire.units.map { unit in
        let listed = (unit.certificates ?? []).map {
          ListedCertificate($0, hashing: hashing, inspect: inspect)
        }
        return Unit(
          id: unit.organId, aliases: unit.aliases ?? [], name: unit.organName, parent: unit.parent,
          successor: unit.successor, validFrom: unit.validFrom, validTo: unit.validTo,
          groups: unit.groups ?? [], listed: listed, certificates: listed.compactMap(\.digest),
          queueType: unit.queueType ?? "quorum")
      })
  }

  private struct Wire: Decodable {
    struct Unit: Decodable {
      var organId: UnitID
      var organName: String
      var aliases: [UnitID]?
      var parent: UnitID?
      var successor: UnitID?
      var validFrom: CalendarDate?
      var validTo: CalendarDate?
      var groups: [String]?
      var queueType: String?
      var certificates: [String]?
    }
    var version: Int
    var units: [Unit]
  }
}

package typealias DirectoryError = Failure<DirectoryErrorCode>

package enum DirectoryErrorCode: String, FailureCode {
  case unknown = "UNIT-UNKNOWN"
  case ended = "UNIT-ENDED"
  case duplicate = "DIRECTORY-DUPLICATE"
  case malformed = "DIRECTORY-MALFORMED"

  package var hint: String {
    switch self {
    case .unknown: "See the units with: congvan units"
    case .ended: "Send to the unit's successor; see: congvan units"
    case .duplicate, .malformed:
      "Correct the file there, or ask the federation, which issues it, for a correct one."
    }
  }
}

/// How far two words are apart, for "did you mean".
package enum Spelling {
  /// Levenshtein distance in characters.
  package static func distance(_ left: String, _ right: String) -> Int {
    let target = Array(right)
    var row = Array(0...target.count)
    for (index, character) in left.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for (column, other) in target.enumerated() {
        let next = min(
          row[column] + 1, row[column + 1] + 1, diagonal + (character == other ? 0 : 1))
        diagonal = row[column + 1]
        row[column + 1] = next
      }
    }
    return row[target.count]
  }
}
