import DocumentSigning
import ExchangeCore
import Foundation

/// The directory file. Each id, alias and certificate in it must lead to exactly one unit: that is
/// what "whose signature is this" rests on.
enum DirectoryTarget {
  static func run(_ bytes: Data) {
    let directory: Directory
    do {
      directory = try Directory.decode(bytes, hashing: OpenSSLHashing())
    } catch {
      require(error is DirectoryError, "not a DirectoryError: \(error)")
      return
    }
    for unit in directory.units {
      for id in [unit.id] + unit.aliases {
        require(directory.unit(id) == unit, "“\(id)” leads to another unit")
        require(UnitID(id.rawValue) == id, "“\(id)” is not an id")
      }
      for certificate in unit.certificates {
        require(directory.owner(ofCertificate: certificate) == unit, "a certificate's other owner")
      }
      require(
        (try? TextRules.check(unit.name, field: "", maximum: Organ.maximumNameLength)) != nil,
        "the name “\(unit.name)” breaks the rules")
      for group in unit.groups {
        let members = try? directory.resolve(recipient: "@\(group)")
        require(members?.contains(unit) == true, "“\(unit.id)” is not in its group")
      }
    }
    require((try? Directory(units: directory.units)) == directory, "units make another directory")
  }
}
