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

    /// - Parameter address: `tcp://host:port`; a host name is looked up here and now, and stands for an IPv4 address,
    ///   as it does in the library.
    /// - Returns: nil when it is no such address or the name is unknown.
    init?(_ address: String) {
        guard address.hasPrefix("tcp://"), let colon = address.lastIndex(of: ":") else { return nil }
        let host = address[..<colon].dropFirst("tcp://".count).drop { $0 == "[" }.prefix { $0 != "]" }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_family = host.contains(":") ? AF_INET6 : AF_INET
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(String(host), String(address[colon...].dropFirst()), &hints, &list) == 0, let first = list
        else { return nil }
        defer { freeaddrinfo(first) }
        family = first.pointee.ai_family
        bytes = [UInt8](UnsafeRawBufferPointer(start: first.pointee.ai_addr, count: Int(first.pointee.ai_addrlen)))
    }

    /// The same address with numbers in the place of a host name: the library listens at those only.
    /// - Returns: nil when the name is unknown, or stands for no IPv4 address.
    static func withoutName(_ address: String) -> String? {
        guard let resolved = Self(address) else { return nil }
        guard resolved.family == AF_INET, let colon = address.lastIndex(of: ":") else { return address }
        var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
        let isShown = resolved.bytes.withUnsafeBytes { raw in
            var number = raw.loadUnaligned(as: sockaddr_in.self).sin_addr
            return inet_ntop(AF_INET, &number, &text, socklen_t(text.count)) != nil
        }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return isShown ? "tcp://" + String(decoding: bytes, as: UTF8.self) + address[colon...] : nil
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
