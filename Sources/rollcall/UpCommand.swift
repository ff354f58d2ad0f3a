import ArgumentParser
import ClusterRuntime
import Foundation
import NodeProcesses

struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Run a topology's nodes on this machine.",
        discussion: """
            Starts a process for every node whose server is this machine, and starts it again when it ends: after 0.2 \
            s at first, later after up to 5 s. Each node logs to var/log/NODE.log beside the topology file. Ctrl-C \
            stops all. It says when everything is healthy, and where. Exits with 3 when the addresses of all nodes are \
            in use.

            When another topology is activated (rollcall apply), it starts and stops nodes accordingly. What only a \
            node's start takes up waits for `rollcall restart --rolling`.

            Example: rollcall up topology/local.yaml
                     rollcall up topology/local.yaml --only sr1,sr2
            """)

    @OptionGroup var topology: TopologyArgument
    @Option(help: "Run these nodes only, separated by commas.")
    var only: String?
    @Flag(name: .customLong("no-restart"), help: "Leave a node that ends down (a drill wants that).")
    var stayDown = false

    func run() async throws {
        // A drill that comes to a sudden end takes its cluster with it.
        guard ParentWatch.begin() else { throw CommandFailure.no("whoever started this is gone") }
        let file = try topology.load()
        let (loaded, active) = file.inForceHere()
        if active.version > 0, !TopologyDifference(from: file, to: loaded).isEmpty {
            Console.error(
                "\(file.file) is not what the cluster goes by: version \(active.version) of the topology was "
                    + "activated. To go by the file: rollcall apply \(file.file)")
        }
        let nodes = try chooseNodes(of: loaded, isActivated: active.version > 0)
        let files = try NodeFiles(loaded)
        try files.lock(nodes.map(\.name))
        let signals = TerminationSignals()
        let supervisor = Supervisor(
            nodes: nodes.map(\.name), files: files, restarts: !stayDown, drain: loaded.periods.drain)
        let names = nodes.map(\.name.rawValue).joined(separator: ", ")
        Console.error(
            nodes.isEmpty
                ? "the topology has no node here any more; waiting for one that it is given (Ctrl-C ends this)"
                : "Starting \(names); logs in \(files.logDirectory)")
        let announcement = Task {
            guard !nodes.isEmpty else { return }
            await StartAnnouncement(topology: loaded, nodes: nodes, supervisor: supervisor).run()
        }
        let isShutOut = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await supervisor.run() }
            let follower = TopologyFollower(
                topology: loaded, version: active.version, only: only == nil ? nil : Set(nodes.map(\.name)),
                files: files, supervisor: supervisor)
            group.addTask {
                await follower.run()
                // Cancelled: the supervisor has ended, and this answer is not looked at.
                return false
            }
            group.addTask {
                var isFirst = true
                for await _ in signals.stream {
                    announcement.cancel()
                    if isFirst {
                        Console.error("Stopping; once more kills at once.")
                        Task { await supervisor.stop() }
                    } else {
                        await supervisor.kill()
                    }
                    isFirst = false
                }
                return false
            }
            // The supervisor ends first; the listener for signals never does by itself.
            let isShutOut = await group.next() ?? false
            announcement.cancel()
            group.cancelAll()
            return isShutOut
        }
        guard !isShutOut else {
            throw CommandFailure.unreachable(
                "the address of every node is in use, so nothing was started; stop the other cluster first, or give "
                    + "this one other ports in \(loaded.file)")
        }
    }

    /// - Parameter isActivated: whether the cluster goes by it and not by its file, so that a later version may have a
    ///   node here again.
    private func chooseNodes(of topology: Topology, isActivated: Bool) throws -> [NodeSpec] {
        guard let only else {
            let local = LocalAddresses()
            let nodes = topology.nodes.filter { local.contains($0.address) }
            guard !nodes.isEmpty || isActivated && !stayDown else {
                throw CommandFailure.badInput(
                    "no server of \(topology.file) has an address of this machine; name nodes with --only to run them "
                        + "here nevertheless")
            }
            return nodes
        }
        return try topology.nodes(namedIn: only)
    }
}
