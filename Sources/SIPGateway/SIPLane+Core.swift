import ClusterRuntime
import NIOCore

/// Where messages to devices leave an event loop.
protocol SIPSocket: AnyObject {
    /// Queues a message. `flush` sends what was queued.
    func write(_ bytes: [UInt8], to route: Route)
    func flush()
    /// A request that came over it was granted.
    func granted()
}

extension SIPLane {
    /// What an event loop has for itself.
    final class Core {
        private var registrar: Registrar
        private var outbox = Registrar.Outbox()
        private let eventLoop: any EventLoop
        private let transport: any Transport
        private let watchers: WatcherTable
        private var datagrams: (any SIPSocket)?
        private var streams: [UInt64: any SIPSocket] = [:]
        private var nextStream: UInt64 = 1
        private var ticker: Scheduled<Void>?
        /// How long the ticker waits in all.
        private(set) var tickerWait = Duration.zero
        /// Sockets with something to flush.
        private var written: [ObjectIdentifier: any SIPSocket] = [:]

        init(_ registrar: Registrar, eventLoop: any EventLoop, transport: any Transport, watchers: WatcherTable) {
            self.registrar = registrar
            self.eventLoop = eventLoop
            self.transport = transport
            self.watchers = watchers
        }

        // MARK: Sockets

        func setDatagramSocket(_ socket: (any SIPSocket)?, port: Int?) {
            datagrams = socket
            registrar.datagramPort = port
        }

        /// - Returns: the connection's number.
        func add(_ socket: any SIPSocket, from peer: SIPPeer) -> UInt64 {
            let number = nextStream
            nextStream += 1
            streams[number] = socket
            registrar.flows.opened(peer, lane: registrar.lane, number: number)
            return number
        }

        func remove(_ stream: UInt64, from peer: SIPPeer) {
            streams[stream] = nil
            registrar.flows.closed(peer, lane: registrar.lane, number: stream)
            guard let domains = registrar.watchedOver.removeValue(forKey: stream) else { return }
            // What came over it goes first.
            handOver()
            watchers.closed(WatcherWay.Connection(lane: registrar.lane, number: stream), of: domains.sorted())
        }

        /// Whether anything of the peer is looked at.
        func admits(_ peer: SIPPeer, at now: Moment) -> Bool { registrar.admits(peer, at: now) }

        /// What a stream brought cannot be cut into messages.
        func receivedGarbage(from peer: SIPPeer, at now: Moment) {
            registrar.gate.annoyed(by: peer, at: now.monotonic)
        }

        // MARK: What happens

        /// A message came in. Answers leave with `flush`.
        func received(_ bytes: [UInt8], from route: Route, at now: Moment) {
            registrar.received(bytes, from: route, at: now, &outbox)
        }

        func take(_ item: Item) {
            switch item {
            case .replies(let replies, let node): registrar.replied(replies, from: node, at: SystemClock.now(), &outbox)
            case .assigned(let assignments): registrar.assigned(assignments, at: SystemClock.now(), &outbox)
            case .domains(let domains): registrar.serve(domains)
            case .watched(let watch, let answer): registrar.watched(watch, answer, at: SystemClock.now(), &outbox)
            case .notify(let bytes, let route): outbox.answers.append((bytes, route))
            }
        }

        /// Sends what has come together in a burst.
        func flush() {
            for (bytes, route) in outbox.answers { write(bytes, to: route) }
            outbox.answers.removeAll(keepingCapacity: true)
            for number in outbox.granted { streams[number]?.granted() }
            outbox.granted.removeAll(keepingCapacity: true)
            datagrams?.flush()
            if !written.isEmpty {
                // In any order: connections have nothing to do with each other.
                for socket in written.values { socket.flush() }
                written.removeAll(keepingCapacity: true)
            }
            sendRequests()
            handOver()
            watchTheTime()
        }

        private func write(_ bytes: [UInt8], to route: Route) {
            switch route.way {
            case .datagram, .hearsay: datagrams?.write(bytes, to: route)
            case .stream(let number):
                // One that is closed meanwhile: the device comes back over another.
                guard let socket = streams[number] else { return }
                socket.write(bytes, to: route)
                written[ObjectIdentifier(socket)] = socket
            }
        }

        /// Each owner gets its requests in one go.
        private func sendRequests() {
            while let first = outbox.requests.first {
                let peer = first.peer
                var messages: [Message] = []
                messages.reserveCapacity(outbox.requests.count)
                outbox.requests.removeAll { request in
                    guard request.peer == peer else { return false }
                    messages.append(request.message)
                    return true
                }
                transport.send(messages, to: peer)
            }
        }

        /// What is for the watchers of domains.
        private func handOver() {
            guard !outbox.watches.isEmpty || !outbox.notifyAnswers.isEmpty else { return }
            for watch in outbox.watches { watchers.subscribe(watch) }
            for (answer, domain) in outbox.notifyAnswers { watchers.answered(answer, of: domain) }
            outbox.watches.removeAll()
            outbox.notifyAnswers.removeAll()
        }

        // MARK: Time

        private func watchTheTime() {
            guard let wait = registrar.nextTick, ticker == nil || wait < tickerWait else { return }
            ticker?.cancel()
            tickerWait = wait
            ticker = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(wait)) {
                self.ticker = nil
                self.registrar.tick(at: SystemClock.now(), &self.outbox)
                self.flush()
            }
        }

        /// Requests that are to be answered yet.
        var underWay: Int { registrar.underWay }

        /// Takes on nothing new from now on.
        func leave() { registrar.isLeaving = true }

        /// Stops: nothing is answered any more.
        func stop() {
            ticker?.cancel()
            datagrams = nil
            streams = [:]
        }
    }
}

extension TimeAmount {
    /// NIO's own conversion is of the same name, but not public on all its platforms.
    init(_ duration: Duration) { self = .nanoseconds(duration.nanoseconds) }
}
