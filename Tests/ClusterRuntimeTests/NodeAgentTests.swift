import ClusterRuntime
import RegistrarEvents
import Testing

@Suite struct NodeAgentTests {
    private let router1 = NodeID(name: NodeName("router1"), incarnation: 1)
    private let router2 = NodeID(name: NodeName("router2"), incarnation: 1)
    private let me = NodeID(name: NodeName("sr1"), incarnation: 7)

    private func makeAgent() -> NodeAgent {
        NodeAgent(
            node: me, role: .sr, routers: [router1.name, router2.name], pid: 42, started: at(0).monotonic,
            periods: Periods())
    }

    private func at(_ milliseconds: Int64) -> Moment {
        Moment(monotonic: MonotonicInstant(nanoseconds: (1000 + milliseconds) * 1_000_000), wall: milliseconds)
    }

    private func lead(term: UInt64, echo: Int64, from router: NodeID) -> NodeAgent.Event {
        .lead(Lead(term: term, echo: at(echo).monotonic.nanoseconds), from: router)
    }

    private func assignment(_ domain: String, revision: UInt64) throws -> Assignment {
        Assignment(
            domain: try #require(DomainName(domain)), epoch: 1, revision: revision, owner: me, standbys: [],
            cause: .restart, since: 0)
    }

    @Test func heartbeatsGoToEveryRouterOncePerPeriod() {
        var agent = makeAgent()
        var sent: [Int64] = []
        for time in stride(from: Int64(0), through: 1000, by: 100) {
            let directives = agent.handle(.tick, at: at(time))
            if directives.isEmpty { continue }
            sent.append(time)
            let heartbeat = Message.heartbeat(
                Heartbeat(
                    role: .sr, sentAt: at(time).monotonic.nanoseconds, revision: 0, pid: 42,
                    uptimeMilliseconds: UInt64(time)))
            #expect(directives == [.send(heartbeat, to: router1.name), .send(heartbeat, to: router2.name)])
        }
        #expect(sent == [0, 200, 400, 600, 800, 1000])
    }

    /// What peers hear vouches for the domains of this node.
    @Test func heartbeatsGoToPeersWhileTheNodeVouches() {
        var agent = makeAgent()
        let peer = NodeName("sr2")
        agent.follow(routers: [router1.name], peers: [peer])
        func heard(_ time: Int64) -> [NodeName] {
            agent.handle(.tick, at: at(time)).compactMap { if case .send(.heartbeat, let to) = $0 { to } else { nil } }
        }
        #expect(heard(0) == [router1.name, peer])
        agent.vouches = false
        #expect(heard(200) == [router1.name])
        agent.vouches = true
        #expect(heard(400) == [router1.name, peer])
    }

    @Test func leaseCountsFromTheHeartbeatThatWasAnswered() {
        var agent = makeAgent()
        let directives = agent.handle(lead(term: 3, echo: 100, from: router1), at: at(250))
        #expect(directives == [.lease(until: at(900).monotonic)])
        #expect(agent.leader == router1.name)
        #expect(agent.term == 3)
    }

    @Test func leaseNeverGoesBackwards() {
        var agent = makeAgent()
        _ = agent.handle(lead(term: 3, echo: 500, from: router1), at: at(550))
        #expect(agent.handle(lead(term: 3, echo: 300, from: router1), at: at(560)) == [])
        #expect(agent.handle(lead(term: 4, echo: 400, from: router2), at: at(570)) == [])
        #expect(agent.leaseUntil == at(1300).monotonic)
        #expect(agent.leader == router2.name)
    }

    @Test func wordsOfAnEarlierTermAreIgnored() throws {
        var agent = makeAgent()
        _ = agent.handle(lead(term: 4, echo: 100, from: router2), at: at(120))
        #expect(agent.handle(lead(term: 3, echo: 200, from: router1), at: at(220)) == [])
        let update = AssignmentUpdate(term: 3, from: 0, to: 1, assignments: [try assignment("a.example", revision: 1)])
        #expect(agent.handle(.assignments(update, from: router1), at: at(230)) == [])
        #expect(agent.table.revision == 0)
        #expect(agent.leader == router2.name)
        #expect(agent.term == 4)
    }

    @Test func echoesThisLifeNeverSentGiveNoLease() {
        var agent = makeAgent()
        #expect(agent.handle(lead(term: 1, echo: -500, from: router1), at: at(100)) == [])
        #expect(agent.handle(lead(term: 1, echo: 101, from: router1), at: at(100)) == [])
        #expect(agent.leaseUntil == .distantPast)
    }

    @Test func assignmentsAreHandedOnBeforeTheRouterHearsThatTheyAreKnown() throws {
        var agent = makeAgent()
        let first = try assignment("a.example", revision: 2)
        let second = try assignment("b.example", revision: 1)
        let update = AssignmentUpdate(term: 1, from: 0, to: 2, assignments: [second, first])
        let directives = agent.handle(.assignments(update, from: router1), at: at(10))
        #expect(directives.count == 2)
        #expect(directives.first == .assigned([first, second]))
        guard case .send(.heartbeat(let heartbeat), let peer) = directives.last else {
            Issue.record("no heartbeat in \(directives)")
            return
        }
        #expect(heartbeat.revision == 2)
        #expect(peer == router1.name)
        #expect(agent.handle(.assignments(update, from: router1), at: at(20)) == [])
    }

    @Test func anUpdateWithAHoleBeforeItLeavesTheRevision() throws {
        var agent = makeAgent()
        let update = AssignmentUpdate(term: 1, from: 5, to: 6, assignments: [try assignment("a.example", revision: 6)])
        let directives = agent.handle(.assignments(update, from: router1), at: at(10))
        #expect(directives == [.assigned(update.assignments)])
        #expect(agent.table.revision == 0)
    }

    @Test func aRoutersAgentTellsTheTermItLeadsIn() {
        var agent = makeAgent()
        agent.leadingTerm = 9
        guard case .send(.heartbeat(let heartbeat), _)? = agent.handle(.tick, at: at(0)).first else {
            Issue.record("no heartbeat")
            return
        }
        #expect(heartbeat.term == 9)
    }
}
