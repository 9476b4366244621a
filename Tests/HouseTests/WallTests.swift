import ExchangeStore
import ExchangeTestKit
import Foundation
import GRDB
import NodeDatabase
import Testing

/// The walls of the house, as ARCHITECTURE.md draws them, read from the sources themselves.
@Suite struct WallTests {
  // MARK: Imports

  @Test func everyRoomIsKnownAndImportsOnlyWhatItMay() throws {
    #expect(try Rooms.folders(in: "Sources").subtracting(Rooms.allowed.keys) == [], "unknown rooms")
    let files = try Rooms.sources.get()
    #expect(files.count > 150)
    for file in files {
      let allowed = Rooms.allowed[file.room, default: []].union(Rooms.free)
      let tooMuch = file.swift.imports.subtracting(allowed)
      #expect(tooMuch == [], "\(file.path) is in \(file.room) and imports \(tooMuch.sorted())")
    }
  }

  /// The table itself: no circle, SQLite for three rooms only, and no store sees another.
  @Test func theTableOfRoomsKeepsTheRules() {
    var left = Rooms.allowed
    while let lowest = left.first(where: { $0.value.isDisjoint(with: left.keys) }) {
      left[lowest.key] = nil
    }
    #expect(left.isEmpty, "these import each other: \(left.keys.sorted())")
    #expect(Set(Rooms.allowed.filter { $0.value.contains("GRDB") }.keys) == Rooms.withSQL)
    #expect(Rooms.allowed["RecordsStore"]?.contains("ExchangeStore") == false)
    #expect(Rooms.allowed["ExchangeStore"]?.contains("RecordsStore") == false)
    #expect(Rooms.allowed["ExchangeNode"]?.contains("RecordsStore") == false)
  }

  /// Each target lists what it imports, nothing more.
  @Test func thePackageListsExactlyWhatIsImported() throws {
    let manifest = ManifestText(
      try String(contentsOf: Rooms.root.appending(path: "Package.swift"), encoding: .utf8))
    let system = Rooms.free.union(["Dispatch", "Testing"])
    // Built beside the tests that run it.
    let unimported = ["SystemTests": Set(["congvan"])]
    let files = try Rooms.sources.get() + Rooms.files(in: "Tests").filter { $0.room != "Fuzz" }
    let rooms = Dictionary(grouping: files, by: \.room)
    #expect(Set(rooms.keys) == Set(manifest.dependencies.keys))
    for (room, files) in rooms {
      let imported = files.reduce(into: Set()) { $0.formUnion($1.swift.imports) }
      let listed = manifest.dependencies[room, default: []].subtracting(unimported[room] ?? [])
      #expect(imported.subtracting(system) == listed, "Package.swift, target \(room)")
    }
  }

  // MARK: SQL

  /// The exchange's tables, from the schema of a new database. NodeDatabase owns `act` and `actText`.
  private func exchangeTables() throws -> Set<String> {
    let folder = try TemporaryFolder()
    let file = try DatabaseFile(
      folder: folder.url.path, migrations: ExchangeMigrations.all, create: true)
    let names = try file.read {
      try String.fetchAll(
        $0,
        sql: """
          SELECT name FROM sqlite_schema
          WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'grdb_%'
          """)
    }
    return Set(names).subtracting(["act", "actText"])
  }

  /// The walls of SQL that `files` break. `tables` are the exchange's.
  private func breaches(_ files: [Rooms.File], _ tables: Set<String>) -> [String] {
    let known = Set(tables.map { $0.lowercased() })
    return files.filter { $0.room != "ExchangeStore" }.flatMap { file in
      file.swift.literals.flatMap { literal in
        // In prose, "from" and "into" are no keywords: elsewhere than in a store they count in capitals.
        SQLText(literal.text, anyCase: file.room == "RecordsStore").mentions.compactMap { mention in
          let name = mention.table?.lowercased()
          let isBreach =
            switch file.room {
            case "NodeDatabase": !["act", "acttext", "sqlite_schema"].contains(name)
            case "RecordsStore": name.map(known.contains) ?? true
            default: name.map(known.contains) ?? false
            }
          guard isBreach else { return nil }
          return "\(file.path):\(literal.line): \(mention.keyword) \(mention.table ?? "…")"
        }
      }
    }
  }

  @Test func noOtherRoomNamesATableOfTheExchange() throws {
    let tables = try exchangeTables()
    #expect(tables.isSuperset(of: ["document", "delivery", "received", "status", "notice"]))
    #expect(tables.count > 20)
    #expect(breaches(try Rooms.sources.get(), tables) == [])
    // The same scanner finds them where they are.
    let own = try Rooms.sources.get().filter { $0.room == "ExchangeStore" }.map {
      Rooms.File(room: "congvan", path: $0.path, swift: $0.swift)
    }
    #expect(breaches(own, tables).count > 100)
  }

