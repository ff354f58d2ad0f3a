import ClusterRuntime
import Foundation
import Testing

/// The coordinator section with etcd in it.
@Suite struct TopologyEtcdTests {
    private static let secure =
        "{ kind: etcd, endpoints: [https://a.example:2379], tls: { ca: ca.pem, cert: c.pem, key: /k.pem }, "
        + "user: rollcall, password: { file: var/etcd-password } }"

    private static func text(_ coordinator: String) -> String {
        TopologyFixture.replacing("{ kind: embedded, path: var/router.db }", coordinator)
    }

    private func etcd(_ coordinator: String) throws -> EtcdSpec {
        guard case .etcd(let spec) = try Topology.parse(Self.text(coordinator), path: "/t/t.yaml").coordinator else {
            Issue.record("not etcd")
            return EtcdSpec(endpoints: [""], prefix: "")
        }
        return spec
    }

    @Test func anEndpointIsAllThatIsNeeded() throws {
        #expect(
            try etcd("{ kind: etcd, endpoints: [http://127.0.0.1:2379] }")
                == EtcdSpec(endpoints: ["http://127.0.0.1:2379"], prefix: "/rollcall/test"))
    }

    @Test func everySettingIsRead() throws {
        #expect(
            try etcd(Self.secure.replacing("kind: etcd", with: "kind: etcd, prefix: /apps/rollcall"))
                == EtcdSpec(
                    endpoints: ["https://a.example:2379"], prefix: "/apps/rollcall",
                    tls: .init(caPath: "/t/ca.pem", certificatePath: "/t/c.pem", keyPath: "/k.pem"),
                    login: .init(user: "rollcall", passwordPath: "/t/var/etcd-password")))
    }

    @Test func endpointsAreBroughtIntoOneForm() throws {
        let given = "[http://Etcd-1.example, \"http://[::1]:23790/\", http://10.0.0.1:2379]"
        #expect(
            try etcd("{ kind: etcd, endpoints: \(given) }").endpoints
                == ["http://etcd-1.example:2379", "http://[::1]:23790", "http://10.0.0.1:2379"])
    }

    @Test(arguments: [
        SpoiltTopology(
            "https://a.example:2379", "a.example:2379",
            "coordinator.endpoints[1]: found `a.example:2379`; expected a URL such as http://127.0.0.1:2379: scheme, "
                + "host and port alone"),
        SpoiltTopology(
            "https://a.example:2379", "https://a.example:2379/v3",
            "coordinator.endpoints[1]: found `https://a.example:2379/v3`; expected a URL such as "
                + "http://127.0.0.1:2379: scheme, host and port alone"),
        SpoiltTopology(
            "https://a.example:2379", "https://me:pw@a.example",
            "coordinator.endpoints[1]: found `https://me:pw@a.example`; expected a URL such as "
                + "http://127.0.0.1:2379: scheme, host and port alone"),
        SpoiltTopology(
            "https://a.example:2379", "https://a.example:99999",
            "coordinator.endpoints[1]: found `https://a.example:99999`; expected a URL such as "
                + "http://127.0.0.1:2379: scheme, host and port alone"),
        SpoiltTopology(
            "https://a.example:2379", "", "coordinator.endpoints: no endpoint; expected at least one"),
        SpoiltTopology(
            "endpoints: [https://a.example:2379], ", "",
            "coordinator: endpoints is missing; expected a list such as [http://127.0.0.1:2379]"),
        SpoiltTopology(
            "https://a.example:2379", "https://a.example:2379, https://A.example",
            "coordinator.endpoints[2]: https://a.example:2379 twice; expected each endpoint once"),
        SpoiltTopology(
            "https://a.example:2379", "https://a.example:2379, http://b.example",
            "coordinator.endpoints[2]: http and https; expected one of them for all endpoints"),
        SpoiltTopology(
            "https://a.example:2379", "http://127.0.0.1:2379",
            "coordinator.tls: not for http://127.0.0.1:2379; expected https endpoints"),
        SpoiltTopology(
            "https://a.example:2379", "http://a.example:2379",
            "coordinator.user: a password for http://a.example:2379; expected https, or http on loopback alone"),
        SpoiltTopology(
            ", key: /k.pem", "",
            "coordinator.tls: cert or key alone; expected both, or none where etcd asks for no client certificate"),
        SpoiltTopology(
            "ca: ca.pem", "cas: ca.pem", "unknown key `coordinator.tls.cas`; expected `ca`"),
        SpoiltTopology(
            "user: rollcall, ", "", "coordinator.password: a password without user; expected user as well"),
        SpoiltTopology(
            ", password: { file: var/etcd-password }", "",
            "coordinator: password is missing; expected { file: PATH }, for user"),
        SpoiltTopology(
            "{ file: var/etcd-password }", "secret",
            "coordinator.password: found `secret`; expected a mapping with file"),
        SpoiltTopology(
            "kind: etcd", "kind: etcd, prefix: rollcall/",
            "coordinator.prefix: found `rollcall/`; expected a key's beginning such as /rollcall/main, without a slash "
                + "at its end"),
        SpoiltTopology(
            "kind: etcd", "kind: etcd, path: var/router.db",
            "coordinator.path: not for kind etcd; expected endpoints, prefix, tls, user, password"),
        SpoiltTopology(
            "kind: etcd", "kind: etcd, endpoint: x", "unknown key `coordinator.endpoint`; expected `endpoints`"),
    ])
    func oneMistakeIsToldWithItsLine(_ spoilt: SpoiltTopology) {
        let problems = TopologyFixture.problems(
            in: Self.text(Self.secure.replacing(spoilt.old, with: spoilt.new)))
        #expect(problems.contains("t.yaml:3: " + spoilt.told), "told: \(problems)")
    }

    @Test func routersOfSeveralMachinesShareEtcd() {
        let other = """
                  - name: host-b
                    address: 10.0.0.2
                    nodes:
                      - { name: router2, role: router, cluster: 7001, admin: 8080 }
            """
        let indented = other.split(separator: "\n").map { "\n" + $0 }.joined()
        #expect(TopologyFixture.problems(in: Self.text(Self.secure) + indented) == [])
    }

    @Test func theExampleOfTwoSitesIsTheDocumentedCluster() throws {
        let topology = try Topology.load(path: TopologyFixture.repository + "/topology/two-sites-etcd.yaml")
        guard case .etcd(let spec) = topology.coordinator else {
            Issue.record("not etcd")
            return
        }
        #expect(spec.prefix == "/rollcall/two-sites")
        #expect(spec.endpoints.count == 3)
        #expect(topology.sites.count == 2)
        let servers = topology.sites.flatMap(\.servers)
        #expect(Set(servers.map(\.address)).count == servers.count)
        #expect(Set(topology.nodes(of: .router).map(\.site)).count == 2)
        #expect(Set(topology.nodes(of: .sr).map(\.site)).count == 2)
    }
}
