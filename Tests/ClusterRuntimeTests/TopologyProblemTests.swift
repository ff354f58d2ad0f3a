import ClusterRuntime
import Foundation
import Testing

/// One thing spoilt, and what the operator is told.
struct SpoiltTopology: Sendable, CustomTestStringConvertible {
    let old: String
    let new: String
    let told: String

    init(_ old: String, _ new: String, _ told: String) {
        self.old = old
        self.new = new
        self.told = told
    }

    var testDescription: String { new }
}

@Suite struct TopologyProblemTests {
    @Test(arguments: [
        SpoiltTopology(
            "replicas: 2", "replica: 2", "t.yaml:6: unknown key `domains[1].replica`; expected `replicas`"),
        SpoiltTopology(
            "replicas: 2", "group: gold",
            "t.yaml:6: unknown key `domains[1].group`; expected `group` and `include_domains` of sr nodes"),
        SpoiltTopology(
            "replicas: 2", "replicas: 3",
            "t.yaml:6: demo.example has replicas 3; expected at most 2, the number of sr nodes"),
        SpoiltTopology(
            "replicas: 2", "replicas: 8",
            "t.yaml:6: domains[1].replicas: found `8`; expected a whole number from 1 to 7"),
        SpoiltTopology(
            "replicas: 2", "replicas: \"2\"",
            "t.yaml:6: domains[1].replicas: found the quoted text `2`; expected a whole number from 1 to 7"),
        SpoiltTopology(
            "replicas: 2", "pin: a",
            "t.yaml:6: there is no node a, which demo.example is pinned to; "
                + "expected one of the sr nodes that serve it: sr1, sr2"),
        SpoiltTopology(
            "name: demo.example", "name: -demo",
            "t.yaml:6: domains[1].name: found `-demo`; expected a domain name such as demo.example"),
        SpoiltTopology(
            "replicas: 2", "expires: { min: 90, max: 60 }",
            "t.yaml:6: domains[1].expires: min 90s is above max 1m; expected min at most max"),
        SpoiltTopology(
            "kind: embedded", "kind: zookeeper",
            "t.yaml:3: coordinator.kind: found `zookeeper`; expected one of embedded, etcd"),
        SpoiltTopology(
            "kind: embedded", "kind: embedded, user: me",
            "t.yaml:3: coordinator.user: not for kind embedded; expected path alone"),
        SpoiltTopology(
            "kind: file", "kind: ldap",
            "t.yaml:4: directory.kind: found `ldap`; expected one of file, sqlite"),
        SpoiltTopology(
            "role: router", "role: rooter",
            "t.yaml:13: sites[1].servers[1].nodes[1].role: found `rooter`; "
                + "expected one of router, sr, wssubscr, sg, arbiter (did you mean router?)"),
        SpoiltTopology(
            "role: wssubscr", "role: sg",
            "t.yaml:16: sites[1].servers[1].nodes[4]: sip is missing; expected { udp: PORT, tcp: PORT }"),
        SpoiltTopology(
            "role: router", "role: sr", "t.yaml:8: no node has role router; expected at least one router"),
        SpoiltTopology(
            "name: sr2", "name: sr1", "t.yaml:15: node sr1 is already on line 14; expected a name of its own"),
        SpoiltTopology(
            "cluster: 7102", "cluster: 8111",
            "t.yaml:15: cluster port 8111 of sr2 is taken by admin of sr1, line 14; "
                + "expected each port once at 127.0.0.1"),
        SpoiltTopology(
            "cluster: 7102", "cluster: 70000",
            "t.yaml:15: sites[1].servers[1].nodes[3].cluster: found `70000`; "
                + "expected a whole number from 1 to 65535"),
        SpoiltTopology(
            ", websocket: { listen: 8101 }", "",
            "t.yaml:16: sites[1].servers[1].nodes[4]: websocket is missing; expected { listen: PORT }"),
        SpoiltTopology(
            "listen: 8101", "listen: 8101, tls: { cert: c.pem }",
            "t.yaml:16: sites[1].servers[1].nodes[4].websocket.tls: key is missing; "
                + "expected the path of the private key"
        ),
        SpoiltTopology(
            "listen: 8101", "listen: 8101, origins: []",
            "t.yaml:16: sites[1].servers[1].nodes[4].websocket.origins: no origin; "
                + "expected at least one, or origins to be left out"),
        SpoiltTopology(
            "listen: 8101", "listen: 8101, origins: [https://app.example/path]",
            "t.yaml:16: sites[1].servers[1].nodes[4].websocket.origins[1]: found `https://app.example/path`; "
                + "expected an origin such as https://app.example, or \"*.example\" for all hosts below a name"),
        SpoiltTopology(
            "listen: 8101", "listen: 8101, deflate: 6",
            "t.yaml:16: sites[1].servers[1].nodes[4].websocket.deflate: found `6`; expected true or false"),
        SpoiltTopology(
            "admin: 8112", "admin: 8112, websocket: { listen: 9 }",
            "t.yaml:15: sites[1].servers[1].nodes[3].websocket: not for role sr; "
                + "expected websocket at wssubscr nodes alone"),
        SpoiltTopology(
            "address: 127.0.0.1", "address: 127.0.0.300",
            "t.yaml:11: sites[1].servers[1].address: found `127.0.0.300`; "
                + "expected a host name or an IP address, without port"),
        SpoiltTopology("cluster: test\n", "", "t.yaml:1: cluster is missing; expected the cluster's name"),
        SpoiltTopology(
            "cluster: test", "cluster: test\ncluster: again",
            "t.yaml:1: key `cluster` is given more than once; expected each key once"),
        SpoiltTopology(
            "cluster: test", "cluster: test\n\"cluster\": again",
            "t.yaml:1: key `cluster` is given more than once; expected each key once"),
        SpoiltTopology(
            "cluster: test", "cluster: test\n!other cluster: again",
            "t.yaml:2: key `cluster` is given more than once; expected each key once"),
        SpoiltTopology(
            "cluster: test", "cluster: test\ndestinations: { kafka: {} }",
            "t.yaml:2: destinations.kafka: brokers is missing; expected a list such as [127.0.0.1:9092]"),
        SpoiltTopology(
            "cluster: test", "cluster: test\nperiods: { heartbeat: 200 }",
            "t.yaml:2: periods.heartbeat: found `200`; "
                + "expected a duration from 10ms to 10s, such as 200ms, 1.5s or 2m"),
        SpoiltTopology(
            "cluster: test", "cluster: test\nperiods:\n  heartbeat: 400ms",
            "t.yaml:3: suspect is 600ms; expected at least 800ms, "
                + "twice the heartbeat: one lost heartbeat is not silence"),
        SpoiltTopology(
            "cluster: test", "cluster: test\nlimits: { ring_bytes: 1TiB }",
            "t.yaml:2: limits.ring_bytes: found `1TiB`; expected a size from 64KiB to 8GiB, such as 64KiB or 8MiB"
        ),
        SpoiltTopology(
            "replicas: 2 }", "replicas: 1, digest: [MD4] }",
            "t.yaml:6: domains[1].digest[1]: found `MD4`; "
                + "expected one of SHA-512-256, SHA-256, MD5 (did you mean MD5?)"),
        SpoiltTopology(
            "replicas: 2 }", "replicas: 1, digest: [] }",
            "t.yaml:6: domains[1].digest: no algorithm; expected at least one, such as [MD5]"),
        SpoiltTopology(
            "replicas: 2 }", "replicas: 1, digest: [MD5, MD5] }",
            "t.yaml:6: domains[1].digest: one twice; expected each algorithm once"),
        SpoiltTopology(
            "cluster: test", "cluster: test\nadmin: { open: yes }",
            "t.yaml:2: admin.open: found `yes`; expected true or false"),
    ])
    func oneMistakeIsToldWithItsLine(_ spoilt: SpoiltTopology) {
        let problems = TopologyFixture.problems(in: TopologyFixture.replacing(spoilt.old, spoilt.new))
        #expect(problems.contains(spoilt.told), "told: \(problems)")
    }

