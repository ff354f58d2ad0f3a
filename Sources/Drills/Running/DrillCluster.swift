import ClusterClients
import ClusterRuntime
import Foundation
import NodeProcesses
import RegistrarEvents
import Synchronization

/// The cluster a drill is done to: one of its own, on a private copy of the topology and everything beside it, or one
/// that runs already.
final class DrillCluster: Sendable {
    let topology: Topology
    /// Where the private copy and the logs are; nil for a running cluster.
    let directory: String?
    private let executable: String
    /// The machines it runs on, when those are of the drill's own.
    let hosts: HostNetwork?
    /// The etcd that the drill runs for it, if it does.
    let etcd: DrillEtcd?
    /// Those that the cluster tells of events, if it has any and the drill runs them.
    let destinations: DrillDestinations?
    private let started = Mutex<[ChildProcess]>([])
    /// Journals with a small disk of their own.
    private let disks = Mutex<[String]>([])

    /// How long everything may take to be up and in sync.
    static let startLimit: Duration = .seconds(60)
    static let stopGrace: Duration = .seconds(15)

    private init(
        topology: Topology, directory: String?, executable: String, hosts: HostNetwork? = nil, etcd: DrillEtcd? = nil,
        destinations: DrillDestinations? = nil
    ) {
        self.topology = topology
        self.directory = directory
        self.executable = executable
        self.hosts = hosts
        self.etcd = etcd
        self.destinations = destinations
    }

    static func running(_ topology: Topology, executable: String) -> DrillCluster {
        DrillCluster(topology: topology, directory: nil, executable: executable)
    }

    /// Copies the topology to a directory of its own, and makes the hosts that it needs; nothing is started yet.
    /// - Throws: `DrillFailure`.
    static func privateCopy(of topology: Topology, executable: String) async throws -> DrillCluster {
        let copy = try PrivateCopy(of: topology)
        let copied = try Topology.load(path: copy.topologyFile)
        let hosts = PrivateNetwork.isNeeded(by: copied) ? try await HostNetwork.make(for: copied) : nil
        var etcd: DrillEtcd?
        if case .etcd(let spec) = copied.coordinator {
            etcd = DrillEtcd(spec, directory: copy.directory, hosts: hosts)
        }
        return DrillCluster(
            topology: copied, directory: copy.directory, executable: executable, hosts: hosts, etcd: etcd,
            destinations: DrillDestinations(copied, directory: copy.directory))
    }

    /// - Throws: `DrillFailure.running` when a node of the topology answers: the copy would have its ports.
    func refuseWhenRunning(_ client: ClusterClient) async throws {
        for node in topology.nodes where await client.health(of: node) != .silent {
            throw DrillFailure.running(
                "a cluster is running at \(node.address):\(node.adminPort) already (\(node.name)); "
                    + "stop it, or rehearse on it with --use-running")
        }
    }

    /// Starts every node, each host's by a supervisor of its own. Those that end stay down: a drill decides when they
    /// come back.
    func start() async throws {
        guard let directory else { return }
        try await etcd?.start()
        try await destinations?.start()
        let addresses: [String?] = hosts?.addresses ?? [nil]
        for (number, address) in addresses.enumerated() {
            let log = number == 0 ? "\(directory)/up.log" : "\(directory)/up\(number + 1).log"
            try await start(
                .init(
                    executable: executable, arguments: ["up", topology.file, "--no-restart"],
                    environment: [ParentWatch.variable: String(getpid())], log: log), on: address)
        }
    }

    /// Starts a node that was killed. A running cluster's own supervisor does that by itself.
    func start(_ node: NodeName) async throws {
        guard let directory else { return }
        try await start(
            .init(
                executable: executable, arguments: ["node", topology.file, node.rawValue],
                environment: [ParentWatch.variable: String(getpid())], log: "\(directory)/var/log/\(node).log"),
            on: topology.node(named: node)?.address)
    }

    private func start(_ command: ChildProcess.Command, on address: String?) async throws {
        var command = command
        if let hosts, let address { command = hosts.command(command, on: address) }
        let process = try await ChildProcess.start(command)
        started.withLock { $0.append(process) }
    }

    /// The address of what a step is done to.
    func address(of victim: FaultInjector.Victim) -> String? {
        switch victim {
        case .node(let name): topology.node(named: name)?.address
        case .member(let name): etcd?.members.first { $0.name == name }?.address
        }
    }

    /// The process of a node. Only a node of this very topology file is ever found, and so signalled.
    func signal(_ number: Int32, _ node: NodeName) throws -> pid_t {
        guard let pid = NodeProcess.signal(number, node, of: topology.file) else {
            throw DrillFailure.unreachable("node \(node) has no process on this machine")
        }
        return pid
    }

    /// Waits until every node is healthy and the domain has its owner and its standbys.
    /// - Parameter isStarting: whether `up` has all nodes yet; it ends when the last of those has been killed that it
    ///   started itself.
    func waitUntilReady(_ client: ClusterClient, domain: String, isStarting: Bool = true) async throws {
        let deadline = SystemClock.monotonic() + Self.startLimit
        var missing = "nothing was asked yet"
        while SystemClock.monotonic() < deadline {
            if isStarting, let process = started.withLock({ $0.first { $0.ending != nil } }),
                let ending = process.ending
            {
                throw DrillFailure.unreachable("the cluster did not start: `up` ended with \(ending)\n\(logTail())")
            }
            guard let reason = await notReady(client, domain: domain) else { return }
            missing = reason
            try await Task.sleep(for: .milliseconds(100))
        }
        throw DrillFailure.unreachable(
            "the cluster was not ready after \(Self.startLimit.components.seconds) s: \(missing)\n\(logTail())")
    }

    private func stop() async {
        let processes = started.withLock { $0 }
        await withDiscardingTaskGroup { group in
            for process in processes { group.addTask { await process.stop(grace: Self.stopGrace) } }
        }
        await destinations?.stop()
        await etcd?.stop()
        await hosts?.stop()
        await removeDisks()
    }

    func noteDisk(_ path: String) { disks.withLock { $0.append(path) } }

    /// The disks that were made, which are forgotten.
    func takeDisks() -> [String] {
        disks.withLock { disks in
            defer { disks = [] }
            return disks
        }
    }

    /// Stops what was started, lets the client go, and keeps or removes the private copy with its logs.
    func finish(_ client: ClusterClient, keepLogs: Bool, _ progress: @Sendable (String) -> Void) async {
        await stop()
        await client.shutDown()
        if keepLogs, let directory {
            progress("logs are kept in \(directory)")
        } else {
            remove()
        }
    }

    private func remove() {
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
        let supervisors = (0..<max(hosts?.addresses.count ?? 1, 1)).map { $0 == 0 ? "up.log" : "up\($0 + 1).log" }
        let paths = supervisors.map { "\(directory)/\($0)" } + logs.sorted().map { "\(directory)/var/log/\($0)" }
        return paths.map { path in
            let text = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
            let lines = text.split(separator: "\n").suffix(10).map { "    \($0)" }
            return "  \(path):\n" + lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }
}