  /// The records' store does not exist yet, so the scanner is tried on what could stand there.
  @Test(arguments: [
    #"try run("SELECT 1 FROM delivery")"#,
    #"try run("select 1 from delivery")"#,
    #"try run("SELECT 1 FROM entry, delivery d WHERE 1")"#,
    #"try run("SELECT 1 FROM entry AS e, main.\"delivery\"")"#,
    #"try run("SELECT 1 FROM entry LEFT JOIN delivery USING (key)")"#,
    #"try run("INSERT OR IGNORE INTO delivery (key) VALUES (1)")"#,
    #"try run("UPDATE OR FAIL delivery SET key = 1")"#,
    #"try run("DELETE FROM [delivery]")"#,
    #"try run("ALTER TABLE delivery ADD COLUMN entry")"#,
    #"try run("CREATE TRIGGER t AFTER UPDATE OF a, b ON delivery BEGIN SELECT 1; END")"#,
    ##"try run(#"SELECT 1 FROM `delivery`"#)"##,
    "try run(\n  \"\"\"\n  SELECT 1 -- of the exchange\n  FROM\n    delivery\n  \"\"\")",
    #"log("\(try run("DELETE FROM delivery"))")"#,
    #"try run("SELECT 1 FROM \(table)")"#,
    #"try run("SELECT 1 FROM " + table)"#,
  ])
  func theScannerSees(_ text: String) throws {
    let file = Rooms.File(room: "RecordsStore", path: "x.swift", swift: SwiftText(text))
    #expect(breaches([file], try exchangeTables()).count == 1)
  }

  @Test(arguments: [
    "/// Taken from delivery.\n// FROM delivery\n/* FROM /* FROM */ delivery */",
    "func take(from delivery: Delivery) {}",
    #"try run("SELECT 1 FROM acceptedDocument JOIN documentFile USING (key)")"#,
    #"try run("SELECT ' FROM delivery' FROM entry -- FROM delivery")"#,
    #"try run("SELECT delivery FROM entry WHERE a IS DISTINCT FROM delivery")"#,
    #"try run("INSERT INTO entry (delivery) VALUES (1) ON CONFLICT DO UPDATE SET delivery = 2")"#,
    #"try run("SELECT 1 FROM json_each(?) JOIN (SELECT 1 FROM entry)")"#,
  ])
  func theScannerAllows(_ text: String) throws {
    let file = Rooms.File(room: "RecordsStore", path: "x.swift", swift: SwiftText(text))
    #expect(breaches([file], try exchangeTables()) == [])
  }

  @Test func nodeDatabaseNamesOnlyItsOwn() throws {
    let tables = try exchangeTables()
    func file(_ sql: String) -> [Rooms.File] {
      [Rooms.File(room: "NodeDatabase", path: "x.swift", swift: SwiftText("run(\"\(sql)\")"))]
    }
    #expect(breaches(file("INSERT INTO act (key) VALUES (1)"), tables) == [])
    #expect(breaches(file("SELECT 1 FROM entry"), tables).count == 1)
    #expect(breaches(file("SELECT 1 FROM delivery"), tables).count == 1)
  }

  // MARK: Size

  /// Functions of more than 60 lines that read better in one piece, and why.
  private static let longFunctions: [String: String] = [
    "Settings.swift: template": "the text of congvan.yaml",
    "InitCommand.swift: run": "to go",
    "ShowCommand.swift: run": "to go",
    "MessageReview.swift: reviewDocument": "to go",
    "ExchangeReader.swift: deliveries": "to go",
    "Deciding.swift: apply": "to go",
    "Tallies.swift: settle": "to go",
  ]

  /// Files of more than 500 lines.
  private static let longFiles: [String: String] = [
    "MessageReview.swift": "to go"
  ]

  @Test func filesAndFunctionsStayShort() throws {
    var (functions, files, count) = (Set<String>(), Set<String>(), 0)
    for file in try Rooms.sources.get() {
      if file.swift.code.count - 1 > 500 { files.insert(file.name) }
      let all = file.swift.functions
      count += all.count
      for function in all where function.length > 60 {
        functions.insert("\(file.name): \(function.name)")
      }
    }
    #expect(count > 1500, "the scanner finds functions")
    // Both ways: an exception that is not needed any more goes.
    #expect(functions == Set(Self.longFunctions.keys))
    #expect(files == Set(Self.longFiles.keys))
  }

  @Test func theLengthOfAFunctionIsCounted() {
    let text = SwiftText(
      """
      struct A {
        let table = [
          1
        ]
        var short: Int { 1 }
        var long: Int {
          1
        }
        package init<T>(
          a: T
        ) where T: Equatable {
          let text = \"\"\"
            func inText() {
            }
            \"\"\"
        }
        private static func f(_ body: () -> Void)
          -> Int
        {
          body()
        }
      }
      protocol B {
        func none()
        func other() -> Int
      }
      """)
    #expect(
      text.functions.map { "\($0.line) \($0.name) \($0.length)" } == [
        "5 short 1", "6 long 3", "9 init 8", "17 f 5",
      ])
  }

  @Test func importsAreRead() {
    let text = SwiftText(
      """
      // import A
      package import B
      @testable import C
      #if canImport(Glibc)
        import Glibc
      #endif
      import struct D.E
      let x = "import F"
      """)
    #expect(text.imports == ["B", "C", "Glibc", "D"])
  }
}
