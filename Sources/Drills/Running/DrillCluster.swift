import ClusterRuntime
import Foundation
import RegistrarEvents
import Synchronization

/// The cluster a drill is done to: one of its own, on a private copy of the topology and everything beside it, or one
/// that runs already.
final class DrillCluster: Sendable {
    let topology: Topology
    /// Where the private copy and the logs are; nil for a running cluster.
    let directory: String?
    private let executable: String
    private let started = Mutex<[ChildProcess]>([])

    /// How long everything may take to be up and in sync.
    static let startLimit: Duration = .seconds(60)
    static let stopGrace: Duration = .seconds(15)

    private init(topology: Topology, directory: String?, executable: String) {
        self.topology = topology
        self.directory = directory
        self.executable = executable
    }

    static func running(_ topology: Topology, executable: String) -> DrillCluster {
        DrillCluster(topology: topology, directory: nil, executable: executable)
    }

    /// Copies the topology to a directory of its own; nothing is started yet.
    static func privateCopy(of topology: Topology, executable: String) throws -> DrillCluster {
        let copy = try PrivateCopy(of: topology)
        return DrillCluster(
            topology: try Topology.load(path: copy.topologyFile), directory: copy.directory, executable: executable)
    }

    /// Starts every node. Those that end stay down: a drill decides when they come back.
    func start() async throws {
        guard let directory else { return }
        let process = try await ChildProcess.start(
            .init(
                executable: executable, arguments: ["up", topology.file, "--no-restart"], log: "\(directory)/up.log"))
        started.withLock { $0.append(process) }
    }

    /// Starts a node that was killed. A running cluster's own supervisor does that by itself.
    func start(_ node: NodeName) async throws {
        guard let directory else { return }
        let process = try await ChildProcess.start(
            .init(
                executable: executable, arguments: ["node", topology.file, node.rawValue],
                environment: [ParentWatch.variable: String(getpid())], log: "\(directory)/var/log/\(node).log"))
        started.withLock { $0.append(process) }
    }

    /// The process of a node. Only a node of this very topology file is ever found, and so signalled.
    func signal(_ number: Int32, _ node: NodeName) throws -> pid_t {
        guard let pid = NodeProcess.signal(number, node, of: topology.file) else {
            throw DrillFailure.unreachable("node \(node) has no process on this machine")
        }
        return pid
    }

    /// Waits until every node is healthy and the domain has its owner and its standbys.
    func waitUntilReady(_ client: ClusterClient, domain: String) async throws {
        let deadline = SystemClock.monotonic() + Self.startLimit
        var missing = "nothing was asked yet"
        while SystemClock.monotonic() < deadline {
            if let process = started.withLock(\.first), let ending = process.ending {
                throw DrillFailure.unreachable("the cluster did not start: `up` ended with \(ending)\n\(logTail())")
            }
            guard let reason = await notReady(client, domain: domain) else { return }
            missing = reason
            try await Task.sleep(for: .milliseconds(100))
        }
        throw DrillFailure.unreachable(
            "the cluster was not ready after \(Self.startLimit.components.seconds) s: \(missing)\n\(logTail())")
    }

    /// Stops what was started.
    func stop() async {
        let processes = started.withLock { $0 }
        await withDiscardingTaskGroup { group in
            for process in processes { group.addTask { await process.stop(grace: Self.stopGrace) } }
        }
    }

    /// Removes the private copy with its logs.
    func remove() {
        guard let directory else { return }
        try? FileManager.default.removeItem(atPath: directory)  // Left behind in /tmp, it does no harm.
    }

    private func notReady(_ client: ClusterClient, domain: String) async -> String? {
        for node in topology.nodes {
            switch await client.health(of: node) {
            case .healthy: continue
            case .unhealthy(let reasons): return "\(node.name) is not healthy: \(reasons)"
            case .silent: return "\(node.name) does not answer on port \(node.adminPort)"
            }
        }
        guard let status = await client.status() else { return "no router is active" }
        guard let entry = status.domains.first(where: { $0.name == domain }), entry.owner != nil else {
            return "\(domain) has no owner"
        }
        let replicas = topology.domains.first { $0.name.rawValue == domain }?.replicas ?? 1
        let wanted = min(replicas, topology.nodes(of: .sr).count) - 1
        let inSync = entry.standbys.count(where: \.inSync)
        return inSync >= wanted ? nil : "\(domain) has \(inSync) standbys in sync, expected \(wanted)"
    }

    /// The last lines of every log, for a message.
    func logTail() -> String {
        guard let directory else { return "" }
        // It goes into a message about something worse.
        let logs = (try? FileManager.default.contentsOfDirectory(atPath: "\(directory)/var/log")) ?? []
        return (["\(directory)/up.log"] + logs.sorted().map { "\(directory)/var/log/\($0)" }).map { path in
            let text = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
            let lines = text.split(separator: "\n").suffix(10).map { "    \($0)" }
            return "  \(path):\n" + lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }
}
