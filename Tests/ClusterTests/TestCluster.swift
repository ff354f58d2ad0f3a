import ClusterRuntime
import Foundation
import NodeProcesses
import RegistrarEvents
import Testing

/// A real cluster of real processes in a directory of its own, on ports that the system chose.
final class TestCluster: Sendable {
    /// This repository's directory.
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL.path

    /// The program as it was built beside the tests.
    static let program: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (tests as NSString).deletingLastPathComponent + "/rollcall"
    }()

    static let domain = DomainName("demo.example")!

    let directory: String
    let topologyFile: String
    let topology: Topology
    /// Ports that the topology does not use, for nodes that come later.
    let sparePorts: [Int]

    private static let usedPorts = 16

    /// Writes the files; nothing runs yet.
    init(coordinator: String = "{ kind: embedded, path: var/router.db }", sparePorts: Int = 0) throws {
        directory =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("rollcall-test-\(UUID().uuidString.prefix(8))").path
        topologyFile = "\(directory)/test.yaml"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // All at one time: a port that is not bound yet may be drawn twice.
        let ports = try freePorts(Self.usedPorts + sparePorts)
        self.sparePorts = Array(ports[Self.usedPorts...])
        let text = Self.text(ports: Array(ports[..<Self.usedPorts]), coordinator: coordinator)
        try text.write(toFile: topologyFile, atomically: true, encoding: .utf8)
        try "accounts: {}\n".write(toFile: "\(directory)/accounts.yaml", atomically: true, encoding: .utf8)
        topology = try Topology.load(path: topologyFile)
    }

    /// Runs `body` while `rollcall up` runs the cluster; shows the logs when something went wrong.
    /// - Parameter program: a file that is the program, to be run instead of that beside the tests.
    func whileUp(
        program: String = TestCluster.program, _ body: (TestCluster, ChildProcess) async throws -> Void
    ) async throws {
        let supervisor = try await ChildProcess.start(
            .init(executable: program, arguments: ["up", topologyFile], log: "\(directory)/up.out"))
        do {
            try await eventually("the cluster is ready", within: .seconds(60)) { try await self.isReady() }
            try await body(self, supervisor)
        } catch {
            Issue.record("\(error)\n\(logs())")
        }
        await supervisor.stop(grace: .seconds(20))
    }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }

    /// Starts the program with its output in a log of this cluster.
    func start(_ arguments: String..., log: String) async throws -> ChildProcess {
        try await ChildProcess.start(
            .init(
                executable: Self.program, arguments: arguments, log: "\(directory)/\(log).out"))
    }

    /// Runs the program to its end.
    /// - Returns: how it ended, and everything it printed.
    func run(_ arguments: String...) async throws -> (ending: ChildProcess.Ending, output: String) {
        try await run(arguments)
    }

    func run(_ arguments: [String]) async throws -> (ending: ChildProcess.Ending, output: String) {
        let log = "run-\(UInt32.random(in: 0 ... .max))"
        let process = try await ChildProcess.start(
            .init(
                executable: Self.program, arguments: arguments, log: "\(directory)/\(log).out"))
        let ending = await process.wait()
        return (ending, output(log))
    }

    func output(_ log: String) -> String {
        (try? String(contentsOfFile: "\(directory)/\(log).out", encoding: .utf8)) ?? ""
    }

    func status() async throws -> ClusterStatus {
        let (ending, output) = try await run("status", topologyFile, "--json")
        try #require(ending == .exited(0), "\(output)")
        return try JSONDecoder().decode(ClusterStatus.self, from: Data(output.utf8))
    }

    func domainStatus() async throws -> ClusterStatus.Domain {
        try #require(try await status().domains.first { $0.name == Self.domain.rawValue })
    }

    private func isReady() async throws -> Bool {
        let (ending, output) = try await run("status", topologyFile, "--json")
        guard ending == .exited(0) else { return false }
        let status = try JSONDecoder().decode(ClusterStatus.self, from: Data(output.utf8))
        return status.nodes.allSatisfy { $0.status == .up }
            && status.domains.allSatisfy { $0.owner != nil && $0.standbys.contains(where: \.inSync) }
    }

    /// The ends of all logs.
    func logs() -> String {
        let logDirectory = "\(directory)/var/log"
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: logDirectory)) ?? []).sorted()
        return (["\(directory)/up.out"] + names.map { "\(logDirectory)/\($0)" }).map { path in
            let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            return "--- \(path)\n" + text.split(separator: "\n").suffix(25).joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private static func text(ports: [Int], coordinator: String) -> String {
        """
        cluster: test
        secret: { file: var/secret }
        coordinator: \(coordinator)
        periods: { restart_grace: 1s }
        journal: { path: var/journal }
        directory: { kind: file, path: accounts.yaml }
        domains:
          - { name: demo.example, replicas: 2 }
        sites:
          - name: main
            servers:
              - name: host-a
                address: 127.0.0.1
                nodes:
                  - { name: router1, role: router, order: 1, cluster: \(ports[0]), admin: \(ports[1]) }
                  - { name: sr1, role: sr, cluster: \(ports[2]), admin: \(ports[3]) }
                  - { name: ws1, role: wssubscr, cluster: \(ports[4]), admin: \(ports[5]), \
        websocket: { listen: \(ports[6]) } }
              - name: host-b
                address: 127.0.0.1
                nodes:
                  - { name: router2, role: router, order: 2, cluster: \(ports[7]), admin: \(ports[8]) }
                  - { name: sr2, role: sr, cluster: \(ports[9]), admin: \(ports[10]) }
                  - { name: ws2, role: wssubscr, cluster: \(ports[11]), admin: \(ports[12]), \
        websocket: { listen: \(ports[13]) } }
              - name: host-c
                address: 127.0.0.1
                nodes:
                  - { name: sr3, role: sr, cluster: \(ports[14]), admin: \(ports[15]) }
        """
    }
}

/// Ports of the loopback address that nobody uses at this moment.
func freePorts(_ count: Int) throws -> [Int] {
    var descriptors: [Int32] = []
    defer { for descriptor in descriptors { close(descriptor) } }
    return try (0..<count).map { _ in
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptors.append(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0
            }
        }
        try #require(isBound)
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

struct NotInTime: Error, CustomStringConvertible {
    let description: String
}

/// Waits for a condition.
/// - Throws: `NotInTime` when it does not hold by the deadline, and what the condition throws.
func eventually(
    _ what: String, within limit: Duration = .seconds(15), _ condition: () async throws -> Bool
) async throws {
    let deadline = SystemClock.monotonic() + limit
    while try await !condition() {
        guard SystemClock.monotonic() < deadline else { throw NotInTime(description: "not in time: \(what)") }
        try await Task.sleep(for: .milliseconds(50))
    }
}
