/// Where and how a `wssubscr` takes websockets.
public struct WebSocketListen: Hashable, Sendable {
    /// TCP port.
    public let port: Int
    /// With it the port is for `wss` alone.
    public let tls: TLSFiles?
    /// The pages that may connect; nil when all may. Who is no browser says nothing of a page, and may.
    public let origins: [OriginPattern]?
    /// Whether messages are compressed for clients that ask for it.
    public let deflates: Bool
    /// Whether `/ws/echo` is there, which returns what it is sent.
    public let hasDiagnostics: Bool

    public init(
        port: Int, tls: TLSFiles? = nil, origins: [OriginPattern]? = nil, deflates: Bool = true,
        hasDiagnostics: Bool = false
    ) {
        self.port = port
        self.tls = tls
        self.origins = origins
        self.deflates = deflates
        self.hasDiagnostics = hasDiagnostics
    }
}
