import ClusterRuntime
import DequeModule
import NIOCore
import RegistrarEvents
import Synchronization
import WSSubscrActor
import WebSocketFrames

/// The sockets of one event loop. Everything in it but `deliver` happens on that loop.
final class SocketLane: SubscriberLane {
    let number: UInt8
    let eventLoop: any EventLoop
    private let counters: GatewayCounters
    private let queue: Mutex<DeliveryQueue>
    private let state: NIOLoopBoundBox<State>

    private struct State {
        let table = SocketTable()
        /// Heads that subscriptions have, so that those of the same id have the same array.
        var heads: Set<[UInt8]> = []
        var ticker: RepeatedTask?
        /// Those that are still to be closed when the node goes down.
        var leaving: ArraySlice<SocketHandler> = []
        /// Those that have read more than they had time for, in turn; the first is at it, or is the next.
        var readers: Deque<SocketHandler> = []
        var inflater: Inflater?
        /// By their window.
        var deflaters: [DeflateTerms: FrameDeflater] = [:]
    }

    /// How often sockets look at their timeouts.
    private static let tickInterval = TimeAmount.seconds(1)

    /// - Parameter queueBytes: of events that may wait to be written.
    init(number: UInt8, eventLoop: any EventLoop, counters: GatewayCounters, queueBytes: Int) {
        self.number = number
        self.eventLoop = eventLoop
        self.counters = counters
        queue = Mutex(DeliveryQueue(maximumBytes: queueBytes))
        state = NIOLoopBoundBox.makeBoxSendingValue(State(), eventLoop: eventLoop)
    }

    // MARK: Sockets

    /// Takes in a socket and gives its connection a number.
    func add(_ socket: SocketHandler) -> UInt32 {
        counters.open.count()
        return state.value.table.add(socket)
    }

    func remove(_ connection: UInt32) {
        guard state.value.table.remove(connection) else { return }
        counters.open.subtract(1, ordering: .relaxed)
    }

    func setExpressWay(_ way: SocketTable.ExpressWay?, of connection: UInt32) {
        state.value.table.setExpressWay(way, of: connection)
    }

    /// The same head as others have, where it is the same.
    func shared(_ head: [UInt8]) -> [UInt8] {
        let (isNew, shared) = state.value.heads.insert(head)
        // Which are in use is not known; those that many have in common are soon back.
        if isNew, state.value.heads.count > Self.maximumHeads { state.value.heads = [head] }
        return shared
    }

    private static let maximumHeads = 256

    /// Has a socket go on with what it has read: one socket at a time, and the loop looks for what has arrived for the
    /// others in between.
    func readLater(_ socket: SocketHandler) {
        state.value.readers.append(socket)
        if state.value.readers.count == 1 { scheduleReader() }
    }

    private func scheduleReader() {
        // Not at once: a loop looks for what has arrived when nothing that it is to do is due.
        eventLoop.scheduleTask(in: Self.readerPause) {
            guard let socket = self.state.value.readers.first else { return }
            socket.goOnReading()
            self.state.value.readers.removeFirst()
            if !self.state.value.readers.isEmpty { self.scheduleReader() }
        }
    }

    private static let readerPause = TimeAmount.microseconds(100)

    func start() {
        eventLoop.execute {
            self.state.value.ticker = self.eventLoop.scheduleRepeatedTask(
                initialDelay: Self.tickInterval, delay: Self.tickInterval
            ) { _ in
                let now = SystemClock.now()
                for socket in self.state.value.table.sockets { socket.tick(at: now) }
            }
        }
    }

    func stop() {
        eventLoop.execute { self.state.value.ticker?.cancel() }
    }

    static let farewell = "the server is going down; connect again"

