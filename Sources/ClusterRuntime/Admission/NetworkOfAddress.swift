import Foundation

/// What failures are counted by: an IPv4 address or, since whoever has one IPv6 address has 2^64, the network of
/// 64 bits it belongs to, such as `2001:db8:0:1::/64`. Source: RFC 4291 section 2.5.4 (the length of networks),
/// section 2.5.5.2 (IPv4 addresses written as IPv6 ones).
public enum NetworkOfAddress {
    /// - Parameter text: an address, or what this function returned for one.
    /// - Returns: the text itself when it is neither.
    public static func text(_ text: String) -> String {
        var address = in6_addr()
        let bare = text.hasSuffix("/64") ? String(text.dropLast(3)) : text
        guard inet_pton(AF_INET6, bare, &address) == 1 else { return text }
        return withUnsafeMutableBytes(of: &address) { bytes in
            let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
            if bytes.starts(with: mapped) { return bytes[12...].map { "\($0)" }.joined(separator: ".") }
            for index in 8..<16 { bytes[index] = 0 }
            var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            guard inet_ntop(AF_INET6, bytes.baseAddress, &buffer, socklen_t(buffer.count)) != nil else {
                preconditionFailure("an address that was read cannot be written")
            }
            let length = buffer.firstIndex(of: 0) ?? buffer.count
            return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/64"
        }
    }
}
