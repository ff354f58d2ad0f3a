import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// What a router makes of nodes that cannot write their journals, and says of them.
@Suite struct RouterJournalTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")
    private let owned = assignment(revision: 5, owner: life("sr1"), standbys: [standby(life("sr2"))])

    private func router(alive: [NodeID]) -> Driven {
        var router = Driven(leading: [owned], alive: alive)
        for node in alive { _ = router.feed(.received(.copies(CopyReports(reports: [])), from: node)) }
        return router
    }

    private func tell(_ router: inout Driven, _ node: NodeID, canWrite: Bool) -> [RouterMachine.Directive] {
        router.feed(.received(.heartbeat(heartbeat(revision: 5, isJournalWritable: canWrite)), from: node))
    }

    private func reasons(_ router: Driven) throws -> String {
        try #require(router.machine.explanation(of: owned.domain, at: at(router.time))).reasons.joined(separator: "\n")
    }

    @Test func itIsToldOnceWhenAJournalFailsAndWhenItIsWellAgain() {
        var router = router(alive: [sr1, sr2, sr3])
        #expect(tell(&router, sr2, canWrite: false).contains(.log(.journalFailed(sr2))))
        #expect(!tell(&router, sr2, canWrite: false).contains(.log(.journalFailed(sr2))))
        let status = router.machine.status(following: AssignmentTable(), at: at(0))
        #expect(status.nodes.filter { $0.journalWritable != nil }.map(\.name) == ["sr2"])
        #expect(status.nodes.first { $0.name == "sr2" }?.journalWritable == false)
        #expect(tell(&router, sr2, canWrite: true).contains(.log(.journalWritable(sr2))))
        let after = router.machine.status(following: AssignmentTable(), at: at(0))
        #expect(after.nodes.allSatisfy { $0.journalWritable == nil })
    }

    @Test func theNextLifeBeginsWithAWorkingJournal() {
        var router = router(alive: [sr1, sr2, sr3])
        _ = tell(&router, sr2, canWrite: false)
        let next = tell(&router, life("sr2", 2), canWrite: true)
        #expect(!next.contains { if case .log(.journalWritable) = $0 { true } else { false } })
        #expect(router.machine.membership[sr2.name]?.journalFailedSince == nil)
    }

    @Test func aMoveThereIsRefusedAndSoIsADrainThatNobodyCouldTake() {
        var router = router(alive: [sr1, sr2])
        _ = tell(&router, sr2, canWrite: false)
        #expect(
            router.feed(.ordered(.move(owned.domain, to: sr2.name), id: 1)).answers[1]
                == .refused("sr2 takes nothing on: it cannot write its journal; is its disk full?"))
        #expect(
            router.feed(.ordered(.drain(sr1.name), id: 2)).answers[2]
                == .refused(
                    "no other sr node can write its journal (sr2), so nobody could take its domains safely; are their "
                        + "disks full?"))
        _ = tell(&router, sr2, canWrite: true)
        #expect(router.feed(.ordered(.drain(sr1.name), id: 3)).wishes.map(\.drained) == [[sr1.name]])
    }

    @Test func itIsExplainedWhyADrainWaitsAndWhoseCopyIsKept() throws {
        var router = router(alive: [sr1, sr2])
        _ = router.feed(.ordered(.drain(sr1.name), id: 1))
        _ = router.feed(.stored(.success(.stored([])), term: 1))
        _ = tell(&router, sr2, canWrite: false)
        var told = try reasons(router)
        #expect(told.contains("sr2 cannot write its journal, and is given nothing that another node"), "\(told)")
        #expect(told.contains("sr1 is drained, and keeps it until there is another node that can write"), "\(told)")
        let candidates = try #require(router.machine.explanation(of: owned.domain, at: at(0))).candidates
        #expect(candidates.filter { $0.journalWritable == false }.map(\.name) == ["sr2"])

        _ = tell(&router, sr2, canWrite: true)
        _ = tell(&router, sr1, canWrite: false)
        told = try reasons(router)
        #expect(told.contains("sr1 cannot write its journal: what it acknowledges is with its standbys"), "\(told)")
    }
}
