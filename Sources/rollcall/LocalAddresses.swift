import Foundation
import NIOCore

/// The addresses of this machine's own network interfaces.
struct LocalAddresses {
    private let addresses: Set<String>

    init() {
        // Without a list of interfaces, loopback is still ours.
        let devices = (try? System.enumerateDevices()) ?? []
        addresses = Set(devices.compactMap { $0.address?.ipAddress }).union(["127.0.0.1", "::1"])
    }

    /// Whether a host name or an IP address is this machine's.
    func contains(_ host: String) -> Bool {
        if addresses.contains(host) || host == "localhost" || host.hasPrefix("127.") { return true }
        // A name: any address it resolves to will do.
        guard let resolved = try? SocketAddress.makeAddressResolvingHost(host, port: 0).ipAddress else { return false }
        return addresses.contains(resolved)
    }
}
