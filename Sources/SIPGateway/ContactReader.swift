import ClusterRuntime
import RegistrarEvents
import SIP

/// One address of a REGISTER's Contact on its way into the list.
struct ContactReader {
    let key: ContactKey
    private let address: NameAddress
    private let asked: UInt32?
    private let instance: String
    private let regID: UInt32

    init(
        _ field: ContactField, _ context: RegisterContext, _ extensions: RegisterRequest.Extensions
    ) throws(SIPRefusal) {
        guard case .address(let address, let expires, _, let instance, let regID) = field else {
            preconditionFailure("a star is no address")
        }
        // RFC 5627 section 5.1: a device is not reached by an address that leads here.
        guard !address.uri.has("gr") || DomainName(address.uri.host.string) != context.domain.name else {
            throw SIPRefusal(status: 403, reason: "Forbidden (a GRUU is no contact)")
        }
        guard instance?.utf8.count ?? 0 <= SIPUserDetails.maximumInstanceLength else {
            throw .badRequest("Bad Request (+sip.instance is too long)")
        }
        self.address = address
        asked = expires
        self.instance = instance ?? ""
        // RFC 5626 section 6: without `outbound`, or without an instance, `reg-id` means nothing.
        self.regID = extensions.usesOutbound && instance != nil ? regID ?? 0 : 0
        // Section 4.2 of that: a flow replaces the earlier one of its number, whatever the address. All else goes by
        // the address (RFC 3261 section 10.3, step 7).
        let contact =
            self.regID > 0
            ? "\(self.instance);reg-id=\(self.regID)" : String(decoding: address.uri.canonical, as: UTF8.self)
        guard contact.utf8.count <= PackedContact.maximumNameLength else { throw .badRequest("Contact too long") }
        key = ContactKey(.sipuser, context.account, contact)
    }

    /// How many seconds are granted; nil when the contact is to end.
    /// - Parameter header: of Expires, which counts for contacts that say nothing themselves.
    func grant(
        _ header: UInt32?, _ range: ClosedRange<UInt32>, _ jitter: inout SplitMix64
    ) throws(SIPRefusal) -> UInt32? {
        let asked = asked ?? header ?? min(max(SIPSettings.defaultExpires, range.lowerBound), range.upperBound)
        guard asked > 0 else { return nil }
        guard asked >= range.lowerBound else { throw .intervalTooBrief(minimum: Int64(range.lowerBound)) }
        let most = min(asked, range.upperBound)
        guard most >= SIPSettings.jitteredFrom else { return most }
        return max(UInt32.random(in: most - most / 10...most, using: &jitter), range.lowerBound)
    }

    func wish(
        _ context: RegisterContext, _ extensions: RegisterRequest.Extensions
    ) throws(SIPRefusal) -> RegisterRequest.Wish {
        let message = context.message
        let details = SIPUserDetails(
            login: context.login, contactURI: address.uriText.string, instanceID: instance, regID: regID,
            parameters: otherParameters, userAgent: message.first(.userAgent)?.string ?? "",
            transport: context.peer.transport.eventName, path: extensions.path,
            callID: context.callID, cseq: context.essentials.cseq.number,
            peerAddress: context.peer.address, peerPort: context.peer.port)
        let registration = Registration(account: key.account.name, contact: key.contact, sipuser: details)
        guard let packed = PackedContact(registration) else { throw .badRequest("Contact too long") }
        return RegisterRequest.Wish(contact: packed, isFlow: regID > 0)
    }

    /// What the device says of itself beside what is kept apart.
    private var otherParameters: String {
        var text = ""
        address.parameters.forEach { name, value in
            guard !ContactField.isKeptApart(name) else { return }
            text += text.isEmpty ? name.string : ";" + name.string
            guard let value else { return }
            text += value.isToken ? "=" + value.string : "=\"" + value.escaped + "\""
        }
        return text
    }
}

extension Via.Transport {
    /// As events say it.
    var eventName: String {
        switch self {
        case .udp: "udp"
        case .tcp: "tcp"
        case .tls: "tls"
        case .ws: "ws"
        case .wss: "wss"
        case .sctp: "sctp"
        case .other(let name): name.lowercased()
        }
    }
}

extension SIPText {
    /// Whether it needs no quotes: `token` of RFC 3261 section 25.1.
    var isToken: Bool {
        !isEmpty
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-.!%*_+`'~".utf8.contains(byte)
                }
            }
    }

    /// Within quotes (`quoted-string`, as above).
    var escaped: String {
        var result = ""
        for character in string {
            if character == "\"" || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result
    }
}
