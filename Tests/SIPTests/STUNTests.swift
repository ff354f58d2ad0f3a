import SIP
import Testing

@Suite struct STUNTests {
    /// The transaction of RFC 5769 section 2.2 and 2.3, whose responses map 192.0.2.1 and an IPv6 address, port 32853.
    private let request: [UInt8] =
        [0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xA4, 0x42]
        + [0xB7, 0xE7, 0xA7, 0x01, 0xBC, 0x34, 0xD6, 0x86, 0xFA, 0x87, 0xDF, 0xAE]

    @Test func addressesAreMappedAsInTheRFC() {
        let four = STUN.bindingSuccess(to: request, address: [192, 0, 2, 1], port: 32_853)
        #expect(four[0..<4].elementsEqual([0x01, 0x01, 0x00, 0x0C]) && four[4..<20] == request[4..<20])
        #expect(
            four[20...].elementsEqual([0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xA1, 0x47, 0xE1, 0x12, 0xA6, 0x43]))
        let address: [UInt8] = [
            0x20, 0x01, 0x0D, 0xB8, 0x12, 0x34, 0x56, 0x78, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
        ]
        let six = STUN.bindingSuccess(to: request, address: address, port: 32_853)
        #expect(
            six[20...].elementsEqual([
                0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xA1, 0x47, 0x01, 0x13, 0xA9, 0xFA, 0xA5, 0xD3, 0xF1, 0x79, 0xBC,
                0x25,
                0xF4, 0xB5, 0xBE, 0xD2, 0xB9, 0xD9,
            ]))
    }

    @Test func onlyWholeBindingRequestsAreRecognised() {
        #expect(STUN.isBindingRequest(request))
        #expect(!STUN.isBindingRequest(Array(request.dropLast())) && !STUN.isBindingRequest(request + [0]))
        for index in [0, 1, 4, 7] {
            var other = request
            other[index] ^= 0x02
            #expect(!STUN.isBindingRequest(other))
        }
        var longer = request + [0x80, 0x22, 0x00, 0x00]
        longer[3] = 4
        #expect(STUN.isBindingRequest(longer))
    }
}
