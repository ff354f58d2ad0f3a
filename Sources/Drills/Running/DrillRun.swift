import ClusterClients
package import ClusterRuntime
import Foundation
package import RegistrarEvents

/// Carries out a drill once: cluster, load, faults, judgement.
package struct DrillRun: Sendable {
    package var drill: DrillFile
    package var topology: Topology
    /// The `rollcall` binary that the cluster is started with.
    package var executable: String
    /// Whether to rehearse on the cluster that runs, instead of one of the drill's own.
    package var useRunning: Bool
    /// Issues the tokens for a cluster and a domain; asked once the drill's own cluster has its own secret.
    package var credentials: @Sendable (Topology, DomainName) async throws -> DrillCredentials
    /// Told what goes on.
    package var progress: @Sendable (String) -> Void

    package init(
        drill: DrillFile, topology: Topology, executable: String, useRunning: Bool = false,
        credentials: @escaping @Sendable (Topology, DomainName) async throws -> DrillCredentials,
        progress: @escaping @Sendable (String) -> Void
    ) {
        self.drill = drill
        self.topology = topology
        self.executable = executable
        self.useRunning = useRunning
        self.credentials = credentials
        self.progress = progress
    }

    /// - Throws: `DrillFailure`, and errors of files. The cluster's logs are kept when it did not pass, and named.
    package func run() async throws -> DrillReport {
        let problems = drill.problems(with: topology)
        guard problems.isEmpty else { throw DrillFailure.badFile(problems) }
        if PrivateNetwork.isEntered { try await HostNetwork.startLoopback() }
        let cluster =
            useRunning
            ? DrillCluster.running(topology, executable: executable)
            : try await DrillCluster.privateCopy(of: topology, executable: executable)
        let tokens = try await credentials(cluster.topology, drill.load.domain)
        let client = ClusterClient(topology: cluster.topology, token: tokens.admin)
        do {
            // In a network of its own the drill is alone.
            if !useRunning, !PrivateNetwork.isEntered { try await cluster.refuseWhenRunning(client) }
            if drill.needsDisks { try await cluster.makeDisks() }
            progress(useRunning ? "using the running cluster" : "starting the cluster")
            try await cluster.start()
            try await cluster.waitUntilReady(client, domain: drill.load.domain.rawValue)
            let session = try await DrillSession(
                drill: drill, cluster: cluster, client: client, tokens: tokens, progress: progress
            )
            let report = try await session.run(cleanUp: useRunning)
            await cluster.finish(client, keepLogs: !report.ok, progress)
            return report
        } catch {
            await cluster.finish(client, keepLogs: cluster.directory != nil, progress)
            throw error
        }
    }
}
