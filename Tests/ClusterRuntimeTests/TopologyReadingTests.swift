import ClusterRuntime
import Digests
import Foundation
import RegistrarEvents
import Testing

@Suite struct TopologyReadingTests {
    @Test func localTopologyIsTheDocumentedCluster() throws {
        let path = TopologyFixture.repository + "/topology/local.yaml"
        let topology = try Topology.load(path: path)
        #expect(topology.nodes(of: .router).map(\.adminPort) == [8080, 8081])
        #expect(topology.nodes(of: .sr).map(\.adminPort) == [8111, 8112, 8113])
        #expect(topology.nodes(of: .sr).map(\.clusterPort) == [7101, 7102, 7103])
        #expect(topology.nodes(of: .sr).map(\.server) == ["host-a", "host-b", "host-c"])
        #expect(topology.nodes(of: .wssubscr).map(\.websocket?.port) == [8101, 8102])
        #expect(topology.nodes(of: .sg).map(\.adminPort) == [8131])
        #expect(topology.nodes(of: .sg).map(\.sip) == [SIPListen(udp: 5060, tcp: 5060)])
        #expect(topology.domains.map(\.name.rawValue) == ["demo.example", "acme.example"])
        #expect(topology.domains.map(\.replicas) == [2, 2])
        #expect(topology.adminIsOpen)
        #expect(topology.periods == Periods())
        #expect(topology.journalPath(of: NodeName("sr1")).hasSuffix("topology/var/journal/sr1"))
    }

    @Test func bothExampleTopologiesCanRunAtOnce() throws {
        let root = TopologyFixture.repository + "/topology/"
        let local = try Topology.load(path: root + "local.yaml")
        let single = try Topology.load(path: root + "single.yaml")
        let ports = (local.nodes + single.nodes).flatMap { node in
            [node.clusterPort, node.adminPort] + [node.websocket?.port, node.sip?.udp].compactMap { $0 }
        }
        #expect(Set(ports).count == ports.count)
        #expect(local.coordinator != single.coordinator)
        #expect(local.journal != single.journal)
    }

    @Test func everyTopologyOfTheRepositoryIsValid() throws {
        let folder = TopologyFixture.repository + "/topology"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            .filter { $0.hasSuffix(".yaml") && $0 != "accounts.yaml" }
        #expect(names.count >= 6)
        for name in names { #expect(throws: Never.self) { try Topology.load(path: "\(folder)/\(name)") } }
    }

    @Test func aSoakRunsTheLocalClusterWithSmallerRings() throws {
        let folder = TopologyFixture.repository + "/topology/"
        let local = try Topology.load(path: folder + "local.yaml")
        let soak = try Topology.load(path: folder + "soak.yaml")
        #expect(soak.nodes == local.nodes && soak.domains == local.domains && soak.periods == local.periods)
        #expect(soak.limits.ringEntries < local.limits.ringEntries)
    }

    @Test func pathsAreRelativeToTheFile() throws {
        let topology = try Topology.parse(
            TopologyFixture.replacing("var/router.db", "/abs/router.db"), path: "/etc/rollcall/cluster.yaml")
        #expect(topology.secret == .file(path: "/etc/rollcall/var/secret"))
        #expect(topology.coordinator == .embedded(path: "/abs/router.db"))
        #expect(topology.directory == .file(path: "/etc/rollcall/accounts.yaml"))
        let database = TopologyFixture.replacing(
            "kind: file, path: accounts.yaml", "kind: sqlite, path: var/accounts.db")
        #expect(
            try Topology.parse(database, path: "/etc/rollcall/t.yaml").directory
                == .sqlite(path: "/etc/rollcall/var/accounts.db"))
        #expect(topology.journal == "/etc/rollcall/var/journal")
    }

    @Test func everySettingOfADomainIsRead() throws {
        let text = TopologyFixture.replacing(
            "replicas: 2 }",
            "replicas: 1, limits: { contacts: 2_000, devices: 4 }, expires: { min: 60, max: 2m }, "
                + "availability: accept, digest: [MD5, SHA-256] }")
        let domain = try #require(try Topology.parse(text, path: "t.yaml").domains.first)
        #expect(domain.replicas == 1)
        #expect(domain.contacts == 2000)
        #expect(domain.devices == 4)
        #expect(domain.minimumExpires == .seconds(60))
        #expect(domain.maximumExpires == .seconds(120))
        #expect(domain.availability == .accept)
        #expect(domain.digest == [.md5, .sha256])
    }

