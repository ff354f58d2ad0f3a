import ClusterRuntime
import EtcdCoordinator
import EtcdFixture
import Foundation
import RegistrarEvents
import Synchronization
import Testing

@testable import EmbeddedCoordinator

/// A clock that a test sets.
final class ManualClock: Sendable {
    private let time = Mutex(at(0).monotonic)

    var now: MonotonicInstant { time.withLock { $0 } }
    func advance(_ duration: Duration) { time.withLock { $0 += duration } }
}

/// A directory that goes away with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "router-tests-\(UUID().uuidString)"
    }

    var database: String { path + "/var/router.db" }

    deinit { try? FileManager.default.removeItem(atPath: path) }  // Nothing to do about litter.
}

/// What every coordinator must do, twin and real thing alike. `first` and `second` are two routers' ways to one
/// coordinator.
@Suite(.serialized, .etcd) struct CoordinatorContractTests {
    enum Kind: CaseIterable { case inMemory, embedded, etcd }

    struct Pair {
        let first: any Coordinator
        let second: any Coordinator
        /// Lets time pass for the leases.
        let pass: (Duration) async throws -> Void
        /// Lets so much time pass that a lease has ended which began now.
        let outlive: (Duration) async throws -> Void
    }

    private func with(_ kind: Kind, _ body: (Pair) async throws -> Void) async throws {
        let clock = ManualClock()
        let advance: (Duration) -> Void = { clock.advance($0) }
        switch kind {
        case .inMemory:
            let twin = InMemoryCoordinator { clock.now }
            try await body(Pair(first: twin, second: twin, pass: advance, outlive: advance))
        case .embedded:
            let directory = TemporaryDirectory()
            let first = try EmbeddedCoordinator(path: directory.database, boot: "boot") { clock.now }
            let second = try EmbeddedCoordinator(path: directory.database, boot: "boot") { clock.now }
            try await body(Pair(first: first, second: second, pass: advance, outlive: advance))
        case .etcd:
            // Etcd has its own clock.
            let members = try #require(EtcdScope.members)
            let spec = members.spec()
            try await withEtcd(spec, spec) { coordinators in
                try await body(
                    Pair(
                        first: coordinators[0], second: coordinators[1], pass: { try await Task.sleep(for: $0) },
                        outlive: { _ in try await members.waitUntilGone("\(spec.prefix)/leader") }))
            }
        }
    }

    private let router1 = life("router1")
    private let router2 = life("router2")
    private let lease: Duration = .seconds(2)

    private func change(_ name: String = "d.example", expected: UInt64 = 0, epoch: UInt64 = 1) -> AssignmentChange {
        AssignmentChange(
            assignment: assignment(
                name, epoch: epoch, revision: 999, owner: life("sr1", UInt64.max),
                standbys: [standby(life("sr2")), standby(life("sr3", 3), inSync: false)]),
            expected: expected)
    }

    @Test(arguments: Kind.allCases) func oneRouterLeadsAndTheOthersAreToldWho(kind: Kind) async throws {
        try await with(kind) { pair in
            let first = try await pair.first.campaign(as: router1, lease: lease)
            let second = try await pair.second.campaign(as: router2, lease: lease)
            #expect((first, second) == (.leading(term: 1), .standby(leader: router1)))
        }
    }

    @Test(arguments: Kind.allCases) func theTopologyIsStoredInTheLatestTermAlone(kind: Kind) async throws {
        try await with(kind) { pair in
            #expect(try await pair.first.load().topology == nil)
            // As large as one may be, and hard to write as JSON.
            let text = String(String(repeating: "\"ä\n", count: ActiveTopology.maximumBytes / 4).prefix(900_000 / 3))
            let topology = ActiveTopology(version: 1, text: text, since: 1_700_000_000_000)
            #expect(try await pair.first.activate(topology, term: 1) == .deposed, "nobody leads yet")
            _ = try await pair.first.campaign(as: router1, lease: lease)
            #expect(try await pair.first.activate(topology, term: 1) == .stored([]))
            #expect(try await pair.second.load().topology == topology)
            guard case .stored? = Optional(try await pair.first.store([change()], term: 1)) else {
                Issue.record("what was known of the assignments was lost")
                return
            }
            try await pair.first.resign(term: 1)
            _ = try await pair.second.campaign(as: router2, lease: lease)
            let later = ActiveTopology(version: 2, text: "later", since: 0)
            #expect(try await pair.first.activate(later, term: 1) == .deposed)
            #expect(try await pair.second.activate(later, term: 2) == .stored([]))
            #expect(try await pair.first.load().topology == later)
            #expect(try await pair.first.load().assignments.count == 1)
        }
    }

