import ClusterRuntime
import Testing

@testable import SIPGateway

@Suite struct TransactionTableTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func key(_ number: UInt64) -> TransactionTable.Key { .init(high: number, low: ~number) }

    private func describe(_ admission: TransactionTable.Admission) -> [UInt8]?? {
        switch admission {
        case .new: nil
        case .repetition(let answer): .some(answer)
        }
    }

    @Test func aTransactionProceedsIsCompletedAndForgotten() {
        var table = TransactionTable(maximumBytes: 1_000)
        #expect(describe(table.begin(key(1), at: start)) == nil)
        #expect(describe(table.begin(key(1), at: start)) == .some(nil))
        table.complete(key(1), [1, 2], at: start)
        #expect(describe(table.begin(key(1), at: start + .milliseconds(31_999))) == .some([1, 2]))
        #expect(describe(table.begin(key(1), at: start + .seconds(32))) == nil)
        #expect(table.bytes == 0)
    }

    @Test func whatIsDroppedIsNew() {
        var table = TransactionTable(maximumBytes: 1_000)
        _ = table.begin(key(1), at: start)
        table.drop(key(1))
        #expect(table.count == 0)
        #expect(describe(table.begin(key(1), at: start)) == nil)
    }

    @Test func overTheBoundTheOldestAreForgottenButNoneThatProceeds() {
        let answer = [UInt8](repeating: 7, count: 72)
        let size = answer.capacity + 224
        var table = TransactionTable(maximumBytes: 5 * size)
        _ = table.begin(key(0), at: start)
        for number in 1...100 as ClosedRange<UInt64> {
            _ = table.begin(key(number), at: start)
            table.complete(key(number), answer, at: start)
        }
        table.forget(at: start)
        #expect(table.bytes == 5 * size && table.count == 6)
        #expect(describe(table.begin(key(100), at: start)) == .some(answer))
        #expect(describe(table.begin(key(95), at: start)) == nil)
        #expect(describe(table.begin(key(0), at: start)) == .some(nil))
    }
}
