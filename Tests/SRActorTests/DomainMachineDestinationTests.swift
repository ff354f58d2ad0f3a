import ClusterRuntime
import RegistrarEvents
import SRActor
import Testing

/// What an owner hands to destinations, and what a standby keeps for them.
struct DomainMachineDestinationTests {
    private static let policy = DomainPolicy(destinations: ["kafka", "audit"])
    private static let (a, b) = (NodeName("a"), NodeName("b"))

    private func published(_ cluster: MachineCluster, by node: NodeName) -> [Position] {
        cluster.publications[node, default: []].flatMap { publication -> [Position] in
            guard case .entries(let entries, let epoch) = publication else { return [] }
            return entries.map { Position(epoch: epoch, seq: $0.seq) }
        }
    }

    private func positions(_ epoch: UInt64, _ seqs: ClosedRange<UInt64>) -> [Position] {
        seqs.map { Position(epoch: epoch, seq: $0) }
    }

    private func tail(_ cluster: MachineCluster, of node: NodeName) -> LogTail? {
        for case .began(_, let tail) in cluster.publications[node, default: []].reversed() { return tail }
        return nil
    }

    @Test func whatIsCommittedIsPublishedOnceAndInOrder() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        for name in ["alice", "bob", "carol"] {
            try cluster.register(name)
            cluster.settle()
        }
        #expect(published(cluster, by: Self.a) == positions(1, 1...4))
        #expect(cluster.publications[Self.b] == nil)
    }

    @Test func nothingIsPublishedThatTheStandbyHasNotAcknowledged() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        cluster.cut = [.init(from: Self.b, to: Self.a)]
        try cluster.register("alice")
        cluster.settle()
        #expect(published(cluster, by: Self.a) == positions(1, 1...1))
    }

    @Test func aDomainWithoutDestinationsPublishesNothing() throws {
        var cluster = try MachineCluster.pair()
        try cluster.register("alice")
        cluster.settle()
        #expect(cluster.publications.isEmpty)
    }

    @Test func thePromotedStandbyGoesOnFromTheCursor() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        for name in ["alice", "bob", "carol"] { try cluster.register(name) }
        cluster.settle()
        cluster.turn("a", .destination(.delivered(Position(epoch: 1, seq: 3), to: "kafka")))
        cluster.turn("a", .destination(.delivered(Position(epoch: 1, seq: 2), to: "audit")))
        // Cursors go with the next word of the owner.
        cluster.advance(600)
        cluster.stop("a")
        cluster.assign(epoch: 2, owner: "b")
        let inherited = try #require(tail(cluster, of: Self.b))
        #expect(inherited.epoch == 1)
        #expect(inherited.entries.map(\.seq) == [3, 4], "what the slower one has not")
        #expect(inherited.position(of: "kafka") == Position(epoch: 1, seq: 3))
        #expect(inherited.position(of: "audit") == Position(epoch: 1, seq: 2))
    }

    @Test func aStandbyKeepsNothingThatAllDestinationsHave() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        for name in ["alice", "bob"] { try cluster.register(name) }
        cluster.settle()
        for name in Self.policy.destinations {
            cluster.turn("a", .destination(.delivered(Position(epoch: 1, seq: 3), to: name)))
        }
        cluster.advance(600)
        cluster.stop("a")
        cluster.assign(epoch: 2, owner: "b")
        #expect(try #require(tail(cluster, of: Self.b)).entries.isEmpty)
    }

    /// It would be kept for as long as the node lives.
    @Test func aNodeThatStandsByNoMoreKeepsNoTail() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        for name in ["alice", "bob"] { try cluster.register(name) }
        cluster.settle()
        cluster.assign(epoch: 2, owner: "a", standbys: ["c+"], to: ["b"])
        cluster.assign(epoch: 3, owner: "b", to: ["b"])
        #expect(try #require(tail(cluster, of: Self.b)).entries.isEmpty)
    }

    @Test func aDeposedOwnerPublishesNothingMore() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        try cluster.register("alice")
        cluster.settle()
        cluster.isolate("a")
        cluster.assign(epoch: 2, owner: "b", to: ["b"])
        try cluster.register("bob", to: "a", epoch: 1)
        cluster.cut = []
        cluster.advance(600)
        #expect(published(cluster, by: Self.a) == positions(1, 1...2))
        #expect(cluster.publications[Self.a]?.last == .ended)
    }

    @Test func anOwnerThatStaysInANewEpochGoesOnPublishing() throws {
        var cluster = try MachineCluster.alone(policy: Self.policy)
        try cluster.register("alice")
        cluster.turn("a", .destination(.delivered(Position(epoch: 1, seq: 1), to: "kafka")))
        cluster.assign(epoch: 2, owner: "a", cause: .storageCleared)
        try cluster.register("bob")
        let publications = try #require(cluster.publications[Self.a])
        #expect(!publications.contains(.ended))
        #expect(published(cluster, by: Self.a) == positions(1, 1...2) + positions(2, 1...2))
    }

    @Test func aReplayForOneDestinationTakesItsPlaceInTheOrder() throws {
        var cluster = try MachineCluster.alone(policy: Self.policy)
        for number in 1...600 { try cluster.register("u\(number)") }
        cluster.turn("a", .destination(.replay(to: "audit")))
        try cluster.register("late")
        cluster.turn("a", .destination(.goOn(with: "audit")))
        var seen: UInt64 = 0
        var parts: [DestinationReplay.Part] = []
        for publication in cluster.publications[Self.a] ?? [] {
            switch publication {
            case .entries(let entries, _): seen = entries.last?.seq ?? seen
            case .replay(let part, let name):
                #expect(name == "audit" && part.after == seen, "right after what has been published")
                parts.append(part)
            case .began, .ended: break
            }
        }
        #expect(parts.map(\.isFirst) == [true, false])
        #expect(parts.map(\.isLast) == [false, true])
        #expect(Set(parts.flatMap(\.contacts).map(\.contact.bytes)).count == 601)
    }

    @Test func aReplayWaitsForTheCommitOfWhatItShows() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        cluster.cut = [.init(from: Self.b, to: Self.a)]
        try cluster.register("alice")
        cluster.turn("a", .destination(.replay(to: "kafka")))
        func replays(_ cluster: MachineCluster) -> Int {
            cluster.publications[Self.a, default: []].count { if case .replay = $0 { true } else { false } }
        }
        #expect(replays(cluster) == 0)
        cluster.cut = []
        cluster.advance(1_000)
        #expect(replays(cluster) == 1)
        #expect(cluster.publications[Self.a]?.last != .ended)
    }

    /// What is committed in one go may reach beyond the part: that would be missing behind it.
    @Test func aPartStandsRightBehindWhatItShows() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        cluster.cut = [.init(from: Self.b, to: Self.a)]
        cluster.lease("a", milliseconds: 60_000)
        try cluster.register("alice")
        cluster.turn("a", .destination(.replay(to: "kafka")))
        try cluster.register("bob")
        cluster.turn("a", .destination(.replay(to: "audit")))
        try cluster.register("carol")
        cluster.cut = []
        cluster.advance(1_000)
        let order = cluster.publications[Self.a, default: []].compactMap { publication -> String? in
            switch publication {
            case .entries(let entries, _): "\(entries.map(\.seq))"
            case .replay(let part, let name): "\(name) \(part.after) \(part.contacts.count)"
            case .began, .ended: nil
            }
        }
        #expect(order == ["[1]", "[2]", "kafka 2 1", "[3]", "audit 3 2", "[4]"])
    }

    /// Cut off, it may have been deposed: what it would restate shuts out its successor.
    @Test func anOwnerThatHearsNobodyRestatesNothing() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        try cluster.register("alice")
        cluster.settle()
        func replays(_ cluster: MachineCluster) -> Int {
            cluster.publications[Self.a, default: []].count { if case .replay = $0 { true } else { false } }
        }
        cluster.isolate("a")
        cluster.turn("a", .destination(.replay(to: "kafka")))
        cluster.advance(10_000)
        #expect(replays(cluster) == 0)
        cluster.cut = []
        cluster.advance(2_000)
        #expect(replays(cluster) == 1, "heard again, it is the owner still")
    }

    @Test(arguments: [true, false]) func aLoneOwnerRestatesUnderItsLease(_ hasLease: Bool) throws {
        var cluster = try MachineCluster.alone(policy: Self.policy)
        if !hasLease { cluster.advance(61_000) }
        cluster.turn("a", .destination(.replay(to: "kafka")))
        let last = cluster.publications[Self.a]?.last
        if case .replay = last { #expect(hasLease) } else { #expect(!hasLease) }
    }

    /// That the lease is back is no turn of the domain's, and nothing else may be to come in one where nobody is.
    @Test func aReplayThatWaitsForALeaseIsLookedAtAgain() throws {
        var cluster = try MachineCluster.alone(policy: Self.policy)
        cluster.advance(61_000)
        cluster.turn("a", .destination(.replay(to: "kafka")))
        let now = cluster.now
        _ = cluster.machines[Self.a]?.handle(.lease(until: now.monotonic + .seconds(60)), at: now)
        let (wakes, _) = cluster.live(1_000)
        guard case .replay = cluster.publications[Self.a]?.last else {
            Issue.record("nothing is restated")
            return
        }
        #expect(wakes == 1)
    }

    /// Its lease says nothing any more: routers may make another the owner by its own word.
    @Test func anOwnerThatHasAskedToBeReplacedRestatesNothingOnItsOwn() throws {
        var cluster = try MachineCluster.pair(policy: Self.policy)
        try cluster.register("alice")
        cluster.settle()
        cluster.lease("a", milliseconds: 120_000)
        cluster.orderHandOver("a", to: "b")
        cluster.settle()
        #expect(cluster.asked.map(\.kind) == [.handOver])
        cluster.isolate("a")
        cluster.assign(epoch: 2, owner: "b", to: ["b"])
        cluster.turn("a", .destination(.replay(to: "kafka")))
        cluster.advance(5_000)
        #expect(
            cluster.publications[Self.a, default: []].allSatisfy { if case .replay = $0 { false } else { true } })
    }

    @Test func theTailIsBoundedAndTheOldestGoFirst() throws {
        var tail = LogTail()
        let entries = (1...100).map { LogEntry(seq: $0, timestamp: 0, change: .clear(.moved)) }
        let cursors = [DestinationCursor(destination: "kafka", position: Position(epoch: 3, seq: 10))]
        tail.take(entries, epoch: 3, cursors: cursors, maximumEntries: 20, maximumBytes: 1 << 20)
        #expect(tail.entries.map(\.seq) == Array(81...100))
        tail.take([], epoch: 3, cursors: [], maximumEntries: 20, maximumBytes: 1 << 20)
        #expect(tail.entries.isEmpty, "an owner that tells of no destinations has none")
    }
}
