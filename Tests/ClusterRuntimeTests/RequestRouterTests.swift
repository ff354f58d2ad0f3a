import ClusterRuntime
import RegistrarEvents
import Synchronization
import Testing

/// The shell: one owner that answers through the same calls as a node's mailbox would.
@Suite struct RequestRouterTests {
    private static let demo = DomainName("demo.example")!
    private static let owner = NodeID(name: NodeName("sr1"), incarnation: 1)

    /// Keeps what was sent, frame by frame.
    private final class Recorder: Transport {
        let frames = Mutex<[[Request]]>([])

        func send(_ messages: [Message], to peer: NodeName) {
            let requests = messages.compactMap { if case .request(let request) = $0 { request } else { nil } }
            frames.withLock { $0.append(requests) }
        }

        func run(deliver: @escaping @Sendable (TransportEvent) -> Void) async throws {}
    }

    private static func router(_ transport: any Transport) async -> RequestRouter {
        let router = RequestRouter(node: NodeID(name: NodeName("ws1"), incarnation: 5), transport: transport)
        await router.assigned([
            Assignment(
                domain: demo, epoch: 1, revision: 1, owner: owner, standbys: [], cause: .restart, since: 0)
        ])
        return router
    }

    @Test(.timeLimit(.minutes(1))) func everyCallGetsItsOwnReplyAndRequestsTravelTogether() async {
        let recorder = Recorder()
        let router = await Self.router(recorder)
        let count = 1_000
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<count {
                group.addTask {
                    let operation = Request.Operation.list(cursor: UInt32(number), account: nil)
                    let result = await router.perform(operation, on: Self.demo, deadline: .seconds(30))
                    return result == .page([], next: UInt32(number), position: .start)
                }
            }
            group.addTask {
                var answered = 0
                while answered < count {
                    let frames = recorder.frames.withLock { frames in
                        defer { frames = [] }
                        return frames
                    }
                    for frame in frames {
                        await router.receive(frame.map { Self.answer($0) }, from: Self.owner)
                        answered += frame.count
                    }
                    await Task.yield()
                }
                return true
            }
            for await isRight in group { #expect(isRight) }
        }
        #expect(await router.pendingCount == 0)
    }

    @Test(.timeLimit(.minutes(1))) func withoutAnOwnersReplyTheCallEndsAfterItsDeadline() async {
        let recorder = Recorder()
        let router = await Self.router(recorder)
        let result = await router.perform(.clear, on: Self.demo, deadline: .seconds(1))
        #expect(result == .refused(.unavailable))
        let sent = recorder.frames.withLock { $0.flatMap(\.self) }
        #expect(sent.count >= 2, "at once, and again after a quarter of a second")
        #expect(Set(sent.map(\.id)).count == 1)
    }

    private static func answer(_ request: Request) -> Reply {
        guard case .list(let cursor, _) = request.operation else {
            return Reply(id: request.id, result: .refused(.unavailable))
        }
        return Reply(id: request.id, result: .page([], next: cursor, position: .start))
    }
}
