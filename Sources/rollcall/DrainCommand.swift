import ArgumentParser
import ClusterClients
import ClusterRuntime

/// How long a verb that moves something waits for it.
struct TimeoutOption: ParsableArguments {
    @Option(name: .customLong("timeout"), help: "Seconds to wait for it; it goes on afterwards.")
    var seconds = 120

    var duration: Duration { .seconds(seconds) }

    func validate() throws {
        guard (1...86_400).contains(seconds) else {
            throw ValidationError("--timeout is \(seconds); expected 1 to 86400 seconds")
        }
    }
}

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Move every domain away from an sr node, and give it nothing new.",
        discussion: """
            Domains go to their standbys in sync, a few at a time, each with a short gap in which requests wait; other \
            nodes are filled as standbys in its place. The node stays drained, also when it or a router is restarted, \
            until it is undrained. Ends when the node is empty and may be stopped. Routers, websocket and SIP nodes \
            own no domains: stop them, and their clients go elsewhere.

            Exits with 1 when it is refused (nobody could take the domains) or not done in time; the drain goes on \
            then, as it does after Ctrl-C.

            Example: rollcall drain topology/local.yaml sr1
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The node, as the topology names it.")
    var node: String
    @OptionGroup var timeout: TimeoutOption
    @OptionGroup var json: JSONOption

    private struct Document: Encodable {
        let node: String
        let done: Bool
        let seconds: Double
        /// Domains that have fewer standbys in sync than they should.
        let short_of_standbys: [String]
    }

    func run() async throws {
        let loaded = try topology.load()
        try loaded.requireNode(node)
        let node = node
        let start = SystemClock.monotonic()
        let progress = MovementProgress(
            topology: loaded, order: .drain(NodeName(node)), what: "the drain", timeout: timeout.duration)
        let status = try await progress.run { Self.look(at: node, $0) }
        let elapsed = SystemClock.monotonic() - start
        let short = StandbyNeeds(loaded).shortOfReplicas(status)
        for domain in short { Console.error("\(domain) has fewer standbys in sync than its topology asks for") }
        if json.isOn {
            try Console.json(Document(node: node, done: true, seconds: elapsed.seconds, short_of_standbys: short))
        } else {
            Console.line("\(node) is drained; rollcall undrain \(loaded.file) \(node) takes it back")
        }
    }

    private static func look(at node: String, _ status: ClusterStatus) -> ProgressLook {
        let owned = status.domains.filter { $0.owner == node }.count
        let kept = status.domains.filter { domain in domain.standbys.contains { $0.name == node } }.count
        let entry = status.nodes.first { $0.name == node }
        // A node that is down cannot be told from a drained one by its status, but it holds nothing either.
        if owned + kept == 0, entry?.status == .drained || entry?.status == .down { return .done }
        return .underWay("\(node) still owns \(owned) of \(status.domains.count) domains and stands by for \(kept)")
    }
}

struct UndrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undrain",
        abstract: "Let a drained node serve domains again.",
        discussion: """
            It becomes standby where it ranks high; owners stay where they are until they are lost or moved.

            Example: rollcall undrain topology/local.yaml sr1
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The node, as the topology names it.")
    var node: String
    @OptionGroup var json: JSONOption

    private struct Document: Encodable {
        let node: String
        let done: Bool
    }

    func run() async throws {
        let loaded = try topology.load()
        try await MovementProgress(
            topology: loaded, order: .undrain(NodeName(node)), what: "the undrain", timeout: .zero
        ).give()
        if json.isOn {
            try Console.json(Document(node: node, done: true))
        } else {
            Console.line("\(node) may serve domains again")
        }
    }
}

extension Topology {
    /// The node that a verb is about.
    /// - Throws: `CommandFailure.badInput` with the nodes there are.
    func requireNode(_ name: String) throws {
        guard node(named: NodeName(name)) == nil else { return }
        let known = nodes.prefix(16).map(\.name.rawValue).joined(separator: ", ")
        throw CommandFailure.badInput("\(file) has no node \(name); expected one of \(known)")
    }
}

extension Duration {
    /// For people: to the millisecond.
    var seconds: Double { Double(milliseconds) / 1_000 }
}
