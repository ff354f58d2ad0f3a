import ClusterRuntime
import RegistrarEvents
import SIP

/// A REGISTER, read and checked: what it asks the domain's owner for, and what its answer needs.
///
/// Source: RFC 3261 sections 10.2 and 10.3, RFC 3327 for Path, RFC 5626 for flows, RFC 5627 for GRUUs.
struct RegisterRequest: Sendable {
    /// A contact as it is stored.
    struct Wish: Sendable {
        let contact: PackedContact
        /// Whether it is kept apart from others of its instance by `reg-id`.
        let isFlow: Bool
    }

    let domain: DomainName
    let account: String
    let operation: Request.Operation
    /// What it adds or refreshes.
    let wishes: [Wish]
    let extensions: Extensions

    /// What the client and the way to it make possible.
    struct Extensions: Sendable {
        /// RFC 3327: the proxies between here and the device, the outermost first.
        var path: [String] = []
        /// RFC 5626: flows are kept apart by `reg-id`.
        var usesOutbound = false
        /// Makes temporary GRUUs; nil when the client does not know of GRUUs (RFC 5627).
        var gruus: TemporaryGRUUs?
    }
}

/// Everything that is known before the contacts are read.
struct RegisterContext {
    let request: IncomingRequest
    let domain: DomainSpec
    let account: String
    /// The name in the credentials; the account's own when nobody asked for them.
    let login: String
    let gruus: TemporaryGRUUs
    let callID: String

    var message: SIPMessage { request.message }
    var essentials: SIPEssentials { request.essentials }
    var peer: SIPPeer { request.route.peer }
}

extension RegisterRequest {
    /// - Parameter jitter: makes long grants differ.
    /// - Throws: what the request is refused with: 400, 420, 423 or 439.
    init(_ context: RegisterContext, _ jitter: inout SplitMix64) throws(SIPRefusal) {
        let message = context.message
        let fields = try SIPRefusal.reading { () throws(SIPParseError) in try message.contacts() }
        domain = context.domain.name
        account = context.account
        extensions = try Extensions(context, isFlow: fields.contains(where: \.asksForFlow))
        let header = message.first(.expires).map { Expires(parsing: $0).seconds }
        guard !fields.isEmpty else {
            operation = .list(cursor: 0, account: AccountID(.sipuser, context.account))
            wishes = []
            return
        }
        var changes: [Binding.Change] = []
        var wishes: [Wish] = []
        if fields.contains(where: \.isStar) {
            // Section 10.2.2: alone, and for nothing but removal.
            guard fields.count == 1, header == 0 else { throw .badRequest("Contact: * goes alone and with Expires: 0") }
        } else {
            guard fields.count <= Binding.maximumChanges else {
                throw .badRequest("More than \(Binding.maximumChanges) contacts")
            }
            for field in fields {
                let reader = try ContactReader(field, context, extensions)
                guard let seconds = try reader.grant(header, context.domain.expiresRange, &jitter) else {
                    changes.append(.remove(key: reader.key.packed))
                    continue
                }
                let wish = try reader.wish(context, extensions)
                wishes.append(wish)
                changes.append(.put(wish.contact, ttl: seconds * 1_000))
            }
        }
        // RFC 5626 section 6: one connection is one flow.
        guard wishes.count <= 1 || !wishes.contains(where: \.isFlow) else {
            throw .badRequest("Bad Request (a contact with reg-id goes alone)")
        }
        self.wishes = wishes
        operation = .bind(
            Binding(
                account: context.account, callID: context.callID,
                cseq: context.essentials.cseq.number, changes: changes))
    }
}

extension RegisterRequest.Extensions {
    /// - Parameter isFlow: whether a contact asks for a flow; without that it does not matter what is on the way.
    fileprivate init(
        _ context: RegisterContext, isFlow: @autoclosure () -> Bool
    ) throws(SIPRefusal) {
        let message = context.message
        guard message.has(.supported) || message.has(.path) || message.has(.require) else { return }
        let supported = try SIPRefusal.reading { () throws(SIPParseError) in try OptionTags(message, .supported) }
        let required = try SIPRefusal.reading { () throws(SIPParseError) in try OptionTags(message, .require) }
        func has(_ tag: StaticString) -> Bool { supported.contains(tag) || required.contains(tag) }
        path = try message.all(.path).map { (text) throws(SIPRefusal) in
            // Without one that can be read a request could not be led back.
            let address = try SIPRefusal.reading { () throws(SIPParseError) in try NameAddress(parsing: text) }
            guard address.uri.isSIP else { throw .badRequest("Bad Request (Path is no SIP URI)") }
            return text.string
        }
        // RFC 3327 section 5.3: a client that does not know of Path must not be led over one.
        guard path.isEmpty || has("path") else {
            throw SIPRefusal(status: 420, headers: [("Unsupported", "path")])
        }
        gruus = has("gruu") ? context.gruus : nil
        usesOutbound = has("outbound")
        guard usesOutbound, message.all(.via).count > 1, isFlow() else { return }
        // RFC 5626 section 6: through a proxy, a flow needs one at the edge that keeps it.
        guard let edge = message.all(.path).last else { throw SIPRefusal(status: 439) }
        let address = try SIPRefusal.reading { () throws(SIPParseError) in try NameAddress(parsing: edge) }
        guard address.uri.isOutbound else { throw SIPRefusal(status: 439) }
    }
}

extension SIPMessage {
    fileprivate func contacts() throws(SIPParseError) -> [ContactField] {
        var fields: [ContactField] = []
        try forEach(.contact) { (text) throws(SIPParseError) in fields.append(try ContactField(parsing: text)) }
        return fields
    }
}

extension ContactField {
    fileprivate var isStar: Bool {
        switch self {
        case .star: true
        case .address: false
        }
    }

    /// RFC 5626 section 6.
    fileprivate var asksForFlow: Bool {
        switch self {
        case .star: false
        case .address(_, _, _, let instance, let regID): instance != nil && regID != nil
        }
    }
}

extension SIPRefusal {
    /// What cannot be read is refused with the status that the grammar names.
    static func reading<Value>(_ body: () throws(SIPParseError) -> Value) throws(SIPRefusal) -> Value {
        do throws(SIPParseError) { return try body() } catch {
            throw SIPRefusal(status: error.status, reason: error.reason)
        }
    }
}
