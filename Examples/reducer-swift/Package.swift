// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "reducer-swift",
    products: [.library(name: "RegistrarReducer", targets: ["RegistrarReducer"])],
    targets: [
        .target(name: "RegistrarReducer", swiftSettings: [.treatAllWarnings(as: .error)]),
        .executableTarget(
            name: "reducer", dependencies: ["RegistrarReducer"], swiftSettings: [.treatAllWarnings(as: .error)]),
    ]
)
