import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import Synchronization
import Testing

@testable import WSSubscrActor

@Suite(.timeLimit(.minutes(1)))
struct FollowerActorTests {
    /// More comes all the time than is done in a turn, until somebody is answered.
    private final class Flood: Sendable {
        let isOver = Atomic<Bool>(false)
        let wasInVain = Atomic<Bool>(false)

        func run(_ post: @escaping @Sendable () -> Void) {
            let end = Date(timeIntervalSinceNow: 20)
            Thread { [self] in
                while !isOver.load(ordering: .relaxed) {
                    if Date() > end { wasInVain.store(true, ordering: .relaxed) }
                    if wasInVain.load(ordering: .relaxed) { return }
                    for _ in 0..<100 { post() }
                }
            }.start()
        }
    }

    @Test func whoAsksIsAnsweredHoweverMuchElseThereIsToDo() async {
        let life = NodeID(name: NodeName("ws1"), incarnation: 1)
        let follower = FollowerActor(
            machine: Follower(domain: demo, settings: FollowerSettings()),
            transport: InMemoryTransport(self: life, on: InMemoryHub()), lanes: LaneTable(),
            log: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let flood = Flood()
        for _ in 0..<2 { flood.run { follower.tick(at: MonotonicInstant(nanoseconds: .max)) } }
        // Only what is asked amid a turn has to wait for it.
        for _ in 0..<20 { _ = await follower.onlineAccounts(.user) }
        flood.isOver.store(true, ordering: .relaxed)
        let wasInVain = flood.wasInVain.load(ordering: .relaxed)
        #expect(!wasInVain, "the follower's turn did not end")
    }
}
