import ClusterRuntime
import Glibc
import Logging
import Synchronization

/// Notices within milliseconds that a peer's process is gone: looks at the connections to watched peers, and when one
/// breaks asks the peer's machine by a plain TCP connection. Only a refusal counts; silence says nothing.
///
/// While a process dies its connections may break before it stops listening, so a connection that succeeds is followed
/// by another try until our own is back.
struct ConnectionMonitor {
    static let period: Duration = .milliseconds(20)
    /// An attempt that has not succeeded or failed by then is given up.
    static let attemptLimit: Duration = .milliseconds(100)
    /// Attempts after one break. With silence each takes `attemptLimit`.
    static let maximumAttempts = 25

    struct Watched {
        let peer: NodeName
        let address: SocketAddress
        let socket: NanomsgSocket
        /// Connections whose end, if they have ended, was looked into.
        fileprivate var seen: UInt64 = 0
        fileprivate var attemptsLeft = 0
        fileprivate var attempt: (descriptor: Int32, until: MonotonicInstant)?

        init(peer: NodeName, address: SocketAddress, socket: NanomsgSocket) {
            self.peer = peer
            self.address = address
            self.socket = socket
        }
    }

    let shared: NanomsgTransport.Shared
    private var watched: [Watched] = []
    /// Of the roster, as it was last looked at.
    private var version = 0
    let deliver: @Sendable (TransportEvent) -> Void

    init(shared: NanomsgTransport.Shared, deliver: @escaping @Sendable (TransportEvent) -> Void) {
        self.shared = shared
        self.deliver = deliver
    }

    mutating func run() {
        while !shared.stopping.load(ordering: .acquiring) {
            followRoster()
            let now = SystemClock.monotonic()
            for index in watched.indices { look(at: &watched[index], now) }
            sleep()
        }
        for item in watched { if let attempt = item.attempt { close(attempt.descriptor) } }
    }

    /// Peers come and go.
    private mutating func followRoster() {
        let roster = shared.roster.withLock { $0 }
        guard roster.version != version else { return }
        version = roster.version
        let entries = roster.entries.compactMap(\.self).filter(\.isWatched)
        let gone = watched.filter { item in !entries.contains { $0.socket === item.socket } }
        for item in gone { if let attempt = item.attempt { close(attempt.descriptor) } }
        watched.removeAll { item in !entries.contains { $0.socket === item.socket } }
        for entry in entries where !watched.contains(where: { $0.socket === entry.socket }) {
            guard let address = SocketAddress(entry.address) else {
                shared.logger.error("cannot watch \(entry.peer): no address \(entry.address)")
                continue
            }
            watched.append(Watched(peer: entry.peer, address: address, socket: entry.socket))
        }
    }

    private func look(at item: inout Watched, _ now: MonotonicInstant) {
        if item.socket.connections > 0 {
            item.attemptsLeft = 0
            endAttempt(&item)
            return
        }
        // A connection may come and go between two looks, so it is counted and not watched.
        let made = item.socket.connectionsMade
        if made > item.seen {
            item.seen = made
            item.attemptsLeft = Self.maximumAttempts
        }
        if let attempt = item.attempt {
            switch Self.outcome(attempt.descriptor) {
            case .refused: report(&item)
            case .pending where now < attempt.until: return
            case .pending, .other: endAttempt(&item)
            }
        }
        guard item.attemptsLeft > 0 else { return }
        item.attemptsLeft -= 1
        switch item.address.connect() {
        case .pending(let descriptor): item.attempt = (descriptor, now + Self.attemptLimit)
        case .refused: report(&item)
        case .failed: break
        }
    }

    private func report(_ item: inout Watched) {
        endAttempt(&item)
        item.attemptsLeft = 0
        shared.statistics.withLock { $0.refusals += 1 }
        shared.logger.info("\(item.peer) refuses connections: its process is gone")
        deliver(.refused(item.peer))
    }

    private func endAttempt(_ item: inout Watched) {
        if let attempt = item.attempt { close(attempt.descriptor) }
        item.attempt = nil
    }

    /// Until the period is over, or an attempt has an outcome.
    private func sleep() {
        var entries = watched.compactMap { item in
            item.attempt.map { pollfd(fd: $0.descriptor, events: Int16(POLLOUT), revents: 0) }
        }
        wait(&entries, upTo: Int32(Self.period.milliseconds))
        // An outcome of the sort that leads to the next attempt at once would turn this into a spin.
        if entries.contains(where: { $0.revents != 0 && $0.revents & Int16(POLLERR) == 0 }) {
            usleep(useconds_t(Self.period.milliseconds * 1000))
        }
    }

    private enum Outcome {
        case pending
        case refused
        case other
    }

    private static func outcome(_ descriptor: Int32) -> Outcome {
        var entries = [pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)]
        wait(&entries, upTo: 0)
        guard entries[0].revents != 0 else { return .pending }
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        return code == ECONNREFUSED ? .refused : .other
    }
}
