import ArgumentParser
import ExchangeCore
import ExchangeNode

struct UnitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "units", abstract: "List the units of the directory.")

  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var folder: NodeFolder

  func run() throws {
    let units = try folder.assembly().directory().current.units
    if json {
      return try Console.print(
        .array(
          units.map { unit in
            .object([
              "id": .string(unit.id.rawValue), "name": .string(unit.name),
              "aliases": .array(unit.aliases.map { .string($0.rawValue) }),
              "parent": .text(unit.parent?.rawValue), "successor": .text(unit.successor?.rawValue),
              "groups": .array(unit.groups.map(JSON.string)),
              "validFrom": .text(unit.validFrom?.rawValue),
              "validTo": .text(unit.validTo?.rawValue),
              "certificates": .array(unit.certificates.map { .string($0.hex) }),
            ])
          }))
    }
    Console.table(
      ["MÃ", "TÊN", "CẤP TRÊN", "NHÓM", "CHỨNG THƯ"],
      units.map { unit in
        [
          unit.id.rawValue, unit.name, unit.parent?.rawValue ?? "-",
          unit.groups.map { "@\($0)" }.joined(separator: " "), "\(unit.certificates.count)",
        ]
      })
  }
}
