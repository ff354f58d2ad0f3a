import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Clusters of more domains than one store takes.
@Suite struct RouterPiecesTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    private let names = (0..<500).map { "d\(1000 + $0).example" }
    private var layout: ClusterLayout {
        RouterTests.layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")], domains: names)
    }
    /// Placed as the planner would, a third of them at each node, and with every standby in sync.
    private var owned: [Assignment] {
        var scene = Scene(layout, alive: [sr1, sr2, sr3])
        scene.carryOut(scene.plan())
        return scene.assignments.sorted { $0.revision < $1.revision }.map { placed in
            var placed = placed
            placed.standbys = placed.standbys.map { standby($0.node) }
            return placed
        }
    }

    private func carryOut(_ changes: [AssignmentChange], from revision: UInt64) -> RouterMachine.Event {
        let stored = changes.enumerated().map { index, change in
            var assignment = change.assignment
            assignment.revision = revision + UInt64(index) + 1
            return assignment
        }
        return .stored(.success(.stored(stored)), term: 1)
    }

    /// A router that has settled and found sr1 gone, and the first piece of its plan.
    private func failingOver() -> (router: Driven, piece: [AssignmentChange]) {
        var router = Driven(layout, leading: owned, alive: [sr1, sr2, sr3])
        let found = router.run(until: 1600, alive: [sr1, sr2, sr3], revision: 500)
        #expect(found.stored.count == 0)
        let piece = router.feed(.refused(sr1.name)).stored
        return (router, piece)
    }

    @Test func aLargePlanIsStoredInPieces() {
        var (router, piece) = failingOver()
        var revision: UInt64 = 500
        var owners: [DomainName: NodeID?] = [:]
        var sizes: [Int] = []
        while !piece.isEmpty {
            sizes.append(piece.count)
            for change in piece { owners[change.assignment.domain] = change.assignment.owner }
            let more = router.feed(carryOut(piece, from: revision)).stored
            revision += UInt64(piece.count)
            piece = more
        }
        #expect(sizes.count > 2)
        #expect(sizes.dropLast().allSatisfy { $0 == AssignmentChange.storeLimit })
        let lost = owned.filter { $0.owner == sr1 }
        #expect(lost.count > AssignmentChange.storeLimit)
        #expect(lost.allSatisfy { owners[$0.domain] == $0.inSync.first })
    }

    @Test func whoLosesADomainInALaterPieceGetsNoLeaseBefore() {
        var (router, piece) = failingOver()
        piece = router.feed(carryOut(piece, from: 500)).stored
        #expect(!piece.isEmpty)
        // Its later life would have to know; this one, should it live on, must not be answered.
        router.time += 300
        #expect(router.beat(sr1, revision: 620).leads == [])
        #expect(router.beat(sr3, revision: 620).leads == ["sr3"])
    }

    /// While one domain is on its way, a failover of thousands must not be planned anew after each piece.
    @Test func whatIsOnItsWayDoesNotVoidWhatIsBeingStored() throws {
        var (router, piece) = failingOver()
        #expect(piece.count == AssignmentChange.storeLimit)
        router.machine.leadership?.successors = [domain("d1499.example"): sr3]
        let left = try #require(router.machine.leadership?.rest)
        for round in 1...5 {
            router.time += 200
            _ = router.feed(.tick)
            for node in [sr2, sr3] {
                _ = router.beat(node, revision: 500)
                let report = copy(1, UInt64(round), of: "d1400.example")
                _ = router.feed(.received(.copies(CopyReports(reports: [report])), from: node))
            }
        }
        #expect(router.machine.leadership?.rest == left)
        let next = router.feed(carryOut(piece, from: 500)).stored
        #expect(next == Array(left.prefix(AssignmentChange.storeLimit)))
    }

    @Test func reportsHaveOnlyThoseDomainsLookedAtThatTheyAreOf() {
        var router = Driven(layout, leading: owned, alive: [sr1, sr2, sr3])
        _ = router.run(until: 1600, alive: [sr1, sr2, sr3], revision: 500)
        for node in [sr1, sr2, sr3] { _ = router.feed(.received(.copies(CopyReports(reports: [])), from: node)) }
        let waiting = Set(names.prefix(100).compactMap(DomainName.init(_:)))
        router.machine.leadership?.storing = .init(changes: [], wishes: nil, orders: 0)
        router.machine.leadership?.due = .nothing
        router.machine.leadership?.waiting = waiting
        func due() -> Set<DomainName>? {
            if case .domains(let domains)? = router.machine.leadership?.due { domains } else { nil }
        }
        _ = router.feed(.received(.copies(CopyReports(reports: [copy(1, 1, of: names[7])])), from: sr1))
        #expect(due() == [domain(names[7])])
        // A life that is heard of for the first time may be one that is awaited.
        _ = router.beat(life("sr1", 2), revision: 500)
        router.machine.leadership?.due = .nothing
        _ = router.feed(.received(.copies(CopyReports(reports: [])), from: life("sr1", 2)))
        #expect(due() == waiting)
    }

    @Test func whatIsLeftOfAPlanIsVoidWhenAnotherNodeIsGone() {
        var (router, piece) = failingOver()
        _ = router.feed(.refused(sr2.name))
        piece = router.feed(carryOut(piece, from: 500)).stored
        #expect(piece.count == AssignmentChange.storeLimit)
        #expect(piece.allSatisfy { $0.assignment.owner == sr3 })
    }

    @Test func whatWasGrantedInADroppedPieceIsGrantedAgain() {
        var router = Driven(
            layout,
            leading: owned.map { known in
                var known = known
                known.standbys = known.standbys.map { standby($0.node, inSync: false) }
                return known
            }, alive: [sr1, sr2, sr3])
        _ = router.run(until: 1600, alive: [sr1, sr2, sr3], revision: 500)
        // The first is planned alone, all others once it is stored.
        let asking = owned.filter { $0.owner == sr1 && $0.inSync == [sr2] || $0.owner == sr2 && $0.inSync == [sr1] }
        var piece: [AssignmentChange] = []
        for known in asking {
            guard let owner = known.owner else { continue }
            let change = ReplicaChange(
                domain: known.domain, epoch: 1, revision: known.revision, kind: .add, node: known.inSync[0])
            piece += router.feed(.received(.replicaChange(change), from: owner)).stored
        }
        #expect(piece.count == 1)
        var granted = Set(piece.map(\.assignment.domain))
        var revision: UInt64 = 500
        piece = router.feed(carryOut(piece, from: revision)).stored
        revision += 1
        #expect(piece.count == 120)
        // The rest of the plan is dropped, because sr3 is gone; what owners asked for is not.
        _ = router.feed(.refused(sr3.name))
        while !piece.isEmpty {
            for change in piece where !change.assignment.inSync.isEmpty { granted.insert(change.assignment.domain) }
            let more = router.feed(carryOut(piece, from: revision)).stored
            revision += UInt64(piece.count)
            piece = more
        }
        #expect(asking.count > AssignmentChange.storeLimit)
        #expect(granted.isSuperset(of: asking.map(\.domain)))
    }

    @Test func whatIsOnItsWayToANodeIsNotSentAgainAtOnce() {
        var (router, piece) = failingOver()
        let pushed = router.feed(carryOut(piece, from: 500))
        #expect(pushed.updates == ["sr2", "sr3"])
        #expect(router.beat(sr2, revision: 500).updates == [])
        piece = pushed.stored
        let more = router.feed(carryOut(piece, from: 620))
        let sizes = more.compactMap { directive -> Int? in
            guard case .send(.assignments(let update), let peer) = directive, peer == sr2.name else { return nil }
            #expect(update.from == 620)
            return update.assignments.count
        }
        #expect(sizes == [piece.count])
    }

    @Test func whatANodeDoesNotShowToKnowIsSentAgain() {
        var (router, piece) = failingOver()
        piece = router.feed(carryOut(piece, from: 500)).stored
        #expect(!piece.isEmpty)
        router.time += 100
        #expect(router.beat(sr2, revision: 500).updates == [])
        router.time += 100
        #expect(router.beat(sr2, revision: 500).updates == ["sr2"])
        #expect(router.beat(sr2, revision: 500).updates == [])
    }
}
