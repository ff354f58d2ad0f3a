import NIOCore
import RegistrarEvents

/// What phones of a drill write into their requests.
struct SIPScript: Sendable {
    let domain: DomainName
    let names: ContactNames
    /// Where the phones' socket is.
    let host: String
    let port: Int
    /// Nil where the gateway asks for no credentials.
    let password: String?
    /// The accounts that the phones share, in turns; nil when each phone has one of its own name.
    let accounts: ClosedRange<Int>?

    func account(of contact: ContactNumber) -> String {
        accounts.map { String($0.lowerBound + contact % $0.count) } ?? names.name(contact)
    }

    /// The contact's URI: by the name in it events and lists are told apart, for a phone does not know the `contact_id`
    /// of the gateway.
    func uri(of contact: ContactNumber) -> String { "sip:\(names.name(contact))@\(host):\(port)" }

    func contact(ofCallID callID: String) -> ContactNumber? {
        callID.hasSuffix("@drill") ? names.number(String(callID.dropLast(6))) : nil
    }

    func register(
        _ contact: ContactNumber, cseq: UInt32, ttl: Int, challenge: SIPChallenge?, count: UInt32
    ) -> ByteBuffer {
        let name = names.name(contact)
        let account = account(of: contact)
        let target = "sip:\(domain)"
        var text = """
            REGISTER \(target) SIP/2.0\r
            Via: SIP/2.0/UDP \(host):\(port);rport;branch=z9hG4bK\(name)-\(cseq)\r
            Max-Forwards: 70\r
            From: <sip:\(account)@\(domain)>;tag=\(contact)\r
            To: <sip:\(account)@\(domain)>\r
            Call-ID: \(name)@drill\r
            CSeq: \(cseq) REGISTER\r
            Contact: <\(uri(of: contact))>\r
            Expires: \(ttl)\r
            User-Agent: rollcall drill\r

            """
        if let challenge, let password {
            let credentials = challenge.authorization(
                account: account, password: password, uri: target, count: count, cnonce: names.prefix)
            text += "Authorization: \(credentials)\r\n"
        }
        return ByteBuffer(string: text + "Content-Length: 0\r\n\r\n")
    }
}
