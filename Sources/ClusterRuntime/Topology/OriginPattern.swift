/// Which web pages may connect, by their origin: scheme, host and port (RFC 6454).
///
/// `https://app.example` is one origin, `https://app.example:8443` another. `https://*.example` stands for every host
/// below `example`, not for itself. Without scheme, as in `*.example` or `app.example`, every scheme and port will do;
/// with it, the port is the scheme's own unless there is one.
public struct OriginPattern: Hashable, Sendable {
    private let scheme: String?
    /// In lower case; without `*.`.
    private let host: String
    private let isForSubdomains: Bool
    private let port: Int?

    /// - Returns: nil when the text is none of these.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.maximumLength else { return nil }
        var rest = Substring(text)
        scheme = Self.takeScheme(&rest)
        if scheme == nil, rest.contains("/") { return nil }
        isForSubdomains = rest.hasPrefix("*.")
        if isForSubdomains { rest = rest.dropFirst(2) }
        guard let (host, port) = Self.hostAndPort(rest), !isForSubdomains || !host.hasPrefix("[") else { return nil }
        self.host = host
        self.port = port ?? scheme.flatMap(Self.defaultPort)
    }

    private static let maximumLength = 300

    /// - Parameter origin: as a browser says it in `Origin`. `null`, which it says for pages that have none to tell, is
    ///   like no pattern.
    public func matches(_ origin: String) -> Bool {
        var rest = Substring(origin)
        guard origin.utf8.count <= Self.maximumLength, let scheme = Self.takeScheme(&rest),
            let (host, port) = Self.hostAndPort(rest)
        else { return false }
        guard self.scheme == nil || self.scheme == scheme else { return false }
        guard self.port == nil || self.port == port ?? Self.defaultPort(scheme) else { return false }
        return isForSubdomains ? host.hasSuffix("." + self.host) : host == self.host
    }

    private static func takeScheme(_ rest: inout Substring) -> String? {
        guard let end = rest.firstRange(of: "://") else { return nil }
        let scheme = rest[..<end.lowerBound].lowercased()
        let isScheme =
            !scheme.isEmpty
            && scheme.utf8.allSatisfy { byte in
                byte.isLetterOrDigit || "+-.".utf8.contains(byte)
            }
        guard isScheme else { return nil }
        rest = rest[end.upperBound...]
        return scheme
    }

    private static func hostAndPort(_ text: Substring) -> (host: String, port: Int?)? {
        // An IPv6 address is in brackets, so that its colons are not taken for the port's.
        let bracket = text.hasPrefix("[") ? text.firstIndex(of: "]") : text.startIndex
        guard let bracket else { return nil }
        let colon = text[bracket...].firstIndex(of: ":") ?? text.endIndex
        let host = text[..<colon].lowercased()
        let inner = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        guard NetworkAddress.isValid(inner), host.hasPrefix("[") == inner.contains(":") else { return nil }
        guard colon != text.endIndex else { return (host, nil) }
        guard let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port) else { return nil }
        return (host, port)
    }

    private static func defaultPort(_ scheme: String) -> Int? {
        switch scheme {
        case "http", "ws": 80
        case "https", "wss": 443
        default: nil
        }
    }
}

extension UInt8 {
    fileprivate var isLetterOrDigit: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
    }
}
