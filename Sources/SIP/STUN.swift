/// The keep-alive of phones over UDP: a STUN binding request, answered by the address it came from.
///
/// Sources: RFC 8489 sections 5, 6 and 14.2, RFC 5626 section 4.4.2 for its use by SIP, on the port of SIP itself.
public enum STUN {
    /// The first two bits of STUN are zero, of SIP they never are; so the first byte tells them apart.
    private static let magicCookie: [UInt8] = [0x21, 0x12, 0xA4, 0x42]
    private static let headerLength = 20

    /// Whether a datagram is a binding request with the magic cookie.
    public static func isBindingRequest(_ datagram: [UInt8]) -> Bool {
        guard datagram.count >= headerLength, datagram[0] == 0x00, datagram[1] == 0x01 else { return false }
        let length = Int(datagram[2]) << 8 | Int(datagram[3])
        return length % 4 == 0 && datagram.count == headerLength + length && datagram[4..<8].elementsEqual(magicCookie)
    }

    /// The success response to a binding request.
    /// - Parameters:
    ///   - request: for which `isBindingRequest` holds.
    ///   - address: 4 or 16 bytes in network order.
    public static func bindingSuccess(to request: [UInt8], address: [UInt8], port: UInt16) -> [UInt8] {
        precondition(isBindingRequest(request), "an answer to what is no binding request")
        precondition(address.count == 4 || address.count == 16, "an address of \(address.count) bytes")
        let length = UInt8(8 + address.count)
        var response: [UInt8] = []
        response.reserveCapacity(headerLength + 24)
        // A binding success with one attribute, and the request's cookie and transaction.
        response += [0x01, 0x01, 0x00, length]
        response += request[4..<headerLength]
        // XOR-MAPPED-ADDRESS: a reserved byte, the family, the port and the address, both mixed with the cookie.
        response += [0x00, 0x20, 0x00, length - 4, 0x00, address.count == 4 ? 0x01 : 0x02]
        response.append(UInt8(port >> 8) ^ magicCookie[0])
        response.append(UInt8(port & 0xFF) ^ magicCookie[1])
        for (index, byte) in address.enumerated() { response.append(byte ^ request[4 + index]) }
        return response
    }
}
