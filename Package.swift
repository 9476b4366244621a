// swift-tools-version: 6.2
import PackageDescription

// One set of rules for every target: Swift 6 mode, the four upcoming features, no warnings.
let houseSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let database = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let lifecycle = Target.Dependency.product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")

let package = Package(
  name: "congvan",
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .systemLibrary(
      name: "CRabbitMQ", pkgConfig: "librabbitmq", providers: [.apt(["librabbitmq-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "ExchangeCore"),
    .target(name: "DocumentSigning", dependencies: ["ExchangeCore", "COpenSSL"]),
    .target(name: "NodeDatabase", dependencies: ["ExchangeCore", database]),
    .target(name: "ExchangeStore", dependencies: ["ExchangeCore", "NodeDatabase", database]),
    .target(
      name: "ExchangeNode",
      dependencies: [
        "ExchangeCore", "ExchangeStore", "NodeDatabase", lifecycle, logging,
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ]),
    .target(
      name: "UnitOffice", dependencies: ["ExchangeCore", "ExchangeStore", "NodeDatabase"]),
    .target(
      name: "NodeOperations",
      dependencies: ["ExchangeCore", "ExchangeStore", "ExchangeNode", logging]),
    .target(name: "AMQPTransport", dependencies: ["ExchangeCore", "CRabbitMQ"]),
    .executableTarget(
      name: "congvan",
      dependencies: [
        "ExchangeCore", "NodeDatabase", "ExchangeStore", "ExchangeNode", "UnitOffice",
        "NodeOperations", "AMQPTransport", "DocumentSigning",
        logging, "Yams",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    // What tests share. An ordinary target under Tests, so that Sources lists exactly what ships.
    .target(name: "ExchangeTestKit", dependencies: ["ExchangeCore"], path: "Tests/ExchangeTestKit"),
    .target(
      name: "NodeTestKit",
      dependencies: [
        "ExchangeNode", "UnitOffice", "ExchangeStore", "NodeDatabase", "ExchangeCore",
        "DocumentSigning", "ExchangeTestKit", database, logging,
      ],
      path: "Tests/NodeTestKit"),
    .testTarget(
      name: "ExchangeCoreTests", dependencies: ["ExchangeCore", "ExchangeTestKit"]),
    .testTarget(
      name: "AMQPTransportTests",
      dependencies: ["AMQPTransport", "CRabbitMQ", "ExchangeCore", "ExchangeTestKit"]),
    .testTarget(
      name: "DocumentSigningTests",
      dependencies: ["DocumentSigning", "ExchangeCore", "ExchangeTestKit"]),
    .testTarget(
      name: "ExchangeStoreTests",
      dependencies: [
        "ExchangeStore", "NodeDatabase", "ExchangeCore", "DocumentSigning", "ExchangeTestKit",
        database,
      ]),
    .testTarget(
      name: "ExchangeNodeTests",
      dependencies: [
        "ExchangeNode", "UnitOffice", "NodeOperations", "ExchangeStore", "NodeDatabase",
        "ExchangeCore", "DocumentSigning", "ExchangeTestKit", "NodeTestKit", database, logging,
      ]),
    // Reads the sources: the walls between the rooms, and the size of files and functions.
    .testTarget(
      name: "HouseTests",
      dependencies: ["ExchangeStore", "NodeDatabase", "ExchangeTestKit", database]),
    .testTarget(
      name: "SystemTests", dependencies: ["congvan", "ExchangeCore", "ExchangeTestKit"],
      exclude: ["Fixtures"]),
  ],
  swiftLanguageModes: [.v6]
)

// With CONGVAN_FUZZ set (deploy/fuzz) the package is the fuzz target and what it links, nothing else:
// no dependency is fetched, and an ordinary build does not know of the target.
if Context.environment["CONGVAN_FUZZ"] != nil {
  let rooms = [
    "CRabbitMQ", "COpenSSL", "ExchangeCore", "DocumentSigning", "AMQPTransport", "ExchangeTestKit",
  ]
  package.dependencies = []
  package.targets.removeAll { !rooms.contains($0.name) }
  package.targets.append(
    .executableTarget(
      name: "Fuzz", dependencies: rooms.map { .target(name: $0) }, path: "Tests/Fuzz",
      exclude: ["make-seeds.py", "json.dict"]))
}

for target in package.targets where target.type != .system {
  target.swiftSettings = houseSettings
}
