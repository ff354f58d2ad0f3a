import ClusterClients
package import ClusterRuntime
import Foundation
import NodeProcesses
package import RegistrarEvents

/// Drills a cluster of its own for hours, in an order that a seed gives, and watches what its nodes hold.
package struct SoakRun: Sendable {
    package var topology: Topology
    /// What the rounds are made of (`SoakPlan`).
    package var drills: [DrillFile]
    /// The `rollcall` binary that the cluster is started with.
    package var executable: String
    /// No round begins after this.
    package var duration: Duration
    /// Most rounds.
    package var rounds: Int
    package var seed: UInt64
    /// Issues the tokens for a cluster and a domain.
    package var credentials: @Sendable (Topology, DomainName) async throws -> DrillCredentials
    /// Told what goes on.
    package var progress: @Sendable (String) -> Void

    /// After so many rounds that could not be carried out the soak ends.
    static let maximumAbandoned = 3
    /// For the nodes to close what their clients have closed, before they are looked at.
    static let rest: Duration = .milliseconds(500)

    package init(
        topology: Topology, drills: [DrillFile], executable: String, duration: Duration, rounds: Int = .max,
        seed: UInt64, credentials: @escaping @Sendable (Topology, DomainName) async throws -> DrillCredentials,
        progress: @escaping @Sendable (String) -> Void
    ) {
        self.topology = topology
        self.drills = drills
        self.executable = executable
        self.duration = duration
        self.rounds = rounds
        self.seed = seed
        self.credentials = credentials
        self.progress = progress
    }

    /// - Throws: `DrillFailure` when the soak cannot begin, and errors of files. The cluster's logs are kept when it
    ///   did not pass, and named.
    package func run() async throws -> SoakReport {
        let problems = drills.flatMap { $0.problems(with: topology) }
        guard problems.isEmpty else { throw DrillFailure.badFile(problems) }
        let cluster = try await DrillCluster.privateCopy(of: topology, executable: executable)
        let domains = Set(drills.map(\.load.domain)).sorted()
        var tokens: [DomainName: DrillCredentials] = [:]
        for domain in domains { tokens[domain] = try await credentials(cluster.topology, domain) }
        let client = ClusterClient(topology: cluster.topology, token: tokens.values.first?.admin)
        do {
            try await cluster.refuseWhenRunning(client)
            progress("starting the cluster; seed \(seed)")
            try await cluster.start()
            try await waitUntilReady(cluster, client, domains, isStarting: true)
            let report = try await soak(cluster, domains, tokens)
            await cluster.finish(client, keepLogs: !report.ok, progress)
            return report
        } catch {
            await cluster.finish(client, keepLogs: true, progress)
            throw error
        }
    }

    private func soak(
        _ cluster: DrillCluster, _ domains: [DomainName], _ tokens: [DomainName: DrillCredentials]
    ) async throws -> SoakReport {
        var plan = SoakPlan(topology: cluster.topology, drills: drills, seed: seed)
        var report = SoakReport(seed: seed)
        var curves = cluster.topology.nodes.map { ResourceCurve(node: $0.name.rawValue) }
        let start = SystemClock.monotonic()
        while SystemClock.monotonic() - start < duration, plan.round < rounds,
            report.abandoned.count < Self.maximumAbandoned
        {
            let drill = plan.next(kills: mayKill(after: plan.round, SystemClock.monotonic() - start))
            // The client keeps connections for later, and those are not the nodes' to answer for: each round has its
            // own, which has let go of them before the nodes are looked at.
            let client = ClusterClient(topology: cluster.topology, token: tokens.values.first?.admin)
            do {
                try await round(plan.round, drill, cluster, client, tokens, &report)
                if report.abandoned.count < Self.maximumAbandoned { try await heal(cluster, client, domains) }
            } catch {
                await client.shutDown()
                throw error
            }
            await client.shutDown()
            try await Task.sleep(for: Self.rest)
            let now = SystemClock.monotonic() - start
            for index in curves.indices {
                let node = NodeName(curves[index].node)
                guard let process = NodeProcess.find(node, of: cluster.topology.file),
                    let sample = ResourceProbe.sample(process, at: now)
                else { continue }
                curves[index].add(sample)
            }
        }
        report.finish(curves, after: SystemClock.monotonic() - start)
        return report
    }

    /// Whether a node grows is seen only while it lives: in the second half of the soak none is killed, so that each
    /// has a life as long as that.
    func mayKill(after done: Int, _ elapsed: Duration) -> Bool {
        elapsed * 2 < duration && done < rounds - rounds / 2
    }

    private func round(
        _ number: Int, _ drill: DrillFile, _ cluster: DrillCluster, _ client: ClusterClient,
        _ tokens: [DomainName: DrillCredentials], _ report: inout SoakReport
    ) async throws {
        do {
            let session = try await DrillSession(
                drill: drill, cluster: cluster, client: client,
                tokens: tokens[drill.load.domain] ?? DrillCredentials(admin: nil, service: nil), progress: { _ in })
            let result = try await session.run(cleanUp: true)
            report.add(result, round: number, topology: cluster.topology)
            progress(Self.line(number, drill, result))
        } catch let failure as DrillFailure {
            report.abandon("round \(number), \(drill.name): \(failure)")
            progress("round \(number) was abandoned: \(failure)")
        }
    }

    /// Takes back whatever a round has left: every node runs, is not paused and not drained, and every domain has its
    /// copies.
    private func heal(_ cluster: DrillCluster, _ client: ClusterClient, _ domains: [DomainName]) async throws {
        for node in cluster.topology.nodes
        where NodeProcess.signal(SIGCONT, node.name, of: cluster.topology.file) == nil {
            try await cluster.start(node.name)
        }
        for node in await client.status()?.nodes ?? [] where node.status == .draining || node.status == .drained {
            _ = await client.order(.undrain(NodeName(node.name)))
        }
        try await waitUntilReady(cluster, client, domains, isStarting: false)
    }

    private func waitUntilReady(
        _ cluster: DrillCluster, _ client: ClusterClient, _ domains: [DomainName], isStarting: Bool
    ) async throws {
        for domain in domains {
            try await cluster.waitUntilReady(client, domain: domain.rawValue, isStarting: isStarting)
        }
    }

    private static func line(_ round: Int, _ drill: DrillFile, _ report: DrillReport) -> String {
        let faults = report.faults.map { "\($0.step) (\($0.node))" }.joined(separator: ", ")
        let clients = drill.load.sip == nil ? "" : "phones, "
        return
            "round \(round): \(clients)\(faults.isEmpty ? drill.name : faults): \(report.acknowledged) acknowledged, "
            + "lost \(report.lost), stale \(report.stale), duplicated \(report.duplicated), order \(report.order)"
    }
}
