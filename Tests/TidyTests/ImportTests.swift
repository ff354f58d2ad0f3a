import Testing

/// The dependency direction: executable -> adapters and gateways -> roles -> runtime -> vocabulary.
@Suite struct ImportTests {
    /// What comes with the toolchain. Any target may use it; `machinesDecideAndDoNothingElse` is stricter.
    private static let toolchain: Set<String> = [
        "Darwin", "Dispatch", "Foundation", "FoundationEssentials", "Glibc", "Synchronization",
    ]

    /// What each target may import of ours and of others. The roles are `SRActor`, `WSSubscrActor` and `Router`: they
    /// never import each other. `ClusterClients` and `Drills` look on
    /// from outside and so import no role.
    private static let allowed: [String: Set<String>] = [
        "MessagePack": ["CMsgpack"],
        "Digests": ["CNettle"],
        "RegistrarEvents": ["MessagePack"],
        "Filtering": ["RegistrarEvents"],
        "Conformance": ["RegistrarEvents"],
        "SIP": [],
        "WebSocketFrames": ["CZlib", "NIOCore", "NIOHTTP1", "NIOWebSocket"],
        "ClusterRuntime": [
            "Digests", "RegistrarEvents", "MessagePack", "Crypto", "CryptoExtras", "DequeModule", "Logging", "Yams",
        ],

        "SRActor": ["ClusterRuntime", "RegistrarEvents", "MessagePack", "DequeModule", "Logging"],
        "WSSubscrActor": ["ClusterRuntime", "Filtering", "RegistrarEvents", "DequeModule", "Logging"],
        "Router": ["ClusterRuntime", "RegistrarEvents", "Logging"],

        "Destinations": ["ClusterRuntime", "MessagePack", "RegistrarEvents", "DequeModule", "Logging"],
        "KafkaDestination": [
            "CRdKafka", "ClusterRuntime", "Destinations", "MessagePack", "RegistrarEvents", "DequeModule", "Logging",
        ],
        "NanomsgTransport": ["ClusterRuntime", "RegistrarEvents", "MessagePack", "CNanomsg", "Crypto", "Logging"],
        "EmbeddedCoordinator": ["Router", "ClusterRuntime", "RegistrarEvents", "MessagePack", "GRDB"],
        "EtcdCoordinator": [
            "ClusterRuntime", "RegistrarEvents", "AsyncHTTPClient", "Logging", "NIOCore", "NIOHTTP1", "NIOPosix",
            "NIOSSL",
        ],
        "PluginDestinations": [
            "ClusterRuntime", "Destinations", "RegistrarEvents", "MessagePack", "AsyncHTTPClient", "Crypto", "NIOCore",
            "NIOHTTP1", "NIOPosix",
        ],
        "SQLiteAccounts": ["ClusterRuntime", "Digests", "RegistrarEvents", "GRDB"],
        "AccessTokens": ["ClusterRuntime", "RegistrarEvents", "Crypto", "JWTKit"],
        "ServerTLS": ["ClusterRuntime", "Logging", "NIOSSL"],
        "WebSocketGateway": [
            "AccessTokens", "ServerTLS", "WSSubscrActor", "ClusterRuntime", "Filtering", "RegistrarEvents",
            "DequeModule", "Logging", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOSSL", "ServiceLifecycle",
            "WebSocketFrames",
        ],
        "SIPGateway": [
            "SIP", "ClusterRuntime", "Digests", "MessagePack", "RegistrarEvents", "Crypto", "DequeModule", "Logging",
            "NIOCore", "NIOHTTP1", "NIOPosix", "NIOSSL", "ServerTLS", "ServiceLifecycle", "WebSocketFrames",
        ],
        "AdminAPI": [
            "AccessTokens", "ClusterRuntime", "Filtering", "RegistrarEvents", "SIP", "HTTPTypes", "Hummingbird",
            "HummingbirdCore", "Logging", "NIOCore", "ServiceLifecycle",
        ],

        "ClusterSimulation": [
            "Destinations", "SRActor", "WSSubscrActor", "Router", "ClusterRuntime", "RegistrarEvents",
        ],
        "ClusterNode": [
            "AccessTokens", "AdminAPI", "Destinations", "KafkaDestination", "EmbeddedCoordinator", "EtcdCoordinator",
            "NanomsgTransport", "PluginDestinations",
            "SIPGateway",
            "WebSocketGateway", "SRActor", "WSSubscrActor", "Router", "SQLiteAccounts", "ClusterRuntime", "Digests",
            "RegistrarEvents", "DequeModule",
            "Logging", "ServiceLifecycle", "UnixSignals",
        ],
        "NodeProcesses": ["ClusterRuntime"],
        "ClusterClients": [
            "ClusterRuntime", "RegistrarEvents", "AsyncHTTPClient", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOSSL",
            "NIOWebSocket",
        ],
        "Drills": [
            "ClusterClients", "ClusterRuntime", "NodeProcesses", "RegistrarEvents", "Crypto", "DequeModule",
            "Histogram", "NIOCore", "NIOHTTP1", "NIOPosix", "Yams",
        ],
        "rollcall": [
            "AccessTokens", "ClusterClients", "ClusterNode", "ClusterSimulation", "Conformance", "Drills",
            "ClusterRuntime", "NodeProcesses", "RegistrarEvents",
            "ArgumentParser", "AsyncHTTPClient", "Logging", "NIOCore", "ServiceLifecycle",
        ],
    ]

