import ClusterClients
import ClusterRuntime
import Foundation
import NodeProcesses
import RegistrarEvents
import Testing

/// Changed topologies in a running cluster of real processes, under registrations.
@Suite(.serialized, .timeLimit(.minutes(6)))
struct ApplyTests {
    @Test func domainsAndNodesComeAndGoWhileRegistrationsGoOn() async throws {
        let cluster = try TestCluster(sparePorts: 5)
        defer { cluster.remove() }
        let original = try String(contentsOfFile: cluster.topologyFile, encoding: .utf8)
        let ports = cluster.sparePorts
        let larger = Self.larger(original, ports)
        try await cluster.whileUp { cluster, _ in
            let load = try await RegistrationLoad(cluster)
            let running = Task { await load.run() }
            try await grow(cluster, larger)
            try await useAndRemove(cluster, larger, sipPort: ports[4])
            try await replaceNode(cluster, larger)
            load.stop()
            await running.value
            #expect(load.failures == [])
            let listed = try await load.client.contacts(of: TestCluster.domain).map(\.account)
            #expect(Set(listed) == load.acknowledged[TestCluster.domain])
            await load.client.shutDown()
        }
        try await startWithTheOldFile(cluster, original)
    }

    @Test func whatCannotBeChangedIsRefusedAndABadFileIsToldWhole() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let original = try String(contentsOfFile: cluster.topologyFile, encoding: .utf8)
        let file = cluster.topologyFile
        #expect(try await cluster.run("apply", file, "--timeout", "1").ending == .exited(3))
        try await cluster.whileUp { cluster, _ in
            let (same, text) = try await cluster.run("apply", file)
            #expect(same == .exited(0) && text.contains("is what the cluster goes by (version 0)"), "\(text)")
            try Self.write(original.replacing("cluster: test", with: "cluster: other"), cluster)
            let (refused, why) = try await cluster.run("apply", file)
            #expect(refused == .exited(1) && why.contains("cluster is other"), "\(why)")
            try Self.write(original.replacing("replicas: 2", with: "replicas: 9, colour: red"), cluster)
            let (bad, problems) = try await cluster.run("apply", file)
            #expect(bad == .exited(2) && problems.contains("test.yaml:8:"), "\(problems)")
            try Self.write(original.replacing("replicas: 2", with: "replicas: 1"), cluster)
            #expect(try await cluster.run("apply", file).ending == .exited(0))
            #expect(try await cluster.domainStatus().standbys.isEmpty)
            #expect(try await cluster.status().topology == 1)
        }
    }

    /// All machines learn of a topology at one time: none of their nodes may be restarted for it then.
    @Test func listenersWaitForARollingRestartAndTheRouterThatLeadsCanBeReplaced() async throws {
        let cluster = try TestCluster(sparePorts: 1)
        defer { cluster.remove() }
        let original = try String(contentsOfFile: cluster.topologyFile, encoding: .utf8)
        let file = cluster.topologyFile
        try await cluster.whileUp { cluster, _ in
            let stranger = "\(cluster.directory)/elsewhere/test.yaml"
            try FileManager.default.createDirectory(
                atPath: "\(cluster.directory)/elsewhere", withIntermediateDirectories: true)
            try original.write(toFile: stranger, atomically: true, encoding: .utf8)
            for verb in ["apply", "status"] {
                let (ending, text) = try await cluster.run(verb, stranger)
                #expect(ending == .exited(3), "\(text)")
                #expect(text.contains("HTTP 401") && text.contains("elsewhere/var/secret, nobody is let in"), "\(text)")
            }

            let port = try #require(cluster.topology.node(named: NodeName("ws1"))?.websocket?.port)
            let moved = original.replacing("listen: \(port) ", with: "listen: \(cluster.sparePorts[0]) ")
            try Self.write(moved, cluster)
            let before = try await cluster.status().nodes.first { $0.name == "ws1" }?.incarnation
            let (applied, text) = try await cluster.run("apply", file)
            #expect(applied == .exited(0) && text.contains("--rolling --only ws1"), "\(text)")
            try await eventually("up has seen it") { cluster.output("up").contains("waits for a restart of ws1") }
            let waiting = try await cluster.status().nodes.first { $0.name == "ws1" }
            #expect(waiting?.incarnation == before && waiting?.needsRestart == true)
            let (restarted, output) = try await cluster.run("restart", file, "--rolling", "--only", "ws1")
            #expect(restarted == .exited(0), "\(output)")
            let fresh = try await cluster.status().nodes.first { $0.name == "ws1" }
            #expect(fresh?.incarnation != before && fresh?.needsRestart == nil)

            let leader = try #require(try await cluster.status().routers.first { $0.state == .active }?.name)
            let lines = moved.split(separator: "\n", omittingEmptySubsequences: false)
            try Self.write(lines.filter { !$0.contains("name: \(leader),") }.joined(separator: "\n"), cluster)
            let (replaced, said) = try await cluster.run("apply", file)
            #expect(replaced == .exited(0), "\(said)")
            try await eventually("the other router leads") {
                let status = try await cluster.status()
                return status.topology == 2 && status.routers.map(\.state) == [.active]
                    && status.routers.first?.name != leader
            }
        }
    }

    /// An owner that is stopped hands nothing over, and is not found to be down for long.
    @Test func aChangeThatIsNotActivatedSaysWhatItHasDrained() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let original = try String(contentsOfFile: cluster.topologyFile, encoding: .utf8)
            .replacing("restart_grace: 1s", with: "down: 20s, restart_grace: 20s, request_deadline: 40s")
            // No server is left without nodes, whichever of them owns the domain.
            .replacing(
                "      - name: host-c\n        address: 127.0.0.1\n        nodes:\n", with: "")
        try Self.write(original, cluster)
        let file = cluster.topologyFile
        try await cluster.whileUp { cluster, _ in
            let owner = try #require(try await cluster.domainStatus().owner)
            let lines = original.split(separator: "\n", omittingEmptySubsequences: false)
            try Self.write(lines.filter { !$0.contains("name: \(owner),") }.joined(separator: "\n"), cluster)
            #expect(NodeProcess.signal(SIGSTOP, NodeName(owner), of: file) != nil)
            let (ending, text) = try await cluster.run("apply", file, "--timeout", "2")
            #expect(NodeProcess.signal(SIGCONT, NodeName(owner), of: file) != nil)
            #expect(ending == .exited(1), "\(text)")
            #expect(text.contains("the drain of \(owner) goes on"), "\(text)")
            #expect(text.contains("not activated, as far as is known, and \(owner) stays drained"), "\(text)")
            #expect(try await cluster.status().topology == 0)
            // The drain has gone on by itself, and what was missing follows.
            let (repeated, said) = try await cluster.run("apply", file)
            #expect(repeated == .exited(0), "\(said)")
            #expect(try await cluster.status().topology == 1)
        }
    }

    // MARK: Steps

    private func grow(_ cluster: TestCluster, _ larger: String) async throws {
        try Self.write(larger, cluster)
        let (dry, shown) = try await cluster.run("apply", cluster.topologyFile, "--dry-run")
        #expect(dry == .exited(0), "\(shown)")
        for line in [
            "+ domain new.example, replicas 2", "+ sr node sr4 on host-c, 127.0.0.1", "+ sg node sg1",
            "new.example: owner none ->",
        ] { #expect(shown.contains(line), "\(shown)") }
        #expect(try await cluster.status().topology == 0)

        let (applied, text) = try await cluster.run("apply", cluster.topologyFile)
        #expect(applied == .exited(0), "\(text)")
        let status = try await cluster.status()
        #expect(status.topology == 1)
        #expect(status.nodes.filter { ["sr4", "sg1"].contains($0.name) }.map(\.status) == [.up, .up])
        #expect(status.nodes.allSatisfy { $0.topology == 1 && $0.needsRestart == nil })
        let domain = try #require(status.domains.first { $0.name == "new.example" })
        #expect(domain.owner != nil && domain.standbys.map(\.inSync) == [true])
    }

    private func useAndRemove(_ cluster: TestCluster, _ larger: String, sipPort: Int) async throws {
        let file = cluster.topologyFile
        let domain = try #require(DomainName("new.example"))
        let tail = try await cluster.start("tail", file, "--domain", "new.example", "--snapshot", "--json", log: "tail")
        let client = try await cluster.client()
        defer { Task { await client.shutDown() } }
        let through = try #require(client.topology.node(named: NodeName("ws2")))
        let answer = await client.register(
            "r1", in: domain, ttl: .seconds(600), through: through, timeout: .seconds(10))
        guard case .acknowledged = answer else { throw NotInTime(description: "registered by REST: \(answer)") }
        #expect(SIPOnce.register("p1", "new.example", port: sipPort) == 200)
        try await eventually("tail shows both") { cluster.output("tail").contains("\"p1\"") }

        try Self.write(larger.replacing(Self.domainLine, with: ""), cluster)
        let (asked, question) = try await cluster.run("apply", file)
        #expect(asked == .exited(1) && question.contains("--yes"), "\(question)")
        let (removed, text) = try await cluster.run("apply", file, "--yes")
        #expect(removed == .exited(0), "\(text)")
        #expect(await tail.wait() == .exited(1))
        let output = cluster.output("tail")
        #expect(output.contains("new.example was removed from the topology"), "\(output)")
        let lines = output.split(separator: "\n").filter { $0.contains("\"event\"") }
        #expect(lines.count { $0.contains("delete_aor") } == 2, "\(output)")
        #expect(lines.last?.contains("storage_cleared") == true, "\(output)")

        #expect(SIPOnce.register("p1", "new.example", port: sipPort) == 404)
        #expect(try await cluster.run("contacts", file, "--domain", "new.example").ending == .exited(2))
        let list = try await client.get(ClusterClient.contactsPath(domain), from: through)
        #expect(list.status == 404, "\(list.text)")
        #expect(try await cluster.status().domains.map(\.name) == ["demo.example"])
        for name in ["sr1", "sr2", "sr3", "sr4", "ws1", "ws2"] {
            let node = try #require(client.topology.node(named: NodeName(name)))
            let held = try await client.get("/rest/v1/registrar/verify", from: node).text
            #expect(!held.contains("new.example"), "\(name): \(held)")
        }
    }

    private func replaceNode(_ cluster: TestCluster, _ larger: String) async throws {
        let file = cluster.topologyFile
        let lines = larger.replacing(Self.domainLine, with: "").split(separator: "\n", omittingEmptySubsequences: false)
        try Self.write(lines.filter { !$0.contains("name: sr1,") }.joined(separator: "\n"), cluster)
        let (applied, text) = try await cluster.run("apply", file)
        #expect(applied == .exited(0), "\(text)")
        #expect(text.contains("it is drained first"), "\(text)")
        try await eventually("sr1 is stopped") { NodeProcess.find(NodeName("sr1"), of: file) == nil }
        let status = try await cluster.status()
        #expect(!status.nodes.contains { $0.name == "sr1" })
        let domain = try await cluster.domainStatus()
        #expect(domain.owner != "sr1" && domain.standbys.map(\.inSync) == [true])
        let (verified, found) = try await cluster.run("verify", file)
        #expect(verified == .exited(0), "\(found)")
    }

    /// What was activated wins over an older file on the disk, also when everything starts anew.
    private func startWithTheOldFile(_ cluster: TestCluster, _ original: String) async throws {
        try Self.write(original, cluster)
        try await cluster.whileUp { cluster, _ in
            let status = try await cluster.status()
            #expect(status.topology == 3)
            #expect(status.nodes.map(\.name).contains("sr4") && !status.nodes.map(\.name).contains("sr1"))
            #expect(cluster.output("up").contains("is not what the cluster goes by: version 3"))
            let (applied, text) = try await cluster.run("apply", cluster.topologyFile)
            #expect(applied == .exited(0), "\(text)")
            #expect(try await cluster.status().nodes.map(\.name).contains("sr1"), "back, as the file has it")
        }
    }

    // MARK: Files

    private static let domainLine = "  - { name: new.example, replicas: 2 }\n"

    private static func larger(_ original: String, _ ports: [Int]) -> String {
        let more =
            "\n          - { name: sr4, role: sr, cluster: \(ports[0]), admin: \(ports[1]) }"
            + "\n          - { name: sg1, role: sg, cluster: \(ports[2]), admin: \(ports[3]), "
            + "sip: { udp: \(ports[4]), open: true } }\n"
        return original.replacing("sites:\n", with: domainLine + "sites:\n") + more
    }

    private static func write(_ text: String, _ cluster: TestCluster) throws {
        try text.write(toFile: cluster.topologyFile, atomically: true, encoding: .utf8)
    }
}

/// A phone that sends one REGISTER over UDP, and again while nobody answers.
private enum SIPOnce {
    /// - Returns: the status of the final answer; nil without one.
    static func register(_ account: String, _ domain: String, port: Int) -> Int? {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { return nil }
        let id = UInt32.random(in: 0 ... .max)
        let request = """
            REGISTER sip:\(domain) SIP/2.0\r
            Via: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK\(id);rport\r
            From: <sip:\(account)@\(domain)>;tag=\(id)\r
            To: <sip:\(account)@\(domain)>\r
            Call-ID: \(id)@test\r
            CSeq: 1 REGISTER\r
            Max-Forwards: 70\r
            Contact: <sip:\(account)@127.0.0.1:5099>\r
            Expires: 600\r
            Content-Length: 0\r
            \r

            """
        let bytes = Array(request.utf8)
        for _ in 0..<20 {
            _ = send(descriptor, bytes, bytes.count, 0)
            var buffer = [UInt8](repeating: 0, count: 4_096)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 12 else { continue }
            let line = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
            if line.count > 1, let status = Int(line[1]), status >= 200 { return status }
        }
        return nil
    }
}