    /// Says goodbye to every client, one after the other over a time, so that not all of them come back at once.
    func closeAll(over time: Duration) {
        eventLoop.execute {
            // In any order: sockets have nothing to do with each other here.
            self.state.value.leaving = self.state.value.table.sockets[...]
            let total = self.state.value.leaving.count
            let begin = SystemClock.monotonic()
            self.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.closeInterval) { task in
                let left = total - Drain.due(of: total, after: SystemClock.monotonic() - begin, over: time)
                while self.state.value.leaving.count > left, let socket = self.state.value.leaving.popFirst() {
                    socket.close(.serviceRestart, Self.farewell)
                }
                if left == 0 { task.cancel() }
            }
        }
    }

    private static let closeInterval = TimeAmount.milliseconds(10)

    /// Says goodbye to the clients of accounts that are gone.
    func close(_ users: Set<DirectoryChange.Removed>) {
        eventLoop.execute {
            for socket in self.state.value.table.sockets {
                if let user = socket.user, users.contains(user) { socket.close(.policyViolation, "no such account") }
            }
        }
    }

    /// What clients of a domain that is no more are told. Programs may go by it.
    static let domainRemoved = "the domain was removed"

    /// Says goodbye to the clients of a domain that is no more: its users, and the services that work for it.
    func close(_ domain: DomainName) {
        eventLoop.execute {
            for socket in self.state.value.table.sockets where socket.domain == domain {
                socket.close(.policyViolation, Self.domainRemoved)
            }
        }
    }

    // MARK: Compression

    /// For all sockets of the loop that take compressed messages. To be used on the loop.
    var inflater: Inflater {
        if let inflater = state.value.inflater { return inflater }
        let inflater = Inflater()
        state.value.inflater = inflater
        return inflater
    }

    func deflater(_ terms: DeflateTerms) -> FrameDeflater {
        if let deflater = state.value.deflaters[terms] { return deflater }
        let deflater = FrameDeflater(windowBits: terms.windowBits)
        state.value.deflaters[terms] = deflater
        return deflater
    }

    // MARK: Deliveries

    func deliver(_ deliveries: [Delivery]) {
        guard queue.withLock({ $0.add(deliveries) }) else { return }
        eventLoop.execute { self.carryOut(self.queue.withLock { $0.take() }) }
    }

    private func carryOut(_ deliveries: [Delivery]) {
        let table = state.value.table
        var round = DeliveryRound { self.deflater($0) }
        for delivery in deliveries {
            var pushed: EventBatch?
            if case .events(let batch, .pushed) = delivery.content, !batch.tails.isEmpty { pushed = batch }
            for id in delivery.to where id.lane == Int(number) {
                if let pushed, let way = table.expressWay(of: id) {
                    send(pushed, by: way, to: id, table, &round)
                } else if let socket = table[id.connection] {
                    socket.take(delivery.content, for: id.number, &round)
                }
            }
        }
        for socket in round.touched { socket.finishRound() }
        counters.eventsSent.count(round.sent)
        counters.eventsDropped.count(round.dropped)
    }

    private func send(
        _ batch: EventBatch, by way: SocketTable.ExpressWay, to id: SubscriberID, _ table: SocketTable,
        _ round: inout DeliveryRound
    ) {
        let frames = round.frames(of: batch, head: way.head, deflate: way.deflate)
        let sent = SocketWriter.send(frames, to: way.descriptor)
        round.sent += batch.tails.count
        if sent < frames.readableBytes { table[id.connection]?.writeRest(of: frames, after: sent) }
    }
}

/// What the sockets of a lane share while they take deliveries: the frames of a batch of events, made once for all
/// subscriptions of the same id, which most clients have in common, and once more for those of them that take
/// compressed messages; counts; and who has written something.
struct DeliveryRound {
    /// How frames are made of a batch.
    private struct Form: Hashable {
        let head: [UInt8]
        let deflate: DeflateTerms?
    }

    /// Each once; they flush at the end.
    var touched: [SocketHandler] = []
    var sent = 0
    var dropped = 0
    private let deflater: (DeflateTerms) -> FrameDeflater
    private var batch: EventBatch?
    private var made: [Form: ByteBuffer] = [:]
    private var last: (form: Form, frames: ByteBuffer)?

    init(deflater: @escaping (DeflateTerms) -> FrameDeflater) { self.deflater = deflater }

    mutating func frames(of batch: EventBatch, head: [UInt8], deflate: DeflateTerms?) -> ByteBuffer {
        let form = Form(head: head, deflate: deflate)
        if self.batch !== batch {
            self.batch = batch
            made.removeAll(keepingCapacity: true)
        } else if let last, last.form == form {
            return last.frames
        }
        let frames =
            made[form]
            ?? Frames.texts(
                head: head, tails: batch.tails, tailBytes: batch.byteCount, deflater: deflate.map(deflater))
        made[form] = frames
        last = (form, frames)
        return frames
    }
}
