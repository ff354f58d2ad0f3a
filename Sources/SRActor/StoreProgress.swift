import Synchronization

/// Whether the node's disk still takes what domains have it keep.
///
/// A node whose disk hangs goes on sending heartbeats to the routers, as it must: it may be back in a moment. But its
/// domains serve nobody meanwhile, so it must not vouch for them. Asked at each tick of the agent, which has a thread
/// of its own; it waits for nothing.
public final class StoreProgress: Sendable {
    private let begun = Atomic<UInt64>(0)
    private let ended = Atomic<UInt64>(0)
    private let seen = Mutex<(ended: UInt64, isWaiting: Bool)>((0, false))

    public init() {}

    func begin() { begun.add(1, ordering: .relaxed) }

    func end() { ended.add(1, ordering: .releasing) }

    /// False when something has waited for the disk since this was last asked, and nothing was through meanwhile.
    func look() -> Bool {
        let ended = ended.load(ordering: .acquiring)
        let isWaiting = begun.load(ordering: .relaxed) > ended
        return seen.withLock { seen in
            defer { seen = (ended, isWaiting) }
            return !(seen.isWaiting && isWaiting && seen.ended == ended)
        }
    }
}
