import ClusterRuntime
import Testing

@testable import ClusterClients
@testable import Drills

@Suite struct ConnectionLogTests {
    private let ws1 = NodeName("ws1")
    private let ws2 = NodeName("ws2")

    @Test func whoeverIsLostWhileNothingIsDoneToTheNodeIsAStray() {
        let log = ConnectionLog()
        #expect(log.nodes.isEmpty)
        log.lost(ws2)
        log.disturbed(ws1)
        log.lost(ws1)
        log.lost(ws2)
        log.settled(ws1)
        log.lost(ws1)
        #expect(log.nodes.map(\.node) == ["ws1", "ws2"])
        #expect(log.nodes.map(\.lost) == [2, 2])
        #expect(log.nodes.map(\.strays) == [1, 2])
    }

    @Test func howTheyWentOnIsCountedWhereTheyWereLost() {
        let log = ConnectionLog()
        log.disturbed(ws1)
        for _ in 0..<3 { log.lost(ws1) }
        log.resumed(after: ws1, at: ws2, isWhole: true)
        log.resumed(after: ws1, at: ws1, isWhole: true)
        log.resumed(after: ws1, at: ws2, isWhole: false)
        let found = log.nodes
        #expect(found.map(\.resumed) == [2] && found.map(\.resynced) == [1] && found.map(\.elsewhere) == [2])
    }

    @Test func aRestartThatStoppedOrLeftANodeDrainedIsAMiss() {
        let log = RestartLog()
        #expect(log.areOver)
        log.began()
        log.began()
        log.ended(RestartReport(), left: nil)
        #expect(log.misses.isEmpty && log.reports.count == 1 && !log.areOver)
        var report = RestartReport()
        report.reason = "sr2 did not come back"
        log.ended(report, left: NodeName("sr2"))
        #expect(log.misses.count == 2 && log.misses[0].contains("sr2 did not come back") && log.areOver)
    }
}
