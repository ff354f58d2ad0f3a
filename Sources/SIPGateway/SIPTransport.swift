import SIP

/// The streams that a gateway listens for. (`Via.Transport` can be anything that a peer writes.)
enum SIPTransport: Sendable {
    case tcp
    case tls
    case ws
    case wss

    var via: Via.Transport {
        switch self {
        case .tcp: .tcp
        case .tls: .tls
        case .ws: .ws
        case .wss: .wss
        }
    }
}
