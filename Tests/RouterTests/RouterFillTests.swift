import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Copies that do not come into sync.
@Suite struct RouterFillTests {
    private let sr1 = life("sr1")
    private let sr2 = life("sr2")
    private let sr3 = life("sr3")

    @Test func aCopyThatTakesTooLongIsToldOfOnce() {
        let stored = assignment(revision: 5, owner: sr1, standbys: [standby(sr2), standby(sr3, inSync: false)])
        var router = Driven(leading: [stored], alive: [sr1, sr2, sr3])
        let alive = [sr1, sr2, sr3]
        let notice = RouterMachine.Directive.log(.fillsStuck(sr3.name, count: 1))
        #expect(!router.run(until: 59_000, alive: alive, revision: 5).contains(notice))
        #expect(router.run(until: 70_000, alive: alive, revision: 5).filter { $0 == notice }.count == 1)
        #expect(router.machine.leadership?.stuckFills == [sr3.name: 1])
        let reasons = router.machine.explanation(of: stored.domain, at: at(router.time))?.reasons ?? []
        #expect(reasons.contains { $0.hasPrefix("sr3 has been filled for") })
    }
}
