import ClusterRuntime
import Synchronization

/// Where `send` leaves messages for the sender thread: one list a peer, in the order given.
final class Intake: Sendable {
    /// What the sender thread takes out at once.
    struct Work {
        var messages: [Message] = []
        /// The session with the peer has moved: it may be due a hello, or ready for data.
        var sessionChanged = false
        /// The peer has said hello: it is there, even when our connection to it is not.
        var peerIsThere = false
        /// The peer's hello was the first of another life.
        var peerHasRestarted = false
        /// The peer is none of ours any more: nothing is to be sent to it from now on.
        var peerIsGone = false
    }

    fileprivate struct State {
        /// The places of the peers that there are. A place is never given to another peer.
        var indexes: [NodeName: Int]
        var work: [Work]
        /// Bytes that the sender thread holds for each peer, as it told last.
        var backlog: [Int]
        var touched: [Int] = []
        var isTouched: [Bool]
        var sleeping = false
        var closed = false
        var drops: [DropReason: Int] = [:]
    }

    private let outboxBytes: Int
    private let outboxMessages: Int
    private let signal: WakeSignal
    private let state: Mutex<State>

    init(peers: [NodeName], outboxBytes: Int, outboxMessages: Int, signal: WakeSignal) {
        self.outboxBytes = outboxBytes
        self.outboxMessages = outboxMessages
        self.signal = signal
        state = Mutex(
            State(
                indexes: Dictionary(uniqueKeysWithValues: zip(peers, peers.indices)), work: peers.map { _ in Work() },
                backlog: peers.map { _ in 0 }, isTouched: peers.map { _ in false }))
    }

    func add(_ messages: [Message], to peer: NodeName) {
        let wake = state.withLock { state -> Bool in
            guard let index = state.indexes[peer] else {
                state.drops[.unknownPeer, default: 0] += messages.count
                return false
            }
            guard !state.closed else {
                state.drops[.stopped, default: 0] += messages.count
                return false
            }
            let room = state.backlog[index] < outboxBytes ? outboxMessages - state.work[index].messages.count : 0
            if room >= messages.count {
                state.work[index].messages += messages
            } else {
                state.work[index].messages += messages.prefix(max(room, 0))
                state.drops[.outboxFull, default: 0] += messages.count - max(room, 0)
            }
            return state.touch(index)
        }
        if wake { signal.signal() }
    }

    /// From the receive thread: something about the session with the peer is new.
    func sessionChanged(with peer: NodeName, peerIsThere: Bool, peerHasRestarted: Bool = false) {
        let wake = state.withLock { state -> Bool in
            guard let index = state.indexes[peer] else { return false }
            state.work[index].sessionChanged = true
            state.work[index].peerIsThere = state.work[index].peerIsThere || peerIsThere
            state.work[index].peerHasRestarted = state.work[index].peerHasRestarted || peerHasRestarted
            return state.touch(index)
        }
        if wake { signal.signal() }
    }

    /// Takes in a peer, whose place is the next one.
    func join(_ peer: NodeName) {
        let wake = state.withLock { state -> Bool in
            state.indexes[peer] = state.work.count
            state.work.append(Work())
            state.backlog.append(0)
            state.isTouched.append(false)
            return state.touch(state.work.count - 1)
        }
        if wake { signal.signal() }
    }

    /// Lets go of a peer; what waits for it is dropped.
    func leave(_ peer: NodeName) {
        let wake = state.withLock { state -> Bool in
            guard let index = state.indexes.removeValue(forKey: peer) else { return false }
            state.drops[.unknownPeer, default: 0] += state.work[index].messages.count
            state.work[index] = Work(peerIsGone: true)
            return state.touch(index)
        }
        if wake { signal.signal() }
    }

    /// Hands all work to `body`, peer by peer in the order of arrival.
    /// - Returns: false when there was none; then the thread may sleep, and will be woken.
    func take(_ body: (Int, Work) -> Void) -> Bool {
        let taken = state.withLock { state -> [(Int, Work)] in
            state.sleeping = state.touched.isEmpty
            let taken = state.touched.map { index in
                let work = state.work[index]
                state.work[index] = Work()
                state.isTouched[index] = false
                return (index, work)
            }
            state.touched.removeAll(keepingCapacity: true)
            return taken
        }
        for (index, work) in taken { body(index, work) }
        return !taken.isEmpty
    }

    func setBacklog(_ bytes: Int, of index: Int) { state.withLock { $0.backlog[index] = bytes } }

    /// What was dropped here since the last call.
    func takeDrops() -> [DropReason: Int] {
        state.withLock { state in
            defer { state.drops = [:] }
            return state.drops
        }
    }

    /// From now on nothing is taken in.
    func close() { state.withLock { $0.closed = true } }
}

extension Intake.State {
    /// - Returns: whether the sender thread sleeps and must be woken.
    fileprivate mutating func touch(_ index: Int) -> Bool {
        if !isTouched[index] {
            isTouched[index] = true
            touched.append(index)
        }
        defer { sleeping = false }
        return sleeping
    }
}
