import ClusterRuntime
import Foundation
import NodeProcesses
import Synchronization

/// The members of etcd that a drill runs for its cluster: one for each endpoint that the topology names, with their
/// data in the drill's own directory.
final class DrillEtcd: Sendable {
    struct Member: Hashable, Sendable {
        let name: String
        let address: String
        let port: Int

        var url: String { "http://\(address):\(port)" }
        /// As etcd's own two ports are.
        var peerURL: String { "http://\(address):\(port + 1)" }
    }

    let members: [Member]
    private let directory: String
    private let hosts: HostNetwork?
    private let processes = Mutex<[String: ChildProcess]>([:])

    private static let program = "/usr/bin/etcd"
    private static let control = "/usr/bin/etcdctl"
    static let startLimit: Duration = .seconds(30)
    /// Half of etcd's own choice, so that it has another leader before a router has found a silent owner to be down.
    private static let election: Duration = .milliseconds(500)

    /// What of the etcd of a topology a drill cannot start.
    static func problems(_ spec: EtcdSpec, of topology: Topology) -> [FileProblem] {
        var wrong: [String] = []
        if spec.tls != nil || spec.login != nil { wrong.append("etcd is asked for with TLS or a user") }
        let servers = Set(topology.nodes.map(\.address))
        for endpoint in spec.endpoints {
            guard let member = member(endpoint, 0),
                NetworkAddress.isLoopback(member.address) || servers.contains(member.address)
            else {
                wrong.append("etcd is at \(endpoint)")
                continue
            }
        }
        return wrong.map {
            FileProblem(
                file: topology.file, line: 1, wrong: $0,
                expected: "http:// and an address of a server, for a drill to start members there, or --use-running")
        }
    }

    init(_ spec: EtcdSpec, directory: String, hosts: HostNetwork?) {
        self.directory = directory
        self.hosts = hosts
        members = spec.endpoints.enumerated().compactMap { Self.member($0.element, $0.offset) }
    }

    private static func member(_ endpoint: String, _ index: Int) -> Member? {
        guard let parts = URLComponents(string: endpoint), parts.scheme == "http", let host = parts.host else {
            return nil
        }
        return Member(name: "etcd\(index + 1)", address: host, port: parts.port ?? 2379)
    }

    /// Starts all members, and waits until they serve.
    func start() async throws {
        for member in members { try await start(member.name) }
        let deadline = SystemClock.monotonic() + Self.startLimit
        while await !isServing() {
            guard SystemClock.monotonic() < deadline else {
                throw DrillFailure.unreachable("etcd does not serve; its logs are in \(directory)")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    func start(_ name: String) async throws {
        guard let member = members.first(where: { $0.name == name }) else { return }
        guard FileManager.default.isExecutableFile(atPath: Self.program),
            FileManager.default.isExecutableFile(atPath: Self.control)
        else { throw DrillFailure.unreachable("etcd is not installed here: apt-get install etcd-server etcd-client") }
        var command = ChildProcess.Command(
            executable: Self.program,
            arguments: [
                "--name", member.name, "--data-dir", "\(directory)/\(member.name)",
                "--listen-client-urls", member.url, "--advertise-client-urls", member.url,
                "--listen-peer-urls", member.peerURL, "--initial-advertise-peer-urls", member.peerURL,
                "--initial-cluster", members.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ","),
                "--pre-vote", "--heartbeat-interval", "\(Self.election.milliseconds / 10)",
                "--election-timeout", "\(Self.election.milliseconds)", "--logger", "zap", "--log-level", "warn",
                "--log-outputs", "stderr",
            ], log: "\(directory)/var/log/\(member.name).log")
        if let hosts {
            command = hosts.command(command, on: member.address)
        } else {
            command.arguments = ["--pdeathsig", "KILL", command.executable] + command.arguments
            command.executable = "/usr/bin/setpriv"
        }
        let process = try await ChildProcess.start(command)
        processes.withLock { $0[member.name] = process }
    }

    func signal(_ number: Int32, _ name: String) { processes.withLock { $0[name] }?.signal(number) }

    /// Whether a member has a process.
    func isRunning(_ name: String) -> Bool { processes.withLock { $0[name]?.ending == nil && $0[name] != nil } }

    func stop() async {
        let all = processes.withLock { Array($0.values) }
        for process in all { process.signal(SIGKILL) }
        for process in all { _ = await process.wait() }
    }

    /// The member that leads the others, by what the members themselves say.
    func leader() async -> Member? {
        for member in members where isRunning(member.name) {
            guard let said = await control("--endpoints", member.url, "endpoint", "status") else { continue }
            let fields = said.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            if fields.count > 4, fields[4] == "true" { return member }
        }
        return nil
    }

    private func isServing() async -> Bool {
        for member in members where await control("--endpoints", member.url, "endpoint", "health") == nil {
            return false
        }
        return true
    }

    /// Runs etcdctl.
    /// - Returns: what it printed; nil when it failed.
    private func control(_ arguments: String...) async -> String? {
        let log = "\(directory)/etcdctl-\(UInt32.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: log) }  // It goes with the directory.
        let command = ChildProcess.Command(
            executable: Self.control, arguments: ["--dial-timeout", "1s", "--command-timeout", "1s"] + arguments,
            environment: ["ETCDCTL_API": "3"], log: log)
        // One that cannot be started has not said anything.
        guard let process = try? await ChildProcess.start(command), await process.wait() == .exited(0) else {
            return nil
        }
        return FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) }
    }
}
