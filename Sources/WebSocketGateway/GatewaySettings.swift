public import ClusterRuntime

/// Where the websocket gateway listens, and its limits and periods.
public struct GatewaySettings: Sendable {
    /// Address to bind.
    public var host: String
    /// Port to bind; 0 lets the system choose (`WebSocketServer.port`).
    public var port: Int
    /// Name of the site, for `connection_info`.
    public var site: String
    /// Event loops, each with its own share of the sockets.
    public var threads: Int
    /// How long a client may take from connecting to the end of the handshake.
    public var handshakeTime: Duration = .seconds(5)
    /// How long it may take from there to a successful login.
    public var loginTime: Duration = .seconds(30)
    /// A client that was silent for this long is sent a ping; after twice as long it is gone.
    public var pingInterval: Duration = .seconds(30)
    /// How long the other side may take to answer a close frame.
    public var closeTime: Duration = .seconds(2)
    /// At shutdown, how long the registrations of closed connections may take to be ended.
    public var unregisterTime: Duration = .seconds(5)
    /// Requests of one client that may wait while its login is under way; together they may be as large as one message.
    public var waitingMessages = 32
    /// Requests of one client that are answered without a login, those that were to be one included.
    public var earlyMessages = 64
    /// Logins of all clients that may be under way.
    public var waitingLogins = 10_000
    /// Session ids kept for `rsessionid`, and for how long after their last connection.
    public var sessions = 100_000
    public var sessionTime: Duration = .seconds(3600)
    /// Addresses whose failed logins are remembered.
    public var throttledAddresses = 10_000
    /// Bytes of events that may wait for one event loop to write them to its sockets.
    public var laneQueueBytes = 16 << 20
    /// What the certificate is read from; nil when the port is for plain connections.
    public var tls: TLSFiles?
    public var handshakes = HandshakeRules()
    public var limits: Limits
    public var periods: Periods

    public init(
        host: String, port: Int, site: String = "main", threads: Int, limits: Limits = Limits(),
        periods: Periods = Periods()
    ) {
        self.host = host
        self.port = port
        self.site = site
        self.threads = threads
        self.limits = limits
        self.periods = periods
    }

    /// What the kernel is asked to hold for a socket at most: it takes twice this, and no more than
    /// `net.core.wmem_max`. Left alone it holds up to 4 MiB for each of those who do not read (tcp(7), `tcp_wmem`).
    var kernelBufferBytes: Int { max(limits.websocketBudgetBytes / 2, 16 << 10) }

    /// From so many waiting bytes on a socket is not given more snapshot slices, until it is down to a quarter.
    var highWaterMark: Int { min(256 << 10, max(limits.websocketBudgetBytes / 2, 4_096)) }
}