    @Test(arguments: Kind.allCases) func renewingKeepsTheTerm(kind: Kind) async throws {
        try await with(kind) { pair in
            for _ in 0..<4 {
                #expect(try await pair.first.campaign(as: router1, lease: lease) == .leading(term: 1))
                try await pair.pass(.milliseconds(1500))
            }
            #expect(try await pair.second.campaign(as: router2, lease: lease) == .standby(leader: router1))
        }
    }

    @Test(arguments: Kind.allCases) func termsAndRevisionsGoOnAboveWhatNodesKnow(kind: Kind) async throws {
        try await with(kind) { pair in
            #expect(try await pair.first.campaign(as: router1, lease: lease, above: 5) == .leading(term: 6))
            #expect(try await pair.first.campaign(as: router1, lease: lease, above: 5) == .leading(term: 6))
            #expect(try await pair.second.campaign(as: router2, lease: lease, above: 9) == .standby(leader: router1))
            guard
                case .stored(let stored) = try await pair.first.store([change()], wishes: nil, above: 300, term: 6),
                case .stored(let next) = try await pair.first.store(
                    [change("e.example")], wishes: nil, above: 0, term: 6)
            else {
                Issue.record("nothing was stored")
                return
            }
            #expect(stored.map(\.revision) + next.map(\.revision) == [301, 302])
            // Its own lease lasts, and what it stores in the former term counts no more.
            #expect(try await pair.first.campaign(as: router1, lease: lease, above: 8) == .leading(term: 9))
            #expect(try await pair.first.campaign(as: router1, lease: lease, above: 9) == .leading(term: 9))
            #expect(try await pair.first.store([change("f.example")], term: 6) == .deposed)
            #expect(try await pair.first.load().revision == 302)
        }
    }

    @Test(arguments: Kind.allCases) func aLeaseThatRanOutGivesWayToAHigherTerm(kind: Kind) async throws {
        try await with(kind) { pair in
            _ = try await pair.first.campaign(as: router1, lease: lease)
            try await pair.outlive(lease)
            #expect(try await pair.second.campaign(as: router2, lease: lease) == .leading(term: 2))
            #expect(try await pair.first.campaign(as: router1, lease: lease) == .standby(leader: router2))
            try await pair.outlive(lease)
            #expect(try await pair.second.campaign(as: router2, lease: lease) == .leading(term: 3))
        }
    }

    @Test(arguments: Kind.allCases) func aRestartedLeaderNeedNotWaitForItsEarlierLife(kind: Kind) async throws {
        try await with(kind) { pair in
            _ = try await pair.first.campaign(as: router1, lease: lease)
            #expect(try await pair.second.campaign(as: life("router1", 2), lease: lease) == .leading(term: 2))
            #expect(try await pair.first.campaign(as: router1, lease: lease) == .standby(leader: life("router1", 2)))
        }
    }

    @Test(arguments: Kind.allCases) func resigningLetsAnotherLeadAtOnce(kind: Kind) async throws {
        try await with(kind) { pair in
            _ = try await pair.first.campaign(as: router1, lease: lease)
            try await pair.first.resign(term: 1)
            #expect(try await pair.first.store([change()], term: 1) == .deposed)
            #expect(try await pair.second.campaign(as: router2, lease: lease) == .leading(term: 2))
            try await pair.first.resign(term: 1)
            #expect(try await pair.second.campaign(as: router2, lease: lease) == .leading(term: 2))
        }
    }

    @Test(arguments: Kind.allCases) func whatIsStoredIsLoadedByEveryRouter(kind: Kind) async throws {
        try await with(kind) { pair in
            #expect(try await pair.second.load() == StoredAssignments(revision: 0, assignments: []))
            _ = try await pair.first.campaign(as: router1, lease: lease)
            let outcome = try await pair.first.store([change("b.example"), change("a.example")], term: 1)
            var first = change("b.example").assignment
            var second = change("a.example").assignment
            first.revision = 1
            second.revision = 2
            #expect(outcome == .stored([first, second]))
            #expect(try await pair.second.load() == StoredAssignments(revision: 2, assignments: [second, first]))
        }
    }

    @Test(arguments: Kind.allCases) func revisionsGrowOverAllDomains(kind: Kind) async throws {
        try await with(kind) { pair in
            _ = try await pair.first.campaign(as: router1, lease: lease)
            _ = try await pair.first.store([change("a.example"), change("b.example")], term: 1)
            _ = try await pair.first.store([change("a.example", expected: 1, epoch: 2)], term: 1)
            let stored = try await pair.second.load()
            #expect(stored.revision == 3)
            #expect(stored.assignments.map(\.revision) == [3, 2])
        }
    }

