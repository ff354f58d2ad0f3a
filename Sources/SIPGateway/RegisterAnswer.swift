import ClusterRuntime
import MessagePack
import RegistrarEvents
import SIP

/// The 200 to a REGISTER: everything that the account has registered now (RFC 3261 section 10.3, step 8).
struct RegisterAnswer {
    let register: RegisterRequest
    let contacts: [LiveContact]
    let now: Moment
    /// The node's, from the topology.
    let serviceRoute: [String]

    /// How many bytes it takes, or somewhat more.
    var room: Int {
        var room = 192
        for live in contacts {
            // Of what is kept, about a third is in the answer; with a GRUU the instance stands there three times.
            room += register.extensions.gruus == nil ? live.contact.bytes.count / 2 : live.contact.bytes.count * 2
        }
        return room
    }

    func write(into writer: inout ResponseWriter) {
        for live in contacts { write(live, into: &writer) }
        for path in register.extensions.path { writer.header("Path", path) }
        // RFC 3608 section 6.4: the whole route in every answer, since the latest one counts.
        for uri in serviceRoute { writer.header("Service-Route", "<\(uri)>") }
        if register.extensions.usesOutbound, register.wishes.contains(where: \.isFlow) {
            writer.header("Require", "outbound")
            writer.header("Flow-Timer", Self.flowTimer)
        }
        writer.header("Date", HTTPDate.text(milliseconds: now.wall))
    }

    /// Seconds between a flow's keep-alives at most (RFC 5626 section 5.4). Own decision.
    private static let flowTimer: UInt32 = 120

    /// A contact that cannot be read was put there over REST by something else than a REGISTER, and is no address that
    /// SIP could use.
    private func write(_ live: LiveContact, into writer: inout ResponseWriter) {
        // See above for one that cannot be read.
        try? live.contact.withSIPTexts { texts in
            guard texts.contactURI.count > 0 else { return }
            writer.header("Contact") { text in
                ContactLine.write(texts, register.domain, account: register.account, register.extensions, into: &text)
                text.literal(";expires=")
                text.append(UInt64((live.ttl + 999) / 1_000))
            }
        }
    }
}
