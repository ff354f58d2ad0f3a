import SIP

/// The streams that a gateway listens for. (`Via.Transport` can be anything that a peer writes.)
enum SIPTransport: Sendable {
    case tcp
    case tls

    var via: Via.Transport {
        switch self {
        case .tcp: .tcp
        case .tls: .tls
        }
    }
}
