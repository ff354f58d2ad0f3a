import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension SocketAddress {
    /// Whether the address can be that of one device, as far as its bits tell: neither unspecified nor multicast, nor
    /// link-local of IPv6, which means nothing without an interface that contacts do not have. Sources: RFC 5735, RFC
    /// 4291 sections 2.5.2, 2.5.6 and 2.7.
    var namesADevice: Bool {
        let octets = octets
        guard let first = octets.first, octets.contains(where: { $0 != 0 }) else { return false }
        switch self {
        case .v4: return !(224...239).contains(first)
        case .v6: return first != 0xFF && !(first == 0xFE && octets[1] & 0xC0 == 0x80)
        case .unixDomainSocket: return false
        }
    }

    /// Whether the system would send a datagram from the one address to the other: not to broadcast addresses, to those
    /// of another family, or to where there is no way. Asks it without sending anything, which takes some microseconds:
    /// to connect a socket of UDP only looks for the way (connect(2), udp(7)).
    func isReachable(from own: SocketAddress) -> Bool {
        var local = own
        local.port = 0
        let family = local.withSockAddr { address, _ in Int32(address.pointee.sa_family) }
        #if canImport(Glibc)
            let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        #else
            let descriptor = socket(family, SOCK_DGRAM, 0)
        #endif
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return local.withSockAddr { bind(descriptor, $0, socklen_t($1)) == 0 }
            && withSockAddr { connect(descriptor, $0, socklen_t($1)) == 0 }
    }
}
