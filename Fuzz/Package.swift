// swift-tools-version:6.2
import PackageDescription

/// Coverage for libFuzzer. Only a root package may have such flags.
let covered: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
    .unsafeFlags(["-sanitize=fuzzer", "-enable-testing"]),
]

extension Target {
    /// A link to sources that ship, so that they are built with coverage.
    /// - Parameter sources: those of them that read bytes and what they need; all when left out. The rest of the target
    ///   would bring packages that nothing here uses.
    static func fuzzed(_ name: String, _ dependencies: [Target.Dependency] = [], sources: [String]? = nil) -> Target {
        .target(name: name, dependencies: dependencies, sources: sources, swiftSettings: covered)
    }
}

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioWebSocket: Target.Dependency = .product(name: "NIOWebSocket", package: "swift-nio")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let jwt: Target.Dependency = .product(name: "JWTKit", package: "jwt-kit")

let package = Package(
    name: "rollcall-fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        .systemLibrary(name: "CMsgpack", pkgConfig: "msgpack", providers: [.apt(["libmsgpack-dev"])]),
        .systemLibrary(name: "CNanomsg", pkgConfig: "nanomsg", providers: [.apt(["libnanomsg-dev"])]),
        .systemLibrary(name: "CNettle", pkgConfig: "nettle", providers: [.apt(["nettle-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .fuzzed("MessagePack", ["CMsgpack"]),
        .fuzzed("Digests", ["CNettle"]),
        .fuzzed("RegistrarEvents", ["MessagePack"]),
        .fuzzed("Filtering", ["RegistrarEvents"]),
        .fuzzed("SIP"),
        .fuzzed("WebSocketFrames", ["CZlib", nio, nioHTTP1, nioWebSocket]),
        .fuzzed(
            "ClusterRuntime",
            ["Digests", "RegistrarEvents", "MessagePack", crypto, cryptoExtras, deque, logging, yams]),
        .fuzzed("SRActor", ["ClusterRuntime", "RegistrarEvents", "MessagePack", deque, logging]),
        .fuzzed("WSSubscrActor", ["ClusterRuntime", "Filtering", "RegistrarEvents", deque, logging]),
        .fuzzed(
            "NanomsgTransport",
            ["CNanomsg", "ClusterRuntime", "RegistrarEvents", "MessagePack", crypto, logging]),
        .fuzzed("AccessTokens", ["ClusterRuntime", "RegistrarEvents", crypto, jwt]),
        .fuzzed(
            "EtcdCoordinator", ["ClusterRuntime", "RegistrarEvents", asyncHTTPClient, nio, nioPosix, nioSSL],
            sources: ["EtcdFault.swift", "GatewayMessages.swift", "LineBuffer.swift", "Records.swift"]),
        .fuzzed(
            "WebSocketGateway",
            ["ClusterRuntime", "Filtering", "RegistrarEvents", "WSSubscrActor", "WebSocketFrames", nio],
            sources: ["ClientMessage.swift", "ReplyError.swift", "SubscriptionMatcher+Arguments.swift"]),
        .fuzzed(
            "ClusterClients", ["RegistrarEvents", nio],
            sources: [
                "JSONScanner.swift", "JSONValue+Messages.swift", "RegistrarNotification+Event.swift",
                "RegistrarNotification.swift",
            ]),
        .fuzzed("NodeProcesses", [], sources: ["ChildProcess.swift"]),
        .fuzzed(
            "Drills", ["ClusterRuntime", "NodeProcesses", "RegistrarEvents", nio, yams],
            sources: ["File", "Network/PrivateNetwork.swift", "Running/DrillFailure.swift"]),
        .fuzzed(
            "FuzzTargets",
            [
                "AccessTokens", "ClusterClients", "ClusterRuntime", "Drills", "EtcdCoordinator", "Filtering",
                "MessagePack", "NanomsgTransport", "RegistrarEvents", "SIP", "SRActor", "WSSubscrActor",
                "WebSocketFrames", "WebSocketGateway", crypto, nio,
            ]),
        .executableTarget(
            name: "Fuzz", dependencies: ["FuzzTargets"], swiftSettings: covered,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    ]
)
