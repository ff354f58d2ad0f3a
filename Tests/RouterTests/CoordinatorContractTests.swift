import ClusterRuntime
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
@Suite struct CoordinatorContractTests {
    enum Kind: CaseIterable { case inMemory, embedded }

    struct Pair {
        let first: any Coordinator
        let second: any Coordinator
        let clock: ManualClock
        let directory = TemporaryDirectory()

        init(_ kind: Kind) throws {
            let clock = ManualClock()
            self.clock = clock
            switch kind {
            case .inMemory:
                first = InMemoryCoordinator { clock.now }
                second = first
            case .embedded:
                let path = directory.database
                first = try EmbeddedCoordinator(path: path, boot: "boot") { clock.now }
                second = try EmbeddedCoordinator(path: path, boot: "boot") { clock.now }
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
        let pair = try Pair(kind)
        #expect(try await pair.first.campaign(as: router1, lease: lease) == .leading(term: 1))
        #expect(try await pair.second.campaign(as: router2, lease: lease) == .standby(leader: router1))
    }

    @Test(arguments: Kind.allCases) func renewingKeepsTheTerm(kind: Kind) async throws {
        let pair = try Pair(kind)
        for _ in 0..<5 {
            #expect(try await pair.first.campaign(as: router1, lease: lease) == .leading(term: 1))
            pair.clock.advance(.milliseconds(1500))
        }
        #expect(try await pair.second.campaign(as: router2, lease: lease) == .standby(leader: router1))
    }

    @Test(arguments: Kind.allCases) func aLeaseThatRanOutGivesWayToAHigherTerm(kind: Kind) async throws {
        let pair = try Pair(kind)
        _ = try await pair.first.campaign(as: router1, lease: lease)
        pair.clock.advance(lease)
        #expect(try await pair.second.campaign(as: router2, lease: lease) == .leading(term: 2))
        #expect(try await pair.first.campaign(as: router1, lease: lease) == .standby(leader: router2))
        pair.clock.advance(lease)
        #expect(try await pair.second.campaign(as: router2, lease: lease) == .leading(term: 3))
    }

    @Test(arguments: Kind.allCases) func aRestartedLeaderNeedNotWaitForItsEarlierLife(kind: Kind) async throws {
        let pair = try Pair(kind)
        _ = try await pair.first.campaign(as: router1, lease: lease)
        #expect(try await pair.second.campaign(as: life("router1", 2), lease: lease) == .leading(term: 2))
        #expect(try await pair.first.campaign(as: router1, lease: lease) == .standby(leader: life("router1", 2)))
    }

    @Test(arguments: Kind.allCases) func resigningLetsAnotherLeadAtOnce(kind: Kind) async throws {
        let pair = try Pair(kind)
        _ = try await pair.first.campaign(as: router1, lease: lease)
        try await pair.first.resign(term: 1)
        #expect(try await pair.first.store([change()], term: 1) == .deposed)
        #expect(try await pair.second.campaign(as: router2, lease: lease) == .leading(term: 2))
        try await pair.first.resign(term: 1)
        #expect(try await pair.second.campaign(as: router2, lease: lease) == .leading(term: 2))
    }

    @Test(arguments: Kind.allCases) func whatIsStoredIsLoadedByEveryRouter(kind: Kind) async throws {
        let pair = try Pair(kind)
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

    @Test(arguments: Kind.allCases) func revisionsGrowOverAllDomains(kind: Kind) async throws {
        let pair = try Pair(kind)
        _ = try await pair.first.campaign(as: router1, lease: lease)
        _ = try await pair.first.store([change("a.example"), change("b.example")], term: 1)
        _ = try await pair.first.store([change("a.example", expected: 1, epoch: 2)], term: 1)
        let stored = try await pair.second.load()
        #expect(stored.revision == 3)
        #expect(stored.assignments.map(\.revision) == [3, 2])
    }

    @Test(arguments: Kind.allCases) func aConflictStoresNothing(kind: Kind) async throws {
        let pair = try Pair(kind)
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

    @Test(arguments: Kind.allCases) func wishesAreStoredWithTheChangesOrNotAtAll(kind: Kind) async throws {
        let pair = try Pair(kind)
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

    @Test(arguments: Kind.allCases) func aDeposedRouterStoresNothing(kind: Kind) async throws {
        let pair = try Pair(kind)
        _ = try await pair.first.campaign(as: router1, lease: lease)
        pair.clock.advance(lease)
        #expect(try await pair.first.store([change("a.example")], term: 1) != .deposed)
        _ = try await pair.second.campaign(as: router2, lease: lease)
        #expect(try await pair.first.store([change("b.example")], term: 1) == .deposed)
        #expect(try await pair.first.store([change("b.example")], term: 3) == .deposed)
        #expect(try await pair.second.load().assignments.count == 1)
    }

    @Test(arguments: Kind.allCases) func manyCampaignsAtOnceHaveOneWinner(kind: Kind) async throws {
        let pair = try Pair(kind)
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

    @Test func theTwinCanBeSwitchedOff() async throws {
        let twin = InMemoryCoordinator()
        twin.setReachable(false)
        await #expect(throws: CoordinatorError.unavailable("switched off")) { try await twin.load() }
        twin.setReachable(true)
        #expect(try await twin.load().revision == 0)
    }
}