    @Test(arguments: Kind.allCases) func aConflictStoresNothing(kind: Kind) async throws {
        try await with(kind) { pair in
            _ = try await pair.first.campaign(as: router1, lease: lease)
            _ = try await pair.first.store([change("b.example")], term: 1)
            for expected in [UInt64(0), 2] {
                let changes = [change("a.example"), change("b.example", expected: expected)]
                #expect(try await pair.first.store(changes, term: 1) == .conflict)
            }
            let absent = [change("a.example"), change("c.example", expected: 1)]
            #expect(try await pair.first.store(absent, term: 1) == .conflict)
            let stored = try await pair.first.load()
            #expect(stored.assignments.map(\.domain) == [domain("b.example")])
            #expect(stored.revision == 1)
        }
    }

    @Test(arguments: Kind.allCases) func wishesAreStoredWithTheChangesOrNotAtAll(kind: Kind) async throws {
        try await with(kind) { pair in
            _ = try await pair.first.campaign(as: router1, lease: lease)
            var wishes = MovementWishes()
            wishes.drain(NodeName("sr1"))
            wishes.move(domain("a.example"), to: NodeName("sr-é \"2\""))
            _ = try await pair.first.store([change("a.example")], wishes: wishes, term: 1)
            #expect(try await pair.second.load().wishes == wishes)
            _ = try await pair.first.store([change("b.example")], term: 1)
            #expect(try await pair.second.load().wishes == wishes)
            #expect(
                try await pair.first.store([change("a.example")], wishes: MovementWishes(), term: 1) == .conflict)
            #expect(try await pair.first.store([], wishes: MovementWishes(), term: 2) == .deposed)
            #expect(try await pair.second.load().wishes == wishes)
            #expect(try await pair.first.store([], wishes: MovementWishes(), term: 1) == .stored([]))
            #expect(try await pair.second.load().wishes.isEmpty)
        }
    }

    @Test(arguments: Kind.allCases) func aDeposedRouterStoresNothing(kind: Kind) async throws {
        try await with(kind) { pair in
            _ = try await pair.first.campaign(as: router1, lease: lease)
            try await pair.outlive(lease)
            #expect(try await pair.first.store([change("a.example")], term: 1) != .deposed)
            _ = try await pair.second.campaign(as: router2, lease: lease)
            #expect(try await pair.first.store([change("b.example")], term: 1) == .deposed)
            #expect(try await pair.first.store([change("b.example")], term: 3) == .deposed)
            #expect(try await pair.second.load().assignments.count == 1)
        }
    }

    @Test(arguments: Kind.allCases) func manyCampaignsAtOnceHaveOneWinner(kind: Kind) async throws {
        try await with(kind) { pair in
            let outcomes = try await withThrowingTaskGroup(of: Campaign.self) { group in
                for index in 0..<20 {
                    let way = index % 2 == 0 ? pair.first : pair.second
                    group.addTask { try await way.campaign(as: life("router\(index)"), lease: .seconds(2)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.filter { $0 == .leading(term: 1) }.count == 1)
            #expect(outcomes.count { if case .standby = $0 { true } else { false } } == 19)
        }
    }

    @Test(arguments: [Kind.inMemory, .etcd]) func whoWatchesIsToldWhenTheLeaderResigns(kind: Kind) async throws {
        try await with(kind) { pair in
            let told = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [second = pair.second] in await second.watch { told.add() } }
                var term: UInt64 = 0
                // It may not be watching yet at the first times.
                while told.value < 3, term < 100 {
                    term += 1
                    #expect(try await pair.first.campaign(as: router1, lease: lease) == .leading(term: term))
                    try await pair.first.resign(term: term)
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(term < 100)
                group.cancelAll()
            }
        }
    }

    @Test(arguments: Kind.allCases) func aStoreMayBeAsLargeAsItsLimitSays(kind: Kind) async throws {
        try await with(kind) { pair in
            _ = try await pair.first.campaign(as: router1, lease: lease)
            let label = String(repeating: "x", count: 60)
            let node = life(String(repeating: "n", count: NodeName.maximumLength), UInt64.max)
            let changes = (0..<AssignmentChange.storeLimit).map { index in
                var change = change("\(label).\(label).\(label).d\(index).example")
                change.assignment.standbys = (0..<6).map { _ in standby(node) }
                return change
            }
            guard case .stored(let stored) = try await pair.first.store(changes, term: 1) else {
                Issue.record("not stored")
                return
            }
            #expect(stored.map(\.revision) == (1...UInt64(AssignmentChange.storeLimit)).map { $0 })
            #expect(try await pair.second.load().assignments.count == AssignmentChange.storeLimit)
        }
    }

    @Test func theTwinCanBeSwitchedOff() async throws {
        let twin = InMemoryCoordinator()
        twin.setReachable(false)
        await #expect(throws: CoordinatorError.unavailable("switched off")) { try await twin.load() }
        twin.setReachable(true)
        #expect(try await twin.load().revision == 0)
    }
}
