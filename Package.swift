// swift-tools-version:6.2
import PackageDescription

/// One set of rules for every Swift target: the strictest the language has, and no warning is left standing.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

extension Target {
    static func rollcall(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
        .target(name: name, dependencies: dependencies, swiftSettings: strict)
    }

    static func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
        .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
    }
}

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let crypto = product(name: "Crypto", package: "swift-crypto")
    static let cryptoExtras = product(name: "CryptoExtras", package: "swift-crypto")
    static let deque = product(name: "DequeModule", package: "swift-collections")
    static let grdb = product(name: "GRDB", package: "GRDB.swift")
    static let histogram = product(name: "Histogram", package: "hdrhistogram-swift")
    static let httpTypes = product(name: "HTTPTypes", package: "swift-http-types")
    static let hummingbird = product(name: "Hummingbird", package: "hummingbird")
    static let hummingbirdCore = product(name: "HummingbirdCore", package: "hummingbird")
    static let jwt = product(name: "JWTKit", package: "jwt-kit")
    static let logging = product(name: "Logging", package: "swift-log")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioEmbedded = product(name: "NIOEmbedded", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let nioWebSocket = product(name: "NIOWebSocket", package: "swift-nio")
    static let serviceLifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
    static let yams = product(name: "Yams", package: "Yams")
}

