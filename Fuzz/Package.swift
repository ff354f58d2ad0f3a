// swift-tools-version:6.2
import PackageDescription

/// Coverage for libFuzzer. Only a root package may have such flags.
let fuzzed: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
    .unsafeFlags(["-sanitize=fuzzer"]),
]

let package = Package(
    name: "rollcall-fuzz",
    targets: [
        // A link to the sources that ship, so that they are built with coverage and without the rest of the package.
        .target(name: "SIP", swiftSettings: fuzzed),
        .executableTarget(
            name: "FuzzSIP", dependencies: ["SIP"], swiftSettings: fuzzed,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    ]
)
