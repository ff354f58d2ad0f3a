import Glibc

/// A TCP address that connections can be tried to without waiting.
struct SocketAddress {
    enum Attempt {
        /// Under way; poll the descriptor for writing, then close it.
        case pending(Int32)
        case refused
        case failed
    }

    private let bytes: [UInt8]
    private let family: Int32

    /// - Parameter address: `tcp://host:port`; a host name is looked up here and now.
    /// - Returns: nil when it is no such address or the name is unknown.
    init?(_ address: String) {
        guard address.hasPrefix("tcp://"), let colon = address.lastIndex(of: ":") else { return nil }
        let host = address[..<colon].dropFirst("tcp://".count).drop { $0 == "[" }.prefix { $0 != "]" }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(String(host), String(address[colon...].dropFirst()), &hints, &list) == 0, let first = list
        else { return nil }
        defer { freeaddrinfo(first) }
        family = first.pointee.ai_family
        bytes = [UInt8](UnsafeRawBufferPointer(start: first.pointee.ai_addr, count: Int(first.pointee.ai_addrlen)))
    }

    func connect() -> Attempt {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { return .failed }
        let status = bytes.withUnsafeBytes { raw in
            Glibc.connect(descriptor, raw.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t(raw.count))
        }
        let code = errno
        if status == 0 || code == EINPROGRESS { return .pending(descriptor) }
        close(descriptor)
        return code == ECONNREFUSED ? .refused : .failed
    }
}
