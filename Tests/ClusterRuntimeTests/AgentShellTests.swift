import ClusterRuntime
import Dispatch
import Foundation
import Synchronization
import Testing

/// The shell on the real clock.
struct AgentShellTests {
    private final class Count: Transport {
        private let heartbeats = Atomic<Int>(0)
        var sent: Int { heartbeats.load(ordering: .acquiring) }

        func send(_ messages: [Message], to peer: NodeName) {
            for case .heartbeat in messages { heartbeats.add(1, ordering: .acquiringAndReleasing) }
        }

        func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {}
    }

    /// As when every thread that tasks share is writing to a disk that hangs.
    @Test func heartbeatsGoOnWhileTasksHoldUpAllTheirThreads() async {
        let transport = Count()
        let agent = NodeAgent(
            node: NodeID(name: NodeName("sr1"), incarnation: 1), role: .sr, routers: [NodeName("r1")], pid: 1,
            started: SystemClock.monotonic(), periods: Periods())
        let shell = AgentShell(agent: agent, transport: transport, heartbeat: .milliseconds(20), onAssigned: { _ in })
        let running = Task { await shell.run() }
        while transport.sent == 0 { await Task.yield() }
        let gate = DispatchSemaphore(value: 0)
        let threads = ProcessInfo.processInfo.activeProcessorCount * 2
        let blocked = (0..<threads).map { _ in Task.detached { Self.wait(for: gate) } }
        let goesOn = Self.seesHeartbeats(of: transport)
        for _ in blocked { gate.signal() }
        for task in blocked { await task.value }
        running.cancel()
        await running.value
        #expect(goesOn)
    }

    private static func wait(for gate: DispatchSemaphore) { gate.wait() }

    /// Holds up its own thread as well.
    private static func seesHeartbeats(of transport: Count) -> Bool {
        let start = ContinuousClock.now
        let first = transport.sent
        while transport.sent < first + 5, ContinuousClock.now - start < .seconds(20) { usleep(10_000) }
        return transport.sent >= first + 5
    }
}
