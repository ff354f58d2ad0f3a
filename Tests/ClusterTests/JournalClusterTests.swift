import ClusterClients
import ClusterRuntime
import Foundation
import NodeProcesses
import RegistrarEvents
import Testing

/// Journals under real nodes: everything killed at once, and a disk that is full.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct JournalClusterTests {
    private static let domain = TestCluster.domain

    private func withClient(_ cluster: TestCluster, _ body: (ClusterClient) async throws -> Void) async throws {
        let (ending, output) = try await cluster.run("token", cluster.topologyFile, "--domain", "demo.example")
        try #require(ending == .exited(0), "\(output)")
        let client = ClusterClient(
            topology: cluster.topology, token: output.trimmingCharacters(in: .whitespacesAndNewlines))
        do {
            try await body(client)
        } catch {
            await client.shutDown()
            throw error
        }
        await client.shutDown()
    }

    private func whileUp(
        _ cluster: TestCluster, _ body: (ClusterClient, ChildProcess) async throws -> Void
    ) async throws {
        try await cluster.whileUp { cluster, supervisor in
            try await withClient(cluster) { try await body($0, supervisor) }
        }
    }

    private func register(
        _ names: Range<Int>, ttl: Duration, through node: NodeSpec, _ client: ClusterClient
    ) async throws {
        for number in names {
            let answer = await client.register(
                "phone\(number)", in: Self.domain, ttl: ttl, through: node, timeout: .seconds(10))
            guard case .acknowledged = answer else { throw NotInTime(description: "phone\(number): \(answer)") }
        }
    }

    private func accounts(_ client: ClusterClient) async throws -> Set<String> {
        Set(try await client.contacts(of: Self.domain).map(\.account))
    }

    @Test func whatHadNotRunOutIsBackAfterEverythingWasKilled() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        var epoch: UInt64 = 0
        try await whileUp(cluster) { client, supervisor in
            let node = try #require(cluster.topology.nodes(of: .sr).first)
            try await register(0..<50, ttl: .seconds(600), through: node, client)
            epoch = try await cluster.domainStatus().epoch
            try await register(50..<60, ttl: .seconds(30), through: node, client)
            supervisor.signal(SIGKILL)
            for node in cluster.topology.nodes {
                _ = NodeProcess.signal(SIGKILL, node.name, of: cluster.topologyFile)
            }
            try await eventually("every process is gone") {
                cluster.topology.nodes.allSatisfy { NodeProcess.find($0.name, of: cluster.topologyFile) == nil }
            }
        }
        // A torn tail is what power loss leaves.
        let journal = "\(cluster.directory)/var/journal/sr1"
        let segments = try FileManager.default.contentsOfDirectory(atPath: journal).filter { $0.hasSuffix(".rcj") }
        let newest = try #require(segments.max())
        let file = try #require(FileHandle(forWritingAtPath: "\(journal)/\(newest)"))
        try file.seekToEnd()
        try file.write(contentsOf: [0x55, 0, 0, 0, 1, 2, 3])
        try file.close()
        try await Task.sleep(for: .seconds(1))  // nobody runs, and times to live go on
        try await whileUp(cluster) { client, _ in
            let status = try await cluster.domainStatus()
            #expect(status.epoch > epoch)
            let (ending, text) = try await cluster.run("explain", cluster.topologyFile, "demo.example")
            #expect(ending == .exited(0) && text.contains("restored from a copy on disk"), "\(text)")
            let present = try await accounts(client)
            #expect(present.isSuperset(of: (0..<50).map { "phone\($0)" }))
            // Times to live went on; what they had left is over in time.
            try await eventually("what had little time left is gone", within: .seconds(60)) {
                try await accounts(client).count == 50
            }
            let log = (try? String(contentsOfFile: "\(cluster.directory)/var/log/sr1.log", encoding: .utf8)) ?? ""
            #expect(log.contains("are no whole record"), "the torn tail was not told: \(log.suffix(2_000))")
        }
    }

    @Test func aFullDiskStopsNobodyWhoHasAStandbyAndIsToldUntilThereIsRoom() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let disk = "\(cluster.directory)/var/journal/sr1"
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        guard mount("tmpfs", disk, "tmpfs", 0, "size=1m") == 0 else {
            Issue.record("cannot mount a small disk (\(String(cString: strerror(errno)))): run the tests as root")
            return
        }
        defer { umount2(disk, Int32(MNT_DETACH)) }
        try await whileUp(cluster) { client, _ in
            let node = try #require(cluster.topology.node(named: NodeName("sr1")))
            if try await cluster.domainStatus().owner != "sr1" {
                let (ending, text) = try await cluster.run("move", cluster.topologyFile, "demo.example", "sr1")
                #expect(ending == .exited(0), "\(text)")
            }
            try await register(0..<10, ttl: .seconds(600), through: node, client)
            let ballast = "\(disk)/ballast"
            let descriptor = open(ballast, O_WRONLY | O_CREAT, 0o600)
            let block = [UInt8](repeating: 1, count: 512)
            while write(descriptor, block, block.count) == block.count {}
            close(descriptor)

            // The owner's own disk is full, and its standby's is not.
            try await register(10..<200, ttl: .seconds(600), through: node, client)
            #expect(try await cluster.domainStatus().owner == "sr1")
            try await eventually("health says so") {
                guard case .unhealthy(let text) = await client.health(of: node) else { return false }
                return text.contains("journal")
            }
            try FileManager.default.removeItem(atPath: ballast)
            try await eventually("it can write again") { await client.health(of: node) == .healthy }
            try await register(200..<210, ttl: .seconds(600), through: node, client)
            #expect(try await accounts(client).count == 210)

            // The copies on the disks, which the owner's has been made whole on again, are enough for everything.
            for other in cluster.topology.nodes(of: .sr) {
                _ = NodeProcess.signal(SIGKILL, other.name, of: cluster.topologyFile)
            }
            try await eventually("everything is back", within: .seconds(60)) {
                // Nobody has the list while the owner is being found.
                (try? await accounts(client).count) == 210
            }
        }
    }
}
