import Foundation

/// What can be said of an address without asking the network.
package enum NetworkAddress {
    /// Whether the text is an IPv4 or IPv6 address, or a host name (RFC 1123 section 2.1).
    static func isValid(_ text: String) -> Bool {
        if isIPv4(text) || isIPv6(text) { return true }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        // A name whose last label is a number is a mistyped IPv4 address.
        guard text.utf8.count <= 253, let last = labels.last, !last.allSatisfy(\.isASCIIDigit) else {
            return false
        }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        }
    }

    /// Whether the text is an IPv4 or IPv6 address.
    static func isNumeric(_ text: String) -> Bool { isIPv4(text) || isIPv6(text) }

    /// The address as it stands in front of a port: one of IPv6 in brackets (RFC 3986 section 3.2.2).
    package static func host(_ text: String) -> String { text.contains(":") ? "[\(text)]" : text }

    /// Whether only this machine can reach the address: 127.0.0.0/8, ::1 and `localhost`.
    package static func isLoopback(_ text: String) -> Bool {
        if isIPv4(text) { return text.hasPrefix("127.") }
        if isIPv6(text) { return ipv6Bytes(text) == [UInt8](repeating: 0, count: 15) + [1] }
        return text.lowercased() == "localhost"
    }

    /// The address in the one form in which equal addresses are equal texts.
    static func normalised(_ text: String) -> String {
        if isIPv6(text) { return ipv6Bytes(text).map(String.init).joined(separator: ":") }
        return text.lowercased() == "localhost" ? "127.0.0.1" : text.lowercased()
    }

    private static func isIPv4(_ text: String) -> Bool {
        var address = in_addr()
        return inet_pton(AF_INET, text, &address) == 1
    }

    private static func isIPv6(_ text: String) -> Bool {
        var address = in6_addr()
        return inet_pton(AF_INET6, text, &address) == 1
    }

    private static func ipv6Bytes(_ text: String) -> [UInt8] {
        var address = in6_addr()
        inet_pton(AF_INET6, text, &address)
        return withUnsafeBytes(of: address) { Array($0) }
    }
}
