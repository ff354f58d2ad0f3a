import ClusterRuntime
import Synchronization

/// Which subscribers lost their connection to which node, whether something was being done to that node then, and how
/// they went on.
final class ConnectionLog: Sendable {
    private struct State {
        var disturbed: Set<NodeName> = []
        var nodes: [NodeName: NodeConnections] = [:]
    }

    private let state = Mutex(State())

    /// By the nodes' names; of nodes to which nothing happened there is nothing.
    var nodes: [NodeConnections] { state.withLock { $0.nodes.values.sorted { $0.node < $1.node } } }

    /// Something is done to a node that may cost its clients their connections, until it is `settled`.
    func disturbed(_ node: NodeName) { state.withLock { _ = $0.disturbed.insert(node) } }
    func settled(_ node: NodeName) { state.withLock { _ = $0.disturbed.remove(node) } }

    /// A subscriber's connection to the node ended, and not by its own will.
    func lost(_ node: NodeName) {
        state.withLock { state in
            let isStray = !state.disturbed.contains(node)
            state.nodes[node, default: NodeConnections(node: node.rawValue)].lost += 1
            if isStray { state.nodes[node, default: NodeConnections(node: node.rawValue)].strays += 1 }
        }
    }

    /// A subscriber that had lost its connection to a node has everything again.
    /// - Parameter isWhole: from where it was, without a new snapshot.
    func resumed(after node: NodeName, at other: NodeName, isWhole: Bool) {
        state.withLock { state in
            var entry = state.nodes[node] ?? NodeConnections(node: node.rawValue)
            if other != node { entry.elsewhere += 1 }
            if isWhole { entry.resumed += 1 } else { entry.resynced += 1 }
            state.nodes[node] = entry
        }
    }
}

/// What became of subscribers' connections to one node.
package struct NodeConnections: Codable, Hashable, Sendable {
    package var node: String
    /// Connections that ended.
    package var lost = 0
    /// Of these, those that ended while nothing was done to the node.
    package var strays = 0
    /// How many went on from where they were, and how many needed a new snapshot.
    package var resumed = 0
    package var resynced = 0
    /// How many of these two did so at another node.
    package var elsewhere = 0

    init(node: String) { self.node = node }
}