    @Test(arguments: [
        SpoiltTopology(
            "role: sg", "role: sr",
            "t.yaml:17: sites[1].servers[1].nodes[5].sip: not for role sr; expected sip at sg nodes alone"),
        SpoiltTopology(
            "udp: 5060, tcp: 5060", "open: true",
            "t.yaml:17: sites[1].servers[1].nodes[5].sip: no listener; "
                + "expected at least one of udp, tcp, tls, ws, wss"),
        SpoiltTopology(
            "udp: 5060", "udp: 0",
            "t.yaml:17: sites[1].servers[1].nodes[5].sip.udp: found `0`; expected a whole number from 1 to 65535"),
        SpoiltTopology(
            "tcp: 5060", "tcp: 8101",
            "t.yaml:17: sip.tcp port 8101 of sg1 is taken by websocket.listen of ws1, line 16; "
                + "expected each port once at 127.0.0.1"),
        SpoiltTopology(
            "tcp: 5060", "tcp: 5060, ws: 5060",
            "t.yaml:17: sip.ws port 5060 of sg1 is taken by sip.tcp of sg1, line 17; "
                + "expected each port once at 127.0.0.1"),
        SpoiltTopology(
            "tcp: 5060", "tls: { listen: 5061, cert: c.pem }",
            "t.yaml:17: sites[1].servers[1].nodes[5].sip.tls: key is missing; expected the path of the private key"),
        SpoiltTopology(
            "tcp: 5060", "wss: { listen: 8101, cert: c.pem, key: k.pem }",
            "t.yaml:17: sip.wss.listen port 8101 of sg1 is taken by websocket.listen of ws1, line 16; "
                + "expected each port once at 127.0.0.1"),
        SpoiltTopology(
            "tcp: 5060", "service_route: [sip:edge.example]",
            "t.yaml:17: sites[1].servers[1].nodes[5].sip.service_route[1]: found `sip:edge.example`; "
                + "expected a SIP URI with lr and without < and >, such as sip:edge.example;lr"),
        SpoiltTopology(
            "tcp: 5060", "service_route: [\"<sip:edge.example;lr>\"]",
            "t.yaml:17: sites[1].servers[1].nodes[5].sip.service_route[1]: found `<sip:edge.example;lr>`; "
                + "expected a SIP URI with lr and without < and >, such as sip:edge.example;lr"),
        SpoiltTopology(
            "tcp: 5060", "service_route: [\"sip:edge.example:0;lr\"]",
            "t.yaml:17: sites[1].servers[1].nodes[5].sip.service_route[1]: found `sip:edge.example:0;lr`; "
                + "expected a SIP URI with lr and without < and >, such as sip:edge.example;lr"),
        SpoiltTopology(
            "tcp: 5060", "shared: [edge.example]",
            "t.yaml:17: sites[1].servers[1].nodes[5].sip.shared[1]: found `edge.example`; "
                + "expected an IPv4 or IPv6 address that many devices share"),
        SpoiltTopology(
            "tcp: 5060", "tcps: 5061",
            "t.yaml:17: unknown key `sites[1].servers[1].nodes[5].sip.tcps`; expected `tcp`"),
    ])
    func oneMistakeOfAGatewayIsToldWithItsLine(_ spoilt: SpoiltTopology) {
        let problems = TopologyFixture.problems(
            in: TopologyFixture.withGateway.replacingOccurrences(of: spoilt.old, with: spoilt.new))
        #expect(problems.contains(spoilt.told), "told: \(problems)")
    }

