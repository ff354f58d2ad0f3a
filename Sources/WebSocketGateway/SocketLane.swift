import ClusterRuntime
import NIOCore
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

    /// Says goodbye to every client.
    func closeAll(_ code: CloseCode, _ reason: String) {
        eventLoop.execute {
            for socket in self.state.value.table.sockets { socket.close(code, reason) }
        }
    }

    /// Says goodbye to the clients of accounts that are gone.
    func close(_ users: Set<DirectoryChange.Removed>) {
        eventLoop.execute {
            for socket in self.state.value.table.sockets {
                if let user = socket.user, users.contains(user) { socket.close(.policyViolation, "no such account") }
            }
        }
    }

    // MARK: Deliveries

    func deliver(_ deliveries: [Delivery]) {
        guard queue.withLock({ $0.add(deliveries) }) else { return }
        eventLoop.execute { self.carryOut(self.queue.withLock { $0.take() }) }
    }

    private func carryOut(_ deliveries: [Delivery]) {
        let table = state.value.table
        var round = DeliveryRound()
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
        let frames = round.frames(of: batch, head: way.head)
        let sent = SocketWriter.send(frames, to: way.descriptor)
        round.sent += batch.tails.count
        if sent < frames.readableBytes { table[id.connection]?.writeRest(of: frames, after: sent) }
    }
}

/// What the sockets of a lane share while they take deliveries: the frames of a batch of events, made once for all
/// subscriptions of the same id, which most clients have in common; counts; and who has written something.
struct DeliveryRound {
    /// Each once; they flush at the end.
    var touched: [SocketHandler] = []
    var sent = 0
    var dropped = 0
    private var batch: EventBatch?
    private var made: [[UInt8]: ByteBuffer] = [:]
    private var last: (head: [UInt8], frames: ByteBuffer)?

    mutating func frames(of batch: EventBatch, head: [UInt8]) -> ByteBuffer {
        if self.batch !== batch {
            self.batch = batch
            made.removeAll(keepingCapacity: true)
        } else if let last, last.head == head {
            return last.frames
        }
        let frames = made[head] ?? Frames.texts(head: head, tails: batch.tails, tailBytes: batch.byteCount)
        made[head] = frames
        last = (head, frames)
        return frames
    }
}
