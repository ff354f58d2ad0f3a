import ClusterRuntime
import EtcdFixture
import Foundation
import Logging
import Synchronization
import Testing

@testable import EtcdCoordinator

/// What is etcd's own: many domains, compaction, members that fail, an operator's hand.
@Suite(.serialized, .etcd, .timeLimit(.minutes(3))) struct EtcdCoordinatorTests {
    private let router1 = life("router1")
    private let router2 = life("router2")
    private let lease: Duration = .seconds(2)
    private let members: EtcdMembers

    init() throws { members = try #require(EtcdScope.members) }

    private func change(_ name: String, expected: UInt64 = 0, epoch: UInt64 = 1) -> AssignmentChange {
        AssignmentChange(
            assignment: assignment(
                name, epoch: epoch, owner: life("sr1", 1_764_000_000_000),
                standbys: [standby(life("sr2", 1_764_000_000_000))]),
            expected: expected)
    }

    /// Stores changes of any number, as a router does it: as many at a time as one store may hold.
    private func store(_ changes: [AssignmentChange], through coordinator: EtcdCoordinator) async throws {
        for start in stride(from: 0, to: changes.count, by: AssignmentChange.storeLimit) {
            let part = Array(changes[start..<min(start + AssignmentChange.storeLimit, changes.count)])
            guard case .stored = try await coordinator.store(part, term: 1) else {
                Issue.record("not stored")
                return
            }
        }
    }

    @Test func tenThousandDomainsAreStoredFailOverAndAreLoaded() async throws {
        let spec = members.spec()
        try await withEtcd(spec, spec) { coordinators in
            _ = try await coordinators[0].campaign(as: router1, lease: lease)
            let names = (1...10_000).map { "d\($0).tenants.example" }
            let clock = ContinuousClock()
            let placing = try await clock.measure {
                try await store(names.map { change($0) }, through: coordinators[0])
            }
            // A node with a third of them is lost.
            let lost = (0..<3333).map { change(names[$0], expected: UInt64($0) + 1, epoch: 2) }
            let failover = try await clock.measure { try await store(lost, through: coordinators[0]) }
            var loaded = StoredAssignments(revision: 0, assignments: [])
            let loading = try await clock.measure { loaded = try await coordinators[1].load() }
            #expect(loaded.assignments.count == 10_000)
            #expect(loaded.revision == 13_333)
            #expect(loaded.assignments.count { $0.epoch == 2 } == 3333)
            print("10,000 domains: placed in \(placing), 3,333 failed over in \(failover), loaded in \(loading)")
        }
    }

    @Test func aReadGoesOnAlthoughEtcdCompacts() async throws {
        let spec = members.spec()
        try await withEtcd(spec, spec) { coordinators in
            _ = try await coordinators[0].campaign(as: router1, lease: lease)
            try await store((1...3000).map { change("d\($0).example") }, through: coordinators[0])
            for round in 1...5 {
                async let loaded = coordinators[1].load()
                try await store(
                    [change("d1.example", expected: round == 1 ? 1 : 2999 + UInt64(round))], through: coordinators[0])
                try await members.compact()
                #expect(try await loaded.assignments.count == 3000)
            }
        }
    }

    @Test func whatWasCompactedIsToldAsSuch() async throws {
        _ = try await members.etcdctl("put", "/compacted", "1")
        try await members.compact()
        let gateway = try makeGateway()
        await #expect {
            let _: Gateway.RangeReply = try await gateway.call(
                "kv/range", Gateway.Range(key: Data("/compacted".utf8), revision: .init(1)), within: .seconds(2))
        } throws: {
            ($0 as? EtcdFault)?.isCompacted == true
        }
        await gateway.shutDown()
    }

    private func makeGateway() throws -> EtcdGateway {
        try EtcdGateway(members.spec(), connecting: .seconds(1), reading: .seconds(2), logger: .init(label: "test"))
    }

    /// What a watch missed is told when it is taken up, also when etcd no longer has it.
    @Test(arguments: [false, true]) func aWatchIsTakenUpWhereTheLastOneEnded(isCompacted: Bool) async throws {
        let key = "/watched/\(UUID().uuidString)"
        let put = try await members.etcdctl("put", key, "here", "-w", "json")
        let revision = try #require(put.firstMatch(of: #/"revision":(\d+)/#).flatMap { Int64($0.1) })
        try await members.etcdctl("del", key)
        if isCompacted { try await members.compact() }
        let gateway = try makeGateway()
        let watch = LeaderWatch(gateway, key: Data(key.utf8), patience: .seconds(1), after: revision)
        let (told, teller) = AsyncStream<Void>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await watch.run { teller.yield() } }
            var times = told.makeAsyncIterator()
            await times.next()
            try await members.etcdctl("put", key, "back")
            try await members.etcdctl("del", key)
            await times.next()
            group.cancelAll()
        }
        await gateway.shutDown()
    }

    @Test func aWatchOutlivesTheMemberThatServedIt() async throws {
        let spec = members.spec()
        try await withEtcd(spec, spec) { coordinators in
            let (told, teller) = AsyncStream<Void>.makeStream()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [watcher = coordinators[1]] in await watcher.watch { teller.yield() } }
                var times = told.makeAsyncIterator()
                // Nobody leads yet.
                await times.next()
                for member in members.members {
                    var term: UInt64 = 0
                    try await eventually("leading beside \(member.name)") {
                        guard
                            case .leading(let granted) = try? await coordinators[0].campaign(as: router1, lease: lease)
                        else { return false }
                        term = granted
                        return true
                    }
                    await members.kill(member)
                    try await eventually("resigning without \(member.name)") {
                        do { try await coordinators[0].resign(term: term) } catch { return false }
                        return true
                    }
                    await times.next()
                    try await members.start(member)
                    try await members.waitUntilServing(member)
                }
                group.cancelAll()
            }
        }
    }

    @Test func losingTheLeadingMemberLosesNoTerm() async throws {
        let spec = members.spec()
        try await withEtcd(spec, spec) { coordinators in
            #expect(try await coordinators[0].campaign(as: router1, lease: lease) == .leading(term: 1))
            try await store([change("a.example")], through: coordinators[0])
            let leader = try await members.leader()
            await members.kill(leader)
            let began = ContinuousClock.now
            try await eventually("leading again") {
                (try? await coordinators[0].campaign(as: router1, lease: lease)) == .leading(term: 1)
            }
            print("etcd's leader killed: the router's lease was renewed again after \(ContinuousClock.now - began)")
            let changed = try await coordinators[0].store([change("a.example", expected: 1, epoch: 2)], term: 1)
            guard case .stored = changed else {
                Issue.record("\(changed)")
                return
            }
            try await members.start(leader)
            try await members.waitUntilServing(leader)
            #expect(try await coordinators[1].load().assignments.map(\.epoch) == [2])
        }
    }

    @Test func aMemberThatHangsDelaysNobodyForLong() async throws {
        let spec = members.spec()
        try await withEtcd(spec) { coordinators in
            let leader = try await members.leader()
            let hanging = try #require(members.members.first { $0.name != leader.name })
            members.signal(SIGSTOP, hanging)
            defer { members.signal(SIGCONT, hanging) }
            var longest: Duration = .zero
            for _ in 0..<12 {
                let began = ContinuousClock.now
                #expect(try await coordinators[0].campaign(as: router1, lease: lease) == .leading(term: 1))
                longest = max(longest, ContinuousClock.now - began)
            }
            print("one of three members hangs: the slowest of 12 campaigns took \(longest)")
            #expect(longest < lease)
            #expect(coordinators[0].endpoints.filter { !$0.answers }.map(\.url) == [hanging.url])
        }
    }

    @Test func allMembersAwayIsToldAndTheirReturnFindsEverything() async throws {
        let spec = members.spec()
        try await withEtcd(spec, spec) { coordinators in
            _ = try await coordinators[0].campaign(as: router1, lease: lease)
            try await store([change("a.example")], through: coordinators[0])
            for member in members.members { await members.kill(member) }
            await #expect {
                _ = try await coordinators[0].campaign(as: router1, lease: lease)
            } throws: { error in
                let text = "\(error)"
                return text.hasPrefix("the coordinator cannot be reached: ") && text.contains("connection refused")
                    && members.endpoints.allSatisfy(text.contains)
            }
            await #expect(throws: CoordinatorError.self) {
                try await coordinators[0].store([change("b.example")], term: 1)
            }
            for member in members.members { try await members.start(member) }
            for member in members.members { try await members.waitUntilServing(member) }
            try await members.waitUntilGone("\(spec.prefix)/leader")
            #expect(try await coordinators[1].campaign(as: router2, lease: lease) == .leading(term: 2))
            #expect(try await coordinators[1].load().assignments.map(\.domain) == [domain("a.example")])
            #expect(try await coordinators[0].store([change("b.example")], term: 1) == .deposed)
        }
    }

    @Test func anOperatorsHandIsAConflictAndThenSeen() async throws {
        let spec = members.spec()
        try await withEtcd(spec) { coordinators in
            _ = try await coordinators[0].campaign(as: router1, lease: lease)
            try await store([change("a.example"), change("b.example")], through: coordinators[0])
            try await members.etcdctl("del", "\(spec.prefix)/assignments/a.example")
            let next = change("a.example", expected: 1, epoch: 2)
            #expect(try await coordinators[0].store([next], term: 1) == .conflict)
            #expect(try await coordinators[0].load().assignments.map(\.domain) == [domain("b.example")])
            // What was given out is not given out again, even when the count is lost.
            try await members.etcdctl("del", "\(spec.prefix)/revision")
            #expect(try await coordinators[0].store([change("c.example")], term: 1) == .conflict)
            #expect(try await coordinators[0].load().revision == 2)
            guard case .stored(let stored) = try await coordinators[0].store([change("c.example")], term: 1) else {
                Issue.record("not stored")
                return
            }
            #expect(stored.map(\.revision) == [3])
        }
    }

    @Test func aRecordThatCannotBeReadIsNamed() async throws {
        let spec = members.spec()
        try await withEtcd(spec) { coordinators in
            let key = "\(spec.prefix)/assignments/a.example"
            try await members.etcdctl("put", key, "{}")
            await #expect(throws: CoordinatorError.damaged("what etcd holds at \(key) cannot be read by this version"))
            {
                try await coordinators[0].load()
            }
        }
    }

    @Test func clustersWithOtherPrefixesKeepToThemselves() async throws {
        try await withEtcd(members.spec(prefix: "/test/a"), members.spec(prefix: "/test/a2")) { coordinators in
            #expect(try await coordinators[0].campaign(as: router1, lease: lease) == .leading(term: 1))
            #expect(try await coordinators[1].campaign(as: router2, lease: lease) == .leading(term: 1))
            try await store([change("a.example")], through: coordinators[1])
            #expect(try await coordinators[0].load().assignments == [])
        }
    }

    private func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while !(try await condition()) {
            guard ContinuousClock.now < deadline else { throw EtcdMembers.Failure("not in time: \(what)") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
