import ClusterClients
import ClusterRuntime
import EtcdFixture
import Foundation
import NodeProcesses
import Testing

/// A cluster whose routers agree through etcd: real nodes, real members, and each of them lost.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct EtcdClusterTests {
    /// A cluster with three members of etcd, and a client with an admin's token.
    private struct Scene {
        let cluster: TestCluster
        let members: EtcdMembers
        let client: ClusterClient

        func register(_ contact: String, through node: String = "sr1") async throws -> WriteAnswer {
            let node = try #require(cluster.topology.node(named: NodeName(node)))
            return await client.register(
                contact, in: TestCluster.domain, ttl: .seconds(600), through: node, timeout: .seconds(5))
        }

        /// Asked with little patience: a router that is stopped does not answer.
        func active() async -> ClusterStatus.Router? {
            await client.status(timeout: .milliseconds(200))?.routers.first { $0.state == .active }
        }

        /// Everything that the routers have stored, once they have had nothing to change for a while.
        func stored() async throws -> String {
            var stored = ""
            try await eventually("the routers have nothing to change", within: .seconds(30)) {
                let before = stored
                stored = try await members.etcdctl("get", "--prefix", "/rollcall/test/")
                if stored != before { try await Task.sleep(for: .milliseconds(1500)) }
                return stored == before
            }
            return stored
        }

        func health(_ router: String) async throws -> NodeHealth {
            await client.health(of: try #require(cluster.topology.node(named: NodeName(router))))
        }
    }

    private func whileUp(_ body: (Scene) async throws -> Void) async throws {
        try await EtcdMembers.with { members in
            let endpoints = members.endpoints.joined(separator: ", ")
            let cluster = try TestCluster(coordinator: "{ kind: etcd, endpoints: [\(endpoints)] }")
            defer { cluster.remove() }
            try await cluster.whileUp { cluster, _ in
                let (ending, token) = try await cluster.run("token", cluster.topologyFile, "--admin")
                try #require(ending == .exited(0), "\(token)")
                let client = ClusterClient(
                    topology: cluster.topology, token: token.trimmingCharacters(in: .whitespacesAndNewlines))
                do {
                    try await body(Scene(cluster: cluster, members: members, client: client))
                } catch {
                    await client.shutDown()
                    throw error
                }
                await client.shutDown()
            }
        }
    }

    private func isAcknowledged(_ answer: WriteAnswer) -> Bool {
        if case .acknowledged = answer { true } else { false }
    }

    @Test func registrationsGoOnWithoutEtcdAndWithoutRouters() async throws {
        try await whileUp { scene in
            let before = try #require(await scene.active())
            #expect(isAcknowledged(try await scene.register("before")))
            for member in scene.members.members { await scene.members.kill(member) }
            try await eventually("a router tells that etcd is away") {
                await scene.client.status()?.coordinator?.state == .unreachable
            }
            let (ending, text) = try await scene.cluster.run("status", scene.cluster.topologyFile)
            #expect(ending == .exited(0))
            #expect(text.contains("coordinator: unreachable since 20"), "\(text)")
            try await eventually("nobody leads any more") { await scene.active() == nil }
            guard case .unhealthy(let reasons) = try await scene.health("router1") else {
                Issue.record("router1 is well without etcd")
                return
            }
            #expect(reasons.contains("no router leads") && reasons.contains("unreachable since"))
            for number in 1...20 {
                let answer = try await scene.register("c\(number)", through: "ws\(1 + number % 2)")
                #expect(isAcknowledged(answer), "\(answer)")
            }

            for name in ["router1", "router2"] {
                _ = try #require(NodeProcess.signal(SIGKILL, NodeName(name), of: scene.cluster.topologyFile))
            }
            for number in 21...40 {
                let answer = try await scene.register("c\(number)", through: "ws\(1 + number % 2)")
                #expect(isAcknowledged(answer), "\(answer)")
            }
            // The supervisor has started the routers again; without etcd none of them leads.
            try await eventually("the routers are back") {
                await scene.client.status()?.coordinator?.state == .unreachable
            }
            #expect(await scene.active() == nil)

            for member in scene.members.members { try await scene.members.start(member) }
            try await eventually("a router leads", within: .seconds(30)) { await scene.active() != nil }
            #expect(try #require(await scene.active()).term > before.term)
            try await eventually("the status recovers") {
                let status = try await scene.cluster.status()
                return status.coordinator?.state == .reachable
                    && status.domains.allSatisfy { $0.owner != nil && $0.standbys.contains(where: \.inSync) }
            }
            #expect(try await scene.client.contacts(of: TestCluster.domain).count == 41)
            let status = try await scene.cluster.domainStatus()
            #expect(status.epoch == 1, "no owner was lost")
        }
    }

    @Test func aPausedRouterThatWakesChangesNothing() async throws {
        try await whileUp { scene in
            let paused = try #require(await scene.active())
            let file = scene.cluster.topologyFile
            _ = try #require(NodeProcess.signal(SIGSTOP, NodeName(paused.name), of: file))
            let began = SystemClock.monotonic()
            try await eventually("another router leads") {
                guard let active = await scene.active() else { return false }
                return active.name != paused.name
            }
            let took = SystemClock.monotonic() - began
            print("a router stops: another leads after \(took)")
            #expect(took <= .seconds(3))
            let next = try #require(await scene.active())
            #expect(next.term == paused.term + 1)
            #expect(isAcknowledged(try await scene.register("while-paused")))

            // The owner is lost while the first leader sleeps, so there is something that it does not know.
            let owner = try #require(try await scene.cluster.domainStatus().owner)
            _ = try #require(NodeProcess.signal(SIGKILL, NodeName(owner), of: file))
            try await eventually("the cluster is whole again", within: .seconds(30)) {
                let domain = try await scene.cluster.domainStatus()
                return domain.epoch == 2 && domain.standbys.contains(where: \.inSync)
            }
            let stored = try await scene.stored()
            #expect(stored.contains("\"router\":\"\(next.name)\""))
            _ = try #require(NodeProcess.signal(SIGCONT, NodeName(paused.name), of: file))
            try await eventually("the woken router stands by") {
                let log = try String(
                    contentsOfFile: "\(scene.cluster.directory)/var/log/\(paused.name).log", encoding: .utf8)
                return log.contains("no longer leads in term \(paused.term)")
            }
            #expect(try await scene.stored() == stored)
            let active = try await scene.cluster.status().routers.filter { $0.state == .active }
            #expect(active.map(\.name) == [next.name])
        }
    }

    @Test func theKilledRouterIsReplacedInAHigherTerm() async throws {
        try await whileUp { scene in
            for round in 1...3 {
                let killed = try #require(await scene.active())
                let other = killed.name == "router1" ? "router2" : "router1"
                let file = scene.cluster.topologyFile
                // Stopped first, so that the supervisor does not start it again before its lease is over.
                let pid = try #require(NodeProcess.signal(SIGSTOP, NodeName(killed.name), of: file))
                let began = SystemClock.monotonic()
                try await eventually("\(other) leads") { await scene.active()?.name == other }
                let took = SystemClock.monotonic() - began
                print("router lost, round \(round): \(other) leads after \(took)")
                #expect(took <= .seconds(3))
                kill(pid, SIGKILL)
                #expect(try #require(await scene.active()).term == killed.term + 1)
                try await eventually("\(killed.name) is back", within: .seconds(20)) {
                    await scene.client.status()?.routers.contains { $0.name == killed.name && $0.state == .standby }
                        ?? false
                }
            }
            // One that is started anew takes over from its earlier life at once.
            let killed = try #require(await scene.active())
            _ = try #require(
                NodeProcess.signal(SIGKILL, NodeName(killed.name), of: scene.cluster.topologyFile))
            try await eventually("somebody leads in a higher term", within: .seconds(3)) {
                guard let active = await scene.active() else { return false }
                return active.term > killed.term
            }
            #expect(isAcknowledged(try await scene.register("after")))
        }
    }

    @Test func aRouterThatEtcdRefusesSaysSoInItsHealth() async throws {
        try await EtcdMembers.with(1) { members in
            let secret = "password: { file: etcd-password }"
            let cluster = try TestCluster(
                coordinator: "{ kind: etcd, endpoints: [\(members.endpoints[0])], user: rollcall, \(secret) }")
            defer { cluster.remove() }
            let isWritten = FileManager.default.createFile(
                atPath: "\(cluster.directory)/etcd-password", contents: Data("wrong".utf8),
                attributes: [.posixPermissions: 0o600])
            try #require(isWritten)
            try await members.etcdctl("user", "add", "root:root")
            try await members.etcdctl("user", "grant-role", "root", "root")
            try await members.etcdctl("user", "add", "rollcall:right")
            try await members.etcdctl("auth", "enable")
            let node = try await cluster.start("node", cluster.topologyFile, "router1", log: "router1")
            let client = ClusterClient(topology: cluster.topology, token: nil)
            let router = try #require(cluster.topology.node(named: NodeName("router1")))
            do {
                try await eventually("its health says why") {
                    guard case .unhealthy(let reasons) = await client.health(of: router) else { return false }
                    return reasons.contains("user rollcall: authentication failed, invalid user ID or password")
                }
            } catch {
                Issue.record("\(error)\n\(cluster.output("router1"))")
            }
            await client.shutDown()
            await node.stop(grace: .seconds(5))
            #expect(node.ending == .exited(0))
        }
    }
}
