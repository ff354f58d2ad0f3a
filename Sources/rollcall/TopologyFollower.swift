import ClusterClients
import ClusterRuntime

/// Follows the active topology for a supervisor: starts the nodes of this machine that join, and stops those that
/// leave.
struct TopologyFollower: Sendable {
    let topology: Topology
    let version: UInt64
    /// The nodes that the supervisor is for, where it was told; nil: all of this machine.
    let only: Set<NodeName>?
    let files: NodeFiles
    let supervisor: Supervisor

    static let interval: Duration = .seconds(1)

    /// Runs until cancelled.
    func run() async {
        var (topology, version) = (topology, version)
        while !Task.isCancelled {
            // Without a token, as before the first start has made the secret, routers refuse, and are asked again.
            let news = try? await topology.withClient { await $0.activeTopology(after: version) }
            if let news {
                version = news.version
                if let next = await take(news, after: topology) { topology = next }
            }
            try? await Task.sleep(for: Self.interval)  // Cancelled: the loop's condition sees it.
        }
    }

    /// The nodes of this machine. Those that run here stay, whatever is known of their address at the moment: that it
    /// cannot be looked up does not mean that it is another machine's, and none of a running cluster changes.
    static func wanted(
        of new: Topology, after old: Topology, only: Set<NodeName>?, running: Set<NodeName>,
        isLocal: (String) -> Bool
    ) -> [NodeSpec] {
        new.nodes.filter { node in
            if let only { return only.contains(node.name) }
            let isHere = running.contains(node.name) && old.node(named: node.name)?.address == node.address
            return isHere || isLocal(node.address)
        }
    }

    private func take(_ news: ActiveTopology, after old: Topology) async -> Topology? {
        let new: Topology
        do throws(TopologyError) {
            new = try news.topology(at: old.file)
        } catch {
            Console.error("version \(news.version) of the topology cannot be read by this version: \(error)")
            return nil
        }
        let local = LocalAddresses()
        let wanted = Self.wanted(
            of: new, after: old, only: only, running: Set(await supervisor.nodes), isLocal: local.contains)
        let difference = TopologyDifference(from: old, to: new)
        let joining = difference.nodesAdded.map(\.name).filter { name in wanted.contains { $0.name == name } }
        for node in joining {
            // It is not in the file that it is started with.
            if let fault = ActiveTopologyFile(directory: new.journalPath(of: node)).write(news) {
                Console.error("\(node) may not start: \(fault)")
            }
        }
        do { try files.lock(joining) } catch { Console.error("\(error)") }
        Console.error(
            "version \(news.version) of the topology is active"
                + (joining.isEmpty ? "" : "; starting \(joining.map(\.rawValue).joined(separator: ", "))"))
        await supervisor.run(wanted.map(\.name))
        // Every machine learns of it in the same second: nodes that were started again now would be away together.
        let waiting = difference.restarts.filter { name in wanted.contains { $0.name == name } }
        if !waiting.isEmpty {
            Console.error(
                "some of it waits for a restart of \(waiting.map(\.rawValue).joined(separator: ", ")): "
                    + "rollcall restart \(new.file) --rolling")
        }
        return new
    }
}