    @Test func domainsTakeTheClusterWideLimits() throws {
        let text =
            TopologyFixture.text + "\nlimits: { contacts_per_domain: 5000, devices: 3, ring_bytes: 32MiB }"
        let topology = try Topology.parse(text, path: "t.yaml")
        #expect(topology.domains.map(\.contacts) == [5000])
        #expect(topology.domains.map(\.devices) == [3])
        #expect(topology.limits.ringBytes == 32 << 20)
    }

    @Test func routersComeInTheirOrder() throws {
        let text =
            TopologyFixture.replacing("router, cluster: 7001", "router, order: 2, cluster: 7001")
            + "\n          - { name: zeta, role: router, order: 1, weight: 7, cluster: 7002, admin: 8081 }"
        let routers = try Topology.parse(text, path: "t.yaml").nodes(of: .router)
        #expect(routers.map(\.name.rawValue) == ["zeta", "router1"])
        #expect(routers.map(\.weight) == [7, NodeSpec.defaultWeight])
    }

    @Test func everyListenerOfAGatewayIsRead() throws {
        let gateway = try Topology.parse(TopologyFixture.withGateway, path: "t.yaml").nodes(of: .sg).first
        #expect(gateway?.sip == SIPListen(udp: 5060, tcp: 5060))
        let text = TopologyFixture.withGateway.replacing(
            "tcp: 5060",
            with: "tls: { listen: 5061, cert: c.pem, key: /k.pem }, ws: 5062, open: true, "
                + "service_route: [sip:edge.example;lr, \"sips:in@[::1]:5061;transport=tls;lr\"], "
                + "shared: [192.0.2.1, \"2001:db8::7\"]")
        let full = try Topology.parse(text, path: "/t/t.yaml").nodes(of: .sg).first
        #expect(
            full?.sip
                == SIPListen(
                    udp: 5060, tls: .init(port: 5061, files: TLSFiles(certificatePath: "/t/c.pem", keyPath: "/k.pem")),
                    ws: 5062,
                    isOpen: true,
                    serviceRoute: ["sip:edge.example;lr", "sips:in@[::1]:5061;transport=tls;lr"],
                    sharedNetworks: ["192.0.2.1", "2001:db8::/64"]))
    }

    @Test func everythingAboutWebSocketsIsRead() throws {
        func listen(_ keys: String) throws -> WebSocketListen? {
            let text = TopologyFixture.replacing("{ listen: 8101 }", "{ listen: 8101\(keys) }")
            return try Topology.parse(text, path: "/t/t.yaml").nodes(of: .wssubscr).first?.websocket
        }
        #expect(try listen("") == WebSocketListen(port: 8101))
        let app = try #require(OriginPattern("https://app.example"))
        let below = try #require(OriginPattern("*.apps.example"))
        #expect(
            try listen(
                ", tls: { cert: c.pem, key: /k.pem }, origins: [https://app.example, \"*.apps.example\"], "
                    + "deflate: false, diagnostics: true")
                == WebSocketListen(
                    port: 8101, tls: TLSFiles(certificatePath: "/t/c.pem", keyPath: "/k.pem"), origins: [app, below],
                    deflates: false, hasDiagnostics: true))
    }

    @Test func tokenKeysOfOtherIssuersAreRead() throws {
        let text =
            TopologyFixture.text + """

                jwt:
                  keys:
                    - { alg: HS256, secret: { file: keys/shared } }
                    - { kid: sso, alg: ES256, public_key: { file: keys/sso.pem } }
                """
        let keys = try Topology.parse(text, path: "/t/t.yaml").tokens.keys
        #expect(keys.map(\.keyID) == [nil, "sso"])
        #expect(keys.map(\.algorithm) == [.hs256, .es256])
        #expect(keys.map(\.path) == ["/t/keys/shared", "/t/keys/sso.pem"])
    }
}
