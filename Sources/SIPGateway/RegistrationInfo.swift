import ClusterRuntime
import RegistrarEvents
import SIP

/// A registration information document: what a watcher is told of an account.
///
/// Source: RFC 3680 section 5; RFC 5628 section 5 for GRUUs, of which the public ones are told: a temporary one is made
/// for each REGISTER and not kept.
struct RegistrationInfo {
    enum Scope {
        /// Everything there is.
        case full
        /// What has changed.
        case partial

        var name: StaticString {
            switch self {
            case .full: "full"
            case .partial: "partial"
            }
        }
    }

    let account: String
    /// The address of record as the watcher wrote it.
    let addressOfRecord: String
    let version: UInt32
    let scope: Scope
    /// Whether the account has a contact now.
    let isActive: Bool

    static let type = "application/reginfo+xml"

    /// The document with as many contacts as fit into so many bytes, at least one: of one that is too large by itself
    /// only what every contact has.
    /// - Returns: the document, and how many of the contacts are in it.
    func document(
        _ changes: some Collection<ContactChange>, within limit: Int, at now: MonotonicInstant
    ) -> (bytes: [UInt8], count: Int) {
        var writer = XMLWriter()
        writer.literal("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<reginfo")
        writer.literal(" xmlns=\"urn:ietf:params:xml:ns:reginfo\"")
        writer.literal(" xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\"")
        writer.attribute("version", String(version))
        writer.literal(" state=\"")
        writer.literal(scope.name)
        writer.literal("\">\r\n<registration")
        writer.attribute("aor", addressOfRecord)
        writer.attribute("id", account)
        writer.attribute("state", isActive ? "active" : scope == .full ? "init" : "terminated")
        writer.literal(">\r\n")
        var count = 0
        for change in changes {
            var element = element(change, at: now)
            if writer.bytes.count + element.count > limit {
                guard count == 0 else { break }
                element = self.element(change, isBrief: true, at: now)
            }
            writer.append(element)
            count += 1
        }
        writer.literal("</registration>\r\n</reginfo>\r\n")
        return (writer.bytes, count)
    }

    /// - Parameter isBrief: leaves out what can be long beside the address.
    private func element(_ change: ContactChange, isBrief: Bool = false, at now: MonotonicInstant) -> [UInt8] {
        let (contact, details) = (change.contact, change.contact.details)
        let parameters = isBrief ? Parameters() : Parameters(details)
        var writer = XMLWriter()
        writer.literal("<contact")
        writer.attribute("id", contact.id)
        writer.attribute("state", change.event.isEnd ? "terminated" : "active")
        writer.attribute("event", change.event.rawValue)
        if let since = contact.since {
            writer.attribute("duration-registered", String(max((now - since).components.seconds, 0)))
        }
        if !change.event.isEnd {
            let left = (contact.deadline - now).milliseconds
            writer.attribute("expires", String(max((left + 999) / 1_000, 0)))
        }
        if let q = parameters.q { writer.attribute("q", q) }
        if !details.callID.isEmpty, !isBrief {
            writer.attribute("callid", details.callID)
            writer.attribute("cseq", String(details.cseq))
        }
        writer.literal(">\r\n<uri>")
        writer.text(details.contactURI)
        writer.literal("</uri>\r\n")
        for (name, value) in parameters.unknown { Self.write(name, value, into: &writer) }
        if !details.instanceID.isEmpty, !isBrief {
            var instance = ByteWriter()
            instance.append(uriParameter: details.instanceID.utf8)
            writer.literal("<gr:pub-gruu")
            writer.attribute("uri", "\(addressOfRecord);gr=\(String(decoding: instance.bytes, as: UTF8.self))")
            writer.literal("/>\r\n")
        }
        writer.literal("</contact>\r\n")
        return writer.bytes
    }

    private static func write(_ name: String, _ value: String, into writer: inout XMLWriter) {
        writer.literal("<unknown-param")
        writer.attribute("name", name)
        writer.literal(">")
        writer.text(value)
        writer.literal("</unknown-param>\r\n")
    }

    /// A contact's parameters as a document has them: with the quotes of the header field, as RFC 5628 section 6 shows.
    private struct Parameters {
        var q: String?
        /// Those that RFC 3261 does not know.
        var unknown: [(name: String, value: String)] = []

        init() {}

        init(_ details: SIPUserDetails) {
            if !details.instanceID.isEmpty {
                unknown.append(("+sip.instance", "\"<\(SIPText(details.instanceID).escaped)>\""))
            }
            if details.regID > 0 { unknown.append(("reg-id", String(details.regID))) }
            guard !details.parameters.isEmpty else { return }
            // What was put there over REST need not be parameters.
            guard let address = try? NameAddress(parsing: SIPText("<sip:a.invalid>;\(details.parameters)"))
            else { return }
            for (name, value) in address.parameters.all {
                if name.matches("q") {
                    q = value?.string
                } else {
                    let text = value.map { $0.isToken ? $0.string : "\"\($0.escaped)\"" }
                    unknown.append((name.string, text ?? ""))
                }
            }
        }
    }
}
