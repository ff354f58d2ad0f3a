import Synchronization

/// What the gateway has done since it started, and what it does now.
public struct GatewayStatistics: Sendable, Hashable {
    /// TCP connections accepted, and those of them refused at once: there were too many, too many came in a second, or
    /// the node goes down.
    public var accepted: UInt64 = 0
    public var turnedAway: UInt64 = 0
    /// Handshakes answered with an error.
    public var handshakesRefused: UInt64 = 0
    /// Websockets open now.
    public var open: UInt64 = 0
    public var messagesReceived: UInt64 = 0
    public var repliesSent: UInt64 = 0
    /// Notifications handed to sockets.
    public var eventsSent: UInt64 = 0
    /// Notifications dropped since a socket was over its budget; each such socket is told, or caught up, later.
    public var eventsDropped: UInt64 = 0
    /// How often a socket went over its budget.
    public var fellBehind: UInt64 = 0
    public var loginsAccepted: UInt64 = 0
    public var loginsRefused: UInt64 = 0
    /// Logins turned away unchecked, since their address failed too often.
    public var loginsBanned: UInt64 = 0
    /// Connections closed for breaking the protocol.
    public var protocolErrors: UInt64 = 0
    /// Connections closed for silence, or for not logging in.
    public var timeouts: UInt64 = 0
}

/// The counters behind `GatewayStatistics`; written from every event loop.
final class GatewayCounters: Sendable {
    let accepted = Atomic<UInt64>(0)
    let turnedAway = Atomic<UInt64>(0)
    let handshakesRefused = Atomic<UInt64>(0)
    let connections = Atomic<Int>(0)
    let open = Atomic<UInt64>(0)
    let messagesReceived = Atomic<UInt64>(0)
    let repliesSent = Atomic<UInt64>(0)
    let eventsSent = Atomic<UInt64>(0)
    let eventsDropped = Atomic<UInt64>(0)
    let fellBehind = Atomic<UInt64>(0)
    let loginsAccepted = Atomic<UInt64>(0)
    let loginsRefused = Atomic<UInt64>(0)
    let loginsBanned = Atomic<UInt64>(0)
    let protocolErrors = Atomic<UInt64>(0)
    let timeouts = Atomic<UInt64>(0)

    var statistics: GatewayStatistics {
        func read(_ counter: borrowing Atomic<UInt64>) -> UInt64 { counter.load(ordering: .relaxed) }
        return GatewayStatistics(
            accepted: read(accepted), turnedAway: read(turnedAway), handshakesRefused: read(handshakesRefused),
            open: read(open), messagesReceived: read(messagesReceived), repliesSent: read(repliesSent),
            eventsSent: read(eventsSent), eventsDropped: read(eventsDropped), fellBehind: read(fellBehind),
            loginsAccepted: read(loginsAccepted), loginsRefused: read(loginsRefused),
            loginsBanned: read(loginsBanned), protocolErrors: read(protocolErrors), timeouts: read(timeouts))
    }
}

extension Atomic where Value == UInt64 {
    func count(_ amount: Int = 1) { add(UInt64(amount), ordering: .relaxed) }
}