    @Test func aGatewayIsOpenOnLoopbackAlone() {
        let open = TopologyFixture.withGateway.replacingOccurrences(of: "tcp: 5060", with: "open: true")
        #expect(TopologyFixture.problems(in: open) == [])
        #expect(
            TopologyFixture.problems(in: open.replacingOccurrences(of: "127.0.0.1", with: "10.0.0.1")) == [
                "t.yaml:17: sip.open of sg1 is true although it is at 10.0.0.1; "
                    + "expected registration without digest on loopback alone"
            ])
    }

    @Test func allMistakesAreToldAtOnceByLine() {
        let text = TopologyFixture.replacing("replicas: 2", "replica: 2")
            .replacingOccurrences(of: "cluster: 7102", with: "cluster: x")
            .replacingOccurrences(of: "kind: embedded", with: "kind: zookeeper")
        let lines = TopologyFixture.problems(in: text).map {
            $0.prefix { $0 != ";" }.split(separator: ":")[1]
        }
        #expect(lines == ["3", "6", "15"])
    }

    @Test func whatNeedsLoopbackIsRefusedElsewhere() {
        let text = TopologyFixture.replacing("127.0.0.1", "10.0.0.1")
            .replacingOccurrences(of: "{ file: var/secret }", with: "none")
        #expect(
            TopologyFixture.problems(in: text + "\nadmin: { open: true }") == [
                "t.yaml:2: secret is none although server host-a is at 10.0.0.1; "
                    + "expected { file: PATH }; none is for loopback addresses alone",
                "t.yaml:17: admin.open is true although server host-a is at 10.0.0.1; "
                    + "expected open admin addresses on loopback alone",
            ])
    }

    @Test(arguments: ["127.0.0.1", "127.8.8.8", "localhost", "\"::1\""])
    func everyFormOfLoopbackMayDoWithoutSecret(_ address: String) {
        let text = TopologyFixture.replacing("127.0.0.1", address)
            .replacingOccurrences(of: "{ file: var/secret }", with: "none")
        #expect(TopologyFixture.problems(in: text + "\nadmin: { open: true }") == [])
    }

    @Test func routersOfSeveralMachinesCannotShareAFile() {
        let other = """
                  - name: host-b
                    address: 10.0.0.2
                    nodes:
                      - { name: router2, role: router, cluster: 7001, admin: 8080 }
            """
        let indented = other.split(separator: "\n").map { "\n" + $0 }.joined()
        #expect(
            TopologyFixture.problems(in: TopologyFixture.text + indented) == [
                "t.yaml:20: router router2 is at 10.0.0.2, router1 at 127.0.0.1; "
                    + "expected all routers at one address with the embedded coordinator"
            ])
    }
}