    @Test func everyImportFollowsTheDependencyDirection() {
        var findings: [Finding] = []
        for file in Repository.sources {
            guard let allowed = Self.allowed[file.target] else {
                findings.append(Finding(file.path, 1, "target \(file.target) is missing in the table of imports"))
                continue
            }
            for (module, line) in file.imports where !allowed.contains(module) && !Self.toolchain.contains(module) {
                findings.append(Finding(file.path, line, "\(file.target) may not import \(module)"))
            }
        }
        expectNone(findings)
    }

    @Test func everyTargetOfTheTableExists() {
        let targets = Set(Repository.sources.map(\.target))
        let missing = Self.allowed.keys.filter { !targets.contains($0) }.sorted()
        #expect(missing.isEmpty, "no source file in \(missing)")
    }

    @Test func rolesNeverImportEachOther() {
        let roles: Set<String> = ["SRActor", "WSSubscrActor", "Router"]
        let findings = Repository.sources.filter { roles.contains($0.target) }.flatMap { file in
            file.imports.filter { roles.contains($0.module) && $0.module != file.target }
                .map { Finding(file.path, $0.line, "role \(file.target) imports role \($0.module)") }
        }
        expectNone(findings)
    }

    /// Files whose types are pure: given an event and a time they return what is to be done.
    private static let machines = [
        "Sources/SRActor/DomainMachine", "Sources/SRActor/Ownership", "Sources/SRActor/DomainPolicy",
        "Sources/Router/RouterMachine", "Sources/Router/Planner", "Sources/Router/Membership",
        "Sources/Router/CopyCatalogue", "Sources/Router/AssignmentBook", "Sources/Router/Ranking",
        "Sources/WSSubscrActor/Follower", "Sources/WSSubscrActor/RecentEvents", "Sources/WSSubscrActor/Audience",
        "Sources/WSSubscrActor/Subscription", "Sources/ClusterRuntime/Replication/",
        "Sources/ClusterRuntime/Membership/NodeAgent", "Sources/ClusterRuntime/Assignment/",
        "Sources/ClusterRuntime/Requests/RequestMachine", "Sources/ClusterRuntime/Ports/CoordinatorState",
        "Sources/NanomsgTransport/Session.swift", "Sources/SIPGateway/Registrar", "Sources/SIPGateway/DeviceProbe",
        "Sources/SIPGateway/TransactionTable", "Sources/SIPGateway/NonceBook", "Sources/SIPGateway/Watcher",
        "Sources/SIPGateway/WatchedAccount", "Sources/SIPGateway/WatchedContact",
        "Sources/SIPGateway/NotifyTransaction", "Sources/SIPGateway/RegistrationInfo",
        "Sources/EtcdCoordinator/EndpointTurns", "Sources/EtcdCoordinator/Ledger",
        "Sources/ClusterRuntime/Destinations/LogTail", "Sources/ClusterRuntime/Destinations/DestinationReplay",
        "Sources/Destinations/LaneMachine", "Sources/Destinations/LaneStream", "Sources/Destinations/LaneSettings",
    ]

    /// Shells of the machines that share a prefix with them.
    private static let shells: Set<String> = [
        "Sources/WSSubscrActor/FollowerActor.swift", "Sources/SIPGateway/WatcherActor.swift",
        "Sources/SIPGateway/WatcherTable.swift",
    ]

    @Test func machinesDecideAndDoNothingElse() {
        let files = Repository.sources.filter { file in
            Self.machines.contains { file.path.hasPrefix($0) } && !Self.shells.contains(file.path)
        }
        #expect(files.count >= 20, "the list of machines no longer fits the folders")
        let effects = [
            "await ", " async", "Task", "SystemClock", ".random", "Mutex", "Atomic<", "Logger", "Date(", "sleep(",
            "FileManager", "Thread", "DispatchQueue",
        ]
        var findings: [Finding] = []
        for file in files {
            for line in file.lines {
                // A choice by a seeded generator is the machine's own.
                let code = line.code.contains("using: &") ? line.code.replacing(".random", with: "") : line.code
                for effect in effects where code.contains(effect) {
                    findings.append(Finding(file.path, line.number, "a machine uses `\(effect)`"))
                }
            }
        }
        expectNone(findings)
    }
}
