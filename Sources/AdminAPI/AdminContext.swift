import Foundation
import Hummingbird
import NIOCore

/// What is known of a request besides its head and body.
struct AdminContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// Whether it comes from this machine.
    let isFromLoopback: Bool

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        isFromLoopback = source.channel.remoteAddress?.isLoopback ?? false
    }
}

extension SocketAddress {
    /// 127.0.0.0/8, ::1, or the former written as IPv6.
    fileprivate var isLoopback: Bool {
        switch self {
        case .v4, .v6:
            guard let address = ipAddress else { return false }
            return address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
        case .unixDomainSocket: return false
        }
    }
}

extension AdminContext {
    /// A part of the path, decoded.
    /// - Throws: 400 when its percent-encoding is broken or it is empty.
    func path(_ name: String) throws(AdminError) -> String {
        guard let text = parameters.get(name)?.removingPercentEncoding, !text.isEmpty else {
            throw AdminError(.badRequest, "the path's \(name) is empty or wrongly percent-encoded; expected UTF-8")
        }
        return text
    }
}
