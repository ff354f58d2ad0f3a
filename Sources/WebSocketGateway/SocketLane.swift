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
    private let state: NIOLoopBoundBox<State>

    private struct State {
        var sockets: [UInt32: SocketHandler] = [:]
        var nextConnection: UInt32 = 0
        var ticker: RepeatedTask?
    }

    /// How often sockets look at their timeouts.
    private static let tickInterval = TimeAmount.seconds(1)

    init(number: UInt8, eventLoop: any EventLoop, counters: GatewayCounters) {
        self.number = number
        self.eventLoop = eventLoop
        self.counters = counters
        state = NIOLoopBoundBox.makeBoxSendingValue(State(), eventLoop: eventLoop)
    }

    // MARK: Sockets

    /// Takes in a socket and gives it its number.
    func add(_ socket: SocketHandler) -> UInt32 {
        repeat { state.value.nextConnection &+= 1 } while state.value.sockets[state.value.nextConnection] != nil
        let number = state.value.nextConnection
        state.value.sockets[number] = socket
        counters.open.count()
        return number
    }

    func remove(_ connection: UInt32) {
        guard state.value.sockets.removeValue(forKey: connection) != nil else { return }
        counters.open.subtract(1, ordering: .relaxed)
    }

    func start() {
        eventLoop.execute {
            self.state.value.ticker = self.eventLoop.scheduleRepeatedTask(
                initialDelay: Self.tickInterval, delay: Self.tickInterval
            ) { _ in
                let now = SystemClock.now()
                // In any order: sockets have nothing to do with each other here.
                for socket in Array(self.state.value.sockets.values) { socket.tick(at: now) }
            }
        }
    }

    func stop() {
        eventLoop.execute { self.state.value.ticker?.cancel() }
    }

    /// Says goodbye to every client.
    func closeAll(_ code: CloseCode, _ reason: String) {
        eventLoop.execute {
            for socket in Array(self.state.value.sockets.values) { socket.close(code, reason) }
        }
    }

    /// Says goodbye to the clients of accounts that are gone.
    func close(_ users: Set<DirectoryChange.Removed>) {
        eventLoop.execute {
            for socket in Array(self.state.value.sockets.values) {
                if let user = socket.user, users.contains(user) { socket.close(.policyViolation, "no such account") }
            }
        }
    }

    // MARK: Deliveries

    func deliver(_ deliveries: [Delivery]) {
        eventLoop.execute { self.carryOut(deliveries) }
    }

    private func carryOut(_ deliveries: [Delivery]) {
        var frames = FrameCache()
        var touched: [SocketHandler] = []
        for delivery in deliveries {
            for id in delivery.to where id.lane == Int(number) {
                guard let socket = state.value.sockets[id.connection] else { continue }
                if !socket.isTouched {
                    socket.isTouched = true
                    touched.append(socket)
                }
                socket.take(delivery.content, for: id.number, frames: &frames)
            }
        }
        for socket in touched {
            socket.isTouched = false
            socket.finishBatch()
        }
    }
}

/// The frames of a batch of events, made once for all subscriptions of the same id, which most clients share.
struct FrameCache {
    private struct Key: Hashable {
        let batch: ObjectIdentifier
        let head: [UInt8]
    }
    private var made: [Key: ByteBuffer] = [:]

    mutating func frames(of batch: EventBatch, head: [UInt8]) -> ByteBuffer {
        let key = Key(batch: ObjectIdentifier(batch), head: head)
        if let found = made[key] { return found }
        let buffer = Frames.texts(head: head, tails: batch.tails, tailBytes: batch.byteCount)
        made[key] = buffer
        return buffer
    }
}