let package = Package(
    name: "rollcall",
    products: [
        .executable(name: "rollcall", targets: ["rollcall"]),
        .library(
            name: "RollcallLibraries",
            targets: [
                "MessagePack", "RegistrarEvents", "ClusterRuntime", "SRActor", "NanomsgTransport", "Destinations",
                "ClusterNode",
            ]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        // C libraries from Debian's packages.
        .systemLibrary(name: "CMsgpack", pkgConfig: "msgpack", providers: [.apt(["libmsgpack-dev"])]),
        .systemLibrary(name: "CNanomsg", pkgConfig: "nanomsg", providers: [.apt(["libnanomsg-dev"])]),
        .systemLibrary(name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(name: "CNettle", pkgConfig: "nettle", providers: [.apt(["nettle-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // The vocabulary and the shared runtime.
        .rollcall("MessagePack", ["CMsgpack"]),
        .rollcall("Digests", ["CNettle"]),
        .rollcall("RegistrarEvents", ["MessagePack"]),
        .rollcall("Filtering", ["RegistrarEvents"]),
        .rollcall("Conformance", ["RegistrarEvents"]),
        .rollcall("SIP"),
        .rollcall("WebSocketFrames", ["CZlib", .nioCore, .nioHTTP1, .nioWebSocket]),
        .rollcall(
            "ClusterRuntime",
            ["Digests", "RegistrarEvents", "MessagePack", .crypto, .cryptoExtras, .deque, .logging, .yams]),

        // The roles. They never import each other.
        .rollcall("SRActor", ["ClusterRuntime", "RegistrarEvents", "MessagePack", .deque, .logging]),
        .rollcall("WSSubscrActor", ["ClusterRuntime", "Filtering", "RegistrarEvents", .deque, .logging]),
        .rollcall("Router", ["ClusterRuntime", "RegistrarEvents", .logging]),

        // Adapters and gateways.
        .rollcall("Destinations", ["ClusterRuntime", "MessagePack", "RegistrarEvents", .deque, .logging]),
        .rollcall(
            "KafkaDestination",
            [
                "CRdKafka", "ClusterRuntime", "Destinations", "MessagePack", "RegistrarEvents", .deque, .logging,
            ]),
        .rollcall(
            "NanomsgTransport",
            ["CNanomsg", "ClusterRuntime", "RegistrarEvents", "MessagePack", .crypto, .logging]),
        .rollcall("EmbeddedCoordinator", ["ClusterRuntime", "RegistrarEvents", "MessagePack", "Router", .grdb]),
        .rollcall(
            "EtcdCoordinator",
            [
                "ClusterRuntime", "RegistrarEvents", .asyncHTTPClient, .logging, .nioCore, .nioHTTP1, .nioPosix,
                .nioSSL,
            ]),
        .rollcall(
            "PluginDestinations",
            [
                "ClusterRuntime", "Destinations", "MessagePack", "RegistrarEvents", .asyncHTTPClient, .crypto, .nioCore,
                .nioHTTP1, .nioPosix,
            ]),
        .rollcall("SQLiteAccounts", ["ClusterRuntime", "Digests", "RegistrarEvents", .grdb]),
        .rollcall("ServerTLS", ["ClusterRuntime", .logging, .nioSSL]),
        .rollcall(
            "WebSocketGateway",
            [
                "AccessTokens", "ClusterRuntime", "Filtering", "RegistrarEvents", "ServerTLS", "WSSubscrActor",
                "WebSocketFrames", .deque, .logging, .nioCore, .nioHTTP1, .nioPosix, .nioSSL, .serviceLifecycle,
            ]),
        .rollcall(
            "SIPGateway",
            [
                "ClusterRuntime", "Digests", "MessagePack", "RegistrarEvents", "SIP", "ServerTLS", "WebSocketFrames",
                .crypto, .deque, .logging, .nioCore, .nioHTTP1, .nioPosix, .nioSSL, .serviceLifecycle,
            ]),
        .rollcall("AccessTokens", ["ClusterRuntime", "RegistrarEvents", .crypto, .jwt]),
        .rollcall(
            "AdminAPI",
            [
                "AccessTokens", "ClusterRuntime", "Filtering", "RegistrarEvents", "SIP", .httpTypes, .hummingbird,
                .hummingbirdCore, .logging, .nioCore, .serviceLifecycle,
            ]),

        // What stands on all of it.
        .rollcall(
            "ClusterSimulation",
            ["ClusterRuntime", "Destinations", "RegistrarEvents", "Router", "SRActor", "WSSubscrActor"]),
        .rollcall(
            "ClusterNode",
            [
                "AccessTokens", "AdminAPI", "ClusterRuntime", "Destinations", "Digests", "EmbeddedCoordinator",
                "EtcdCoordinator", "KafkaDestination", "PluginDestinations",
                "NanomsgTransport", "RegistrarEvents", "Router", "SIPGateway", "SQLiteAccounts", "SRActor",
                "WSSubscrActor",
                "WebSocketGateway", .deque,
                .logging, .serviceLifecycle, .unixSignals,
            ]),

        // What looks on from outside.
        .rollcall("NodeProcesses", ["ClusterRuntime"]),
        .rollcall(
            "ClusterClients",
            [
                "ClusterRuntime", "RegistrarEvents", .asyncHTTPClient, .nioCore, .nioHTTP1, .nioPosix, .nioSSL,
                .nioWebSocket,
            ]),
        .rollcall(
            "Drills",
            [
                "ClusterClients", "ClusterRuntime", "NodeProcesses", "RegistrarEvents", .crypto, .deque, .histogram,
                .nioCore, .nioHTTP1, .nioPosix, .yams,
            ]),
        .executableTarget(
            name: "rollcall",
            dependencies: [
                "AccessTokens", "ClusterClients", "ClusterNode", "ClusterRuntime", "ClusterSimulation", "Conformance",
                "Drills", "NodeProcesses", "RegistrarEvents", .argumentParser, .asyncHTTPClient, .logging, .nioCore,
                .serviceLifecycle,
            ],
            swiftSettings: strict),

        // Tests.
        .target(
            name: "EtcdFixture", dependencies: ["NodeProcesses"], path: "Tests/EtcdFixture", swiftSettings: strict),
        .target(
            name: "AnswerFixture", dependencies: [.nioCore, .nioPosix], path: "Tests/AnswerFixture",
            swiftSettings: strict),
        .tests("MessagePackTests", ["MessagePack"]),
        .tests("DigestsTests", ["Digests"]),
        .tests("RegistrarEventsTests", ["RegistrarEvents", "MessagePack"]),
        .tests("ConformanceTests", ["Conformance", "RegistrarEvents"]),
        .tests("FilteringTests", ["Filtering", "ClusterRuntime", "RegistrarEvents"]),
        .tests("SIPTests", ["SIP"], exclude: ["Vectors"]),
        .tests(
            "ClusterRuntimeTests", ["ClusterRuntime", "Digests", "SQLiteAccounts", "RegistrarEvents", "MessagePack"]),
        .tests("SRActorTests", ["SRActor", "ClusterRuntime", "RegistrarEvents", .logging], exclude: ["Scenarios"]),
        .tests("DestinationsTests", ["Destinations", "ClusterRuntime", "RegistrarEvents", .logging]),
        .tests(
            "KafkaDestinationTests",
            ["KafkaDestination", "CRdKafka", "Destinations", "ClusterRuntime", "RegistrarEvents", .logging]),
        .tests("WSSubscrActorTests", ["WSSubscrActor", "ClusterRuntime", "Filtering", "RegistrarEvents", .logging]),
        .tests(
            "RouterTests",
            [
                "AnswerFixture", "Router", "EmbeddedCoordinator", "EtcdCoordinator", "EtcdFixture", "ClusterRuntime",
                "MessagePack", "NodeProcesses", "RegistrarEvents", .logging, .nioCore,
            ]),
        .tests(
            "NanomsgTransportTests",
            ["NanomsgTransport", "CNanomsg", "ClusterRuntime", "RegistrarEvents", "MessagePack", .crypto, .logging]),
        .tests(
            "WebSocketGatewayTests",
            [
                "WebSocketGateway", "WebSocketFrames", "WSSubscrActor", "AccessTokens", "ClusterRuntime",
                "RegistrarEvents", .logging, .nioCore, .nioHTTP1, .nioPosix, .nioWebSocket, .yams,
            ]),
        .tests(
            "SIPGatewayTests",
            [
                "SIPGateway", "SIP", "SQLiteAccounts", "SRActor", "ClusterRuntime", "Digests", "RegistrarEvents",
                .crypto, .grdb, .logging, .nioCore, .nioEmbedded, .nioPosix, .nioSSL,
            ]),
        .tests("WebSocketFramesTests", ["WebSocketFrames", .nioCore, .nioHTTP1]),
        .tests(
            "PluginDestinationsTests",
            [
                "PluginDestinations", "ClusterRuntime", "CNanomsg", "Destinations", "MessagePack", "RegistrarEvents",
                .crypto, .logging, .nioCore, .nioHTTP1, .nioPosix,
            ]),
        .tests("ServerTLSTests", ["ServerTLS", "ClusterRuntime", .logging, .nioSSL]),
        .tests("AccessTokensTests", ["AccessTokens", "ClusterRuntime", "RegistrarEvents", .crypto, .jwt]),
        .tests(
            "AdminAPITests",
            [
                "AdminAPI", "AccessTokens", "ClusterRuntime", "RegistrarEvents", .asyncHTTPClient, .logging, .nioCore,
                .nioHTTP1, .nioPosix, .yams,
            ]),
        .tests(
            "ClusterSimulationTests",
            ["ClusterSimulation", "ClusterRuntime", "MessagePack", "RegistrarEvents"]),
        .tests("ClusterNodeTests", ["ClusterNode", "ClusterRuntime", "RegistrarEvents", .deque, .logging]),
        .tests(
            "ClusterTests",
            [
                "AnswerFixture", "ClusterClients", "ClusterNode", "ClusterRuntime", "Drills", "EtcdFixture",
                "NodeProcesses", "RegistrarEvents", .nioCore, .nioHTTP1,
            ]),
        .tests(
            "FuzzTests",
            [
                "AccessTokens", "ClusterClients", "ClusterRuntime", "Drills", "EtcdCoordinator", "Filtering",
                "MessagePack", "NanomsgTransport", "RegistrarEvents", "SIP", "SRActor", "WSSubscrActor",
                "WebSocketFrames", "WebSocketGateway", .crypto, .nioCore,
            ], exclude: ["Corpus"]),
        .tests("TidyTests", []),
    ]
)
