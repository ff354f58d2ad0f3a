public import ArgumentParser
import ClusterNode
import ClusterRuntime
public import Logging
import NodeProcesses

struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "Run one node of a topology in this process.",
        discussion: """
            This is what `rollcall up` starts, and what a service manager starts on a server of its own. It logs to \
            stderr and ends cleanly on SIGTERM or SIGINT: it tells the others that it leaves, and closes its \
            connections. Asked to restart (rollcall restart), it ends in the same way with exit code 75, and whoever \
            started it is to start it again at once.

            Example: rollcall node topology/local.yaml sr1
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The node's name in the topology.")
    var node: String
    @Flag(
        help: "Restart when asked to, as under `up` and systemd: what starts this process does so again when it ends.")
    var supervised = false
    @OptionGroup var logging: LoggingOption

    func run() async throws {
        guard ParentWatch.begin() else { throw CommandFailure.no("the supervisor that started this node is gone") }
        logging.bootstrap()
        let loaded = try topology.load()
        let name = NodeName(node)
        // One that joined by `apply` need not be in the file.
        guard loaded.inForce(for: name).topology.node(named: name) != nil else {
            let known = loaded.nodes.map(\.name.rawValue).joined(separator: ", ")
            throw CommandFailure.badInput("\(loaded.file) has no node \(node); expected one of \(known)")
        }
        let ending = try await NodeRunner.run(
            topology: loaded, node: name, isSupervised: supervised || ParentWatch.isSupervised)
        if ending == .restarts { throw ExitCode(NodeRunner.restartExitCode) }
    }
}

/// How much a node logs.
struct LoggingOption: ParsableArguments {
    @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning, error or critical.")
    var level: Logger.Level = .info

    /// To be called once, before anything logs.
    func bootstrap() {
        let level = level
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
