import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

/// The active topology as a record, on the wire, at a node's agent, and beside its journal.
struct ActiveTopologyTests {
    private let router = NodeID(name: NodeName("r"), incarnation: 1)
    private let now = Moment(monotonic: MonotonicInstant(nanoseconds: 5_000_000_000), wall: 0)

    private func agent() -> NodeAgent {
        NodeAgent(
            node: NodeID(name: NodeName("n"), incarnation: 1), role: .sr, routers: [router.name], pid: 1,
            started: now.monotonic, periods: Periods())
    }

    @Test func aRecordIsReadBackAndAnythingElseIsNone() {
        let topology = ActiveTopology(version: 3, text: "cluster: \"ä\"\n", since: 17)
        #expect(ActiveTopology(record: topology.record) == topology)
        #expect(ActiveTopology(record: topology.record.replacing("}", with: ",\"later\":1}")) == topology)
        for record in ["", "{}", #"{"version":0,"text":"","since":0}"#, #"{"version":1}"#] {
            #expect(ActiveTopology(record: record) == nil, "\(record)")
        }
    }

    @Test func aNodeTakesItUpFromItsPartsOnceAndSaysSo() throws {
        let text = String(repeating: "# ä\n", count: 20_000)
        let topology = ActiveTopology(version: 2, text: text, since: 9)
        let parts = topology.parts(term: 1)
        #expect(parts.count > 2)
        var agent = agent()
        var learned: [ActiveTopology] = []
        // The first round loses a part.
        for part in parts.dropLast() + parts + parts {
            for directive in agent.handle(.topology(part, from: router), at: now) {
                switch directive {
                case .topology(let active): learned.append(active)
                case .send(.heartbeat(let heartbeat), _): #expect(heartbeat.topology == 2)
                default: Issue.record("\(directive)")
                }
            }
        }
        #expect(learned == [topology])
    }

    @Test func anOlderVersionAndARouterThatWasReplacedAreNotHeard() {
        var agent = agent()
        func take(_ version: UInt64, term: UInt64) -> [NodeAgent.Directive] {
            ActiveTopology(version: version, text: "x", since: 0).parts(term: term).flatMap {
                agent.handle(.topology($0, from: router), at: now)
            }
        }
        #expect(!take(5, term: 2).isEmpty)
        #expect(take(4, term: 2).isEmpty)
        #expect(take(6, term: 1).isEmpty)
        #expect(agent.topologyVersion == 5)
    }

    @Test func aNodeStartsWithWhatItWasTold() throws {
        let directory = NSTemporaryDirectory() + "active-topology-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }  // Nothing to do about litter.
        func text(_ domain: String, cluster: String = "c", node: String = "sr1") -> String {
            """
            cluster: \(cluster)
            secret: none
            coordinator: { kind: embedded, path: db }
            directory: { kind: file, path: a.yaml }
            domains: [ { name: \(domain), replicas: 1 } ]
            sites: [ { name: s, servers: [ { name: h, address: 127.0.0.1, nodes: [
              { name: router1, role: router, cluster: 7001, admin: 8080 },
              { name: \(node), role: sr, cluster: 7101, admin: 8111 } ] } ] } ]
            """
        }
        let file = try Topology.parse(text("old.example"), path: "\(directory)/t.yaml")
        let node = NodeName("sr1")
        #expect(file.inForce(for: node).active.version == 0)
        let kept = ActiveTopologyFile(directory: file.journalPath(of: node))
        #expect(kept.write(ActiveTopology(version: 2, text: text("new.example"), since: 0)) == nil)
        let (topology, active) = file.inForce(for: node)
        #expect(active.version == 2)
        #expect(topology.domains.map(\.name.rawValue) == ["new.example"])
        #expect(kept.write(ActiveTopology(version: 3, text: "not a topology", since: 0)) == nil)
        #expect(file.inForce(for: node).topology == file)
        #expect(kept.write(ActiveTopology(version: 3, text: text("x.example", cluster: "d"), since: 0)) == nil)
        #expect(file.inForce(for: node).topology == file)

        // One that has joined, and has lost its directory, which no file has: the others here know it.
        let joined = NodeName("sr4")
        #expect(kept.write(ActiveTopology(version: 4, text: text("new.example", node: "sr4"), since: 0)) == nil)
        #expect(file.inForce(for: joined).active.version == 4)
        #expect(file.inForce(for: joined).topology.node(named: joined) != nil)
        // One that had left, was told so, and is given back.
        let left = ActiveTopologyFile(directory: file.journalPath(of: joined))
        #expect(left.write(ActiveTopology(version: 3, text: text("x.example"), since: 0)) == nil)
        #expect(file.inForce(for: joined).active.version == 4)
        #expect(left.write(ActiveTopology(version: 5, text: text("x.example"), since: 0)) == nil)
        #expect(file.inForce(for: joined).topology.node(named: joined) == nil, "it was told last")
    }
}
