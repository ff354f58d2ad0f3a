/// Where and how a SIP gateway (`sg`) can be reached by devices. At least one of the listeners is there.
public struct SIPListen: Hashable, Sendable {
    /// UDP port (RFC 3261 section 18).
    public let udp: Int?
    /// TCP port.
    public let tcp: Int?
    public let tls: TLS?
    /// TCP port for SIP over websocket (RFC 7118).
    public let ws: Int?
    /// The same over TLS.
    public let wss: TLS?
    /// Whether anyone may register any account, without digest. Only with a loopback address: it is for
    /// measuring and trying out.
    public let isOpen: Bool
    /// Where devices shall send what they ask for through the proxies of the domain, in order: URIs, as the answers to
    /// REGISTER repeat them (RFC 3608). Empty when they may go anywhere.
    public let serviceRoute: [String]

    /// Networks behind which there are many devices, such as those of proxies and of a carrier's address translators,
    /// as `NetworkOfAddress` has them: they are never banned.
    public let sharedNetworks: [String]

    /// A TCP port for TLS, and what the server shows there.
    public struct TLS: Hashable, Sendable {
        public let port: Int
        public let files: TLSFiles

        public init(port: Int, files: TLSFiles) {
            self.port = port
            self.files = files
        }
    }

    public init(
        udp: Int? = nil, tcp: Int? = nil, tls: TLS? = nil, ws: Int? = nil, wss: TLS? = nil, isOpen: Bool = false,
        serviceRoute: [String] = [], sharedNetworks: [String] = []
    ) {
        self.udp = udp
        self.tcp = tcp
        self.tls = tls
        self.ws = ws
        self.wss = wss
        self.isOpen = isOpen
        self.serviceRoute = serviceRoute
        self.sharedNetworks = sharedNetworks
    }

    /// Every port the gateway listens on for devices, with the key that sets it.
    var ports: [ListeningPort] {
        let all: [(key: String, transport: ListeningPort.Transport, port: Int?)] = [
            ("sip.udp", .udp, udp), ("sip.tcp", .tcp, tcp), ("sip.tls.listen", .tcp, tls?.port), ("sip.ws", .tcp, ws),
            ("sip.wss.listen", .tcp, wss?.port),
        ]
        return all.compactMap { entry in entry.port.map { ListeningPort(key: entry.key, entry.transport, $0) } }
    }
}

/// A port that a node listens on, and the topology's key that sets it. UDP and TCP ports do not get in each other's
/// way: SIP uses the same number for both.
struct ListeningPort {
    enum Transport: Hashable { case tcp, udp }

    let key: String
    let transport: Transport
    let port: Int

    init(key: String, _ transport: Transport, _ port: Int) {
        self.key = key
        self.transport = transport
        self.port = port
    }
}
