import ArgumentParser
import ClusterClients
import ClusterRuntime
import Foundation

struct RestartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart",
        abstract: "Restart a running cluster's nodes one after the other, losing and refusing nothing.",
        discussion: """
            Routers that stand by come first, then wssubscr and sg nodes, then sr nodes, each drained before and \
            undrained after, and the active router last. Each node is asked to end by itself, and is started again by \
            what runs it: `rollcall up` or systemd, from the program's and the topology's files as they are by then. \
            Before each step every node must be there and every copy in sync.

            It does not begin while the cluster is not fit for it, and stops with the first node that does not come \
            back; then, as after Ctrl-C, no node is left drained, and it says how to go on. Exit code 1 in these \
            cases, 3 when no router answers.

            Example: rollcall restart topology/local.yaml --rolling
                     rollcall restart topology/local.yaml --rolling --only sr2,sr3,router1
            """)

    @OptionGroup var topology: TopologyArgument
    @Flag(help: "One node after the other. There is no other way, so it has to be said.")
    var rolling = false
    @Option(help: "Restart these nodes only, separated by commas.")
    var only: String?
    @Option(name: .customLong("timeout"), help: "Seconds that each of a node's steps may take.")
    var seconds = 120
    @OptionGroup var json: JSONOption

    func validate() throws {
        guard rolling else { throw ValidationError("expected --rolling: one node after the other") }
        guard (1...86_400).contains(seconds) else {
            throw ValidationError("--timeout is \(seconds); expected 1 to 86400 seconds")
        }
    }

    func run() async throws {
        let loaded = try topology.load()
        let chosen = try only.map(loaded.nodes(namedIn:))
        let names = chosen.map { Set($0.map(\.name)) }
        let limit: Duration = .seconds(seconds)
        signal(SIGPIPE, SIG_IGN)
        try await loaded.withClient { client in
            let restart = RollingRestart(loaded, client, only: names, limit: limit) { Console.error($0) }
            let result = await Result.of { try await TerminationSignals.run { try await restart.run() } }
            let left = await restart.release()
            let report = await restart.report
            if json.isOn { try Console.json(report) } else { show(report) }
            if let left {
                Console.error(
                    "\(left.node) may still be drained: rollcall undrain \(loaded.file) \(left.node)\n\(left.why)")
            }
            try conclude(result, report, loaded)
        }
    }

    private func conclude(_ result: Result<Void?, any Error>, _ report: RestartReport, _ topology: Topology) throws {
        let rest = report.remaining.joined(separator: ",")
        let next = rest.isEmpty ? "" : "\nto go on: rollcall restart \(topology.file) --rolling --only \(rest)"
        switch result {
        case .success(.some): return
        case .success(nil): throw CommandFailure.no("interrupted; a node that was asked to restart does so" + next)
        case .failure(let stop as RestartStopped):
            switch stop.cause {
            case .no: throw CommandFailure.no("\(stop)" + next)
            case .unreachable: throw CommandFailure.unreachable("\(stop)" + next)
            }
        case .failure(let error): throw error
        }
    }

    private func show(_ report: RestartReport) {
        guard !report.nodes.isEmpty else { return }
        var table = Table("NODE", "ROLE", "DRAINED IN", "AWAY FOR", "IN SYNC IN")
        for node in report.nodes {
            table.row(
                node.name, node.role, Self.text(node.drain), Self.text(node.away), Self.text(node.sync))
        }
        Console.line(table.text)
        if report.done { Console.line("\(report.nodes.count) nodes were restarted in \(Self.text(report.seconds))") }
    }

    private static func text(_ seconds: Double?) -> String { seconds.map { "\($0) s" } ?? "" }
}

extension Result where Failure == any Error {
    fileprivate static func of(_ body: () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}

extension Topology {
    /// The nodes of an option that lists names, separated by commas.
    /// - Throws: `CommandFailure.badInput` with the nodes there are.
    func nodes(namedIn list: String) throws -> [NodeSpec] {
        let names = list.split(separator: ",").map { NodeName($0.trimmingCharacters(in: .whitespaces)) }
        let known = nodes.map(\.name.rawValue).joined(separator: ", ")
        guard !names.isEmpty else { throw CommandFailure.badInput("--only names no node; expected some of \(known)") }
        var seen: Set<NodeName> = []
        return try names.filter { seen.insert($0).inserted }.map { name in
            guard let node = node(named: name) else {
                throw CommandFailure.badInput("\(file) has no node \(name); expected one of \(known)")
            }
            return node
        }
    }
}
