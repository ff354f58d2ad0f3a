import ClusterRuntime
import ClusterClients
import Foundation
import RegistrarEvents
import Synchronization

/// Keeps registering over REST, one account after the other, in each of the domains in turn.
final class RegistrationLoad: Sendable {
    private struct State {
        var isStopped = false
        var acknowledged: [DomainName: Set<String>] = [:]
        var failures: [String] = []
    }

    let client: ClusterClient
    private let domains: [DomainName]
    private let state = Mutex(State())

    init(_ cluster: TestCluster, in domains: [DomainName] = [TestCluster.domain]) async throws {
        client = try await cluster.client()
        self.domains = domains
    }

    var acknowledged: [DomainName: Set<String>] { state.withLock(\.acknowledged) }
    var failures: [String] { state.withLock(\.failures) }

    func stop() { state.withLock { $0.isStopped = true } }

    func run() async {
        guard let node = client.topology.node(named: NodeName("ws1")) else { return }
        for number in 0... {
            if state.withLock(\.isStopped) { return }
            let (name, domain) = ("load-\(number)", domains[number % domains.count])
            let answer = await client.register(
                name, in: domain, ttl: .seconds(3600), through: node, timeout: .seconds(20))
            state.withLock { state in
                if case .acknowledged = answer {
                    state.acknowledged[domain, default: []].insert(name)
                } else {
                    state.failures.append("\(answer)")
                }
            }
            try? await Task.sleep(for: .milliseconds(20))  // Nobody cancels it.
        }
    }
}

extension TestCluster {
    /// Speaks to admin addresses, by the topology file as it is now.
    func client() async throws -> ClusterClient {
        let (_, printed) = try await run("token", topologyFile, "--admin")
        let token = String(printed.split(separator: "\n").last ?? "")
        return ClusterClient(topology: try Topology.load(path: topologyFile), token: token)
    }
}
