import ClusterRuntime
import Foundation
import NIOCore
import RegistrarEvents
import Testing

@testable import EtcdCoordinator

/// The parts of the etcd coordinator that need no etcd.
@Suite struct EtcdPartsTests {
    @Test func endpointsThatAnswerTakeTurnsAndThoseThatFailRest() {
        var turns = EndpointTurns(["a", "b", "c"])
        #expect(turns.order(at: at(0).monotonic) == [0, 1, 2])
        #expect(turns.order(at: at(0).monotonic) == [1, 2, 0])
        #expect(turns.endpoints.map(\.answers) == [nil, nil, nil])
        #expect(turns.failed(2, at: at(0).monotonic) == true)
        #expect(turns.failed(2, at: at(1000).monotonic) == false)
        #expect(turns.answered(0, at: at(0).monotonic) == false)
        #expect(turns.order(at: at(1000).monotonic) == [0, 1, 2])
        #expect(turns.order(at: at(1000).monotonic) == [0, 1, 2])
        #expect(turns.order(at: at(1000).monotonic) == [1, 0, 2])
        #expect(turns.endpoints.map(\.answers) == [true, nil, false])
        // The rest is over five seconds after the last failure.
        #expect(turns.order(at: at(6000).monotonic) == [2, 0, 1])
        #expect(turns.answered(2, at: at(6000).monotonic) == true)
    }

    @Test func whatIsUrgentGoesToTheEndpointThatAnsweredLast() {
        var turns = EndpointTurns(["a", "b", "c"])
        #expect(turns.surest() == [0, 1, 2])
        _ = turns.answered(1, at: at(100).monotonic)
        _ = turns.answered(2, at: at(200).monotonic)
        #expect(turns.surest() == [2, 1, 0])
        _ = turns.failed(2, at: at(300).monotonic)
        #expect(turns.surest() == [1, 0, 2])
        // Nobody's turn was taken.
        #expect(turns.order(at: at(400).monotonic) == [0, 1, 2])
    }

    @Test func ofEndpointsThatAllFailedTheOneThatRestedLongestIsFirst() {
        var turns = EndpointTurns(["a", "b"])
        _ = turns.failed(0, at: at(200).monotonic)
        _ = turns.failed(1, at: at(100).monotonic)
        #expect(turns.order(at: at(300).monotonic) == [1, 0])
        #expect(turns.order(at: at(300).monotonic) == [1, 0])
    }

    @Test func linesAreFoundAcrossParts() throws {
        var buffer = LineBuffer()
        func take(_ text: String) throws -> [String] {
            try buffer.take(ByteBuffer(string: text)).map { String(buffer: $0) }
        }
        #expect(try take("one\ntw") == ["one"])
        #expect(try take("o") == [])
        #expect(try take("\n\nthree\n") == ["two", "three"])
        let endless = String(repeating: "x", count: LineBuffer.maximumLine)
        #expect(try take(endless) == [])
        #expect(throws: EtcdFault.self) { try take("x") }
    }

    @Test func aRecordComesBackAsItWas() throws {
        for owner in [life("sr1", UInt64.max), nil] {
            var original = assignment(
                "a.example", epoch: 7, revision: 1 << 60, owner: owner,
                standbys: [standby(life("sr2")), standby(life("sr3", 3), inSync: false)])
            original.cause = .failover
            let record = JSONForm.bytes(AssignmentRecord(original))
            #expect(try JSONDecoder().decode(AssignmentRecord.self, from: record).assignment == original)
        }
    }

    /// Etcd's own limit is 128 operations a transaction, compares and puts each counted.
    @Test func theLargestStoreIsWithinEtcdsLimit() throws {
        var contents = Contents()
        let keys = Keyspace(prefix: "/rollcall/test")
        let fence = TermRecord(term: 4, holder: life("router1"))
        contents.term = Contents.Term(record: fence, bytes: JSONForm.bytes(fence))
        let ledger = try #require(Ledger(contents, keys))
        let changes = (0..<AssignmentChange.storeLimit).map {
            AssignmentChange(assignment: assignment("d\($0).example", owner: life("sr1")), expected: 0)
        }
        let plan = try #require(ledger.plan(changes, MovementWishes()))
        #expect(max(plan.transaction.compare.count, plan.transaction.success.count) <= 128)
        #expect(ledger.plan([AssignmentChange(assignment: changes[0].assignment, expected: 1)]) == nil)
    }

    @Test func thereIsNoLedgerOnceTheLeaderHasResigned() {
        var contents = Contents()
        let keys = Keyspace(prefix: "/rollcall/test")
        #expect(Ledger(contents, keys) == nil)
        let resigned = TermRecord(term: 4, holder: nil)
        contents.term = Contents.Term(record: resigned, bytes: JSONForm.bytes(resigned))
        #expect(Ledger(contents, keys) == nil)
    }

    @Test func theRangeOfAPrefixHoldsItsKeysAlone() {
        let keys = Keyspace(prefix: "/rollcall/a")
        let own = [keys.leader, keys.term, keys.revision, keys.assignment(of: domain("d.example"))]
        let others = ["/rollcall/a", "/rollcall/a-b/term", "/rollcall/a0", "/rollcall/b/term"].map { Data($0.utf8) }
        func isWithin(_ key: Data) -> Bool {
            !key.lexicographicallyPrecedes(keys.first) && key.lexicographicallyPrecedes(keys.end)
        }
        #expect(own.allSatisfy(isWithin))
        #expect(!others.contains(where: isWithin))
    }
}
