import ClusterRuntime
import RegistrarEvents

/// SIP registrations as phones make them: one device an account, details of about 250 bytes.
struct Population {
    static let domain = {
        guard let domain = DomainName("bench.example") else { preconditionFailure("the name is well formed") }
        return domain
    }()

    let count: Int

    /// - Parameter version: what a renewal changes.
    func registration(_ index: Int, version: Int = 0) -> Registration {
        let user = "1\(1_000_000 + index)"
        let host = "198.51.\(index >> 8 & 255).\(index & 255)"
        let number = String(UInt32(truncatingIfNeeded: index &* 0x9E37_79B1), radix: 16)
        return Registration(
            account: user, contact: "urn:uuid:5c2d6f1e-\(number)",
            sipuser: SIPUserDetails(
                login: user, contactURI: "sip:\(user)@\(host):5060;transport=udp;line=\(number)",
                instanceID: "urn:uuid:5c2d6f1e-\(number)", userAgent: "Yealink SIP-T46U 108.86.0.20",
                transport: "udp", path: ["<sip:edge1.bench.example;lr>"],
                callID: "\(number)-7a9f3c@\(host)", cseq: UInt32(truncatingIfNeeded: version + 1),
                peerAddress: host, peerPort: UInt16(truncatingIfNeeded: 1_024 + index % 60_000)))
    }

    func contact(_ index: Int, version: Int = 0) -> PackedContact {
        guard let contact = PackedContact(registration(index, version: version)) else {
            preconditionFailure("registration \(index) is within the limits")
        }
        return contact
    }

    /// The place `step` in an order that visits all contacts once before it repeats, and jumps about.
    func scattered(_ step: Int) -> Int {
        // A stride without a common factor with any count that is made of twos and fives.
        (step &* 7_368_787) % count
    }
}
