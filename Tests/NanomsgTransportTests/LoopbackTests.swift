import ClusterRuntime
import Testing

@testable import NanomsgTransport

@Suite struct LoopbackTests {
    /// A closure that is read out of a mutex by itself is wrapped anew each time, until its calls are deeper than a
    /// thread's stack.
    @Test func messagesToItselfTakeTheSameWayHoweverManyThereWere() async {
        let loopback = Loopback(NodeID(name: NodeName("a"), incarnation: 1), limit: 16)
        let (arrived, arrive) = AsyncStream.makeStream(of: Void.self)
        loopback.open { _ in arrive.yield() }
        var arrivals = arrived.makeAsyncIterator()
        for number in 0..<20_000 {
            loopback.add([numbered(UInt64(number))])
            await arrivals.next()
        }
        #expect(loopback.dropped == 0)
    }

    @Test func whatComesBeforeTheRunWaitsForItAndWhatComesAfterwardsIsCounted() async {
        let loopback = Loopback(NodeID(name: NodeName("a"), incarnation: 1), limit: 16)
        let (arrived, arrive) = AsyncStream.makeStream(of: Int.self)
        loopback.add([numbered(1)])
        loopback.add([numbered(2)])
        loopback.open { event in
            if case .received(let messages, _) = event { arrive.yield(messages.count) }
        }
        var arrivals = arrived.makeAsyncIterator()
        var count = 0
        while count < 2 { count += await arrivals.next() ?? 0 }
        loopback.close()
        loopback.add([numbered(3)])
        loopback.add([numbered(4), numbered(5)])
        #expect(await eventually { loopback.droppedAfterwards == 3 })
        #expect(loopback.dropped == 0)
    }
}
