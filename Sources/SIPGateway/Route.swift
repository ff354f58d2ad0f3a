import ClusterRuntime
import NIOCore
import SIP

/// Where a message came from, which is where its answer goes.
struct Route: Sendable {
    enum Way: Sendable, Equatable {
        /// A datagram came from this address. The socket is the lane's own.
        case datagram(SocketAddress)
        /// Nothing has come from this address to this socket: it stands in a contact, perhaps only by REST, and need
        /// not be one that the system sends to.
        case hearsay(SocketAddress)
        /// The connection's number in its lane.
        case stream(UInt64)
    }

    let way: Way
    let peer: SIPPeer

    /// Whether a lost answer is asked for again (RFC 3261 section 17.2.2): streams lose none.
    var isReliable: Bool {
        switch way {
        case .datagram, .hearsay: false
        case .stream: true
        }
    }

    /// The most bytes of a datagram over IPv4; over IPv6 it would be 20 more (RFC 768, RFC 791).
    static let maximumDatagram = 65_507

    /// Whether a message goes this way, as far as its length says.
    func takes(_ message: [UInt8]) -> Bool { isReliable || message.count <= Self.maximumDatagram }

    /// Where an answer goes by the top Via: to the port that the request came from when it asks for that (`rport`),
    /// else to the port that it names. Source: RFC 3261 section 18.2.2, RFC 3581 section 4.
    func answering(_ via: Via) -> Route {
        guard case .datagram(var address) = way, via.rport == .absent else { return self }
        let port = via.sentByPort ?? 5060
        // Port 0 is nobody's: sending there would close the socket.
        guard port != peer.port, port != 0 else { return self }
        // All else stays, such as the interface of a link-local address, which its text does not have.
        address.port = Int(port)
        return Route(way: .datagram(address), peer: peer)
    }
}

/// A device as the socket shows it.
struct SIPPeer: Sendable, Hashable {
    let transport: Via.Transport
    let address: String
    let port: UInt16
    /// What failures are counted by: the address, or of IPv6 its network of 64 bits.
    let network: String

    init(_ transport: Via.Transport, _ address: SocketAddress?) {
        self.transport = transport
        let text = address?.ipAddress ?? ""
        self.address = text
        port = UInt16(clamping: address?.port ?? 0)
        network = NetworkOfAddress.text(text)
    }
}
