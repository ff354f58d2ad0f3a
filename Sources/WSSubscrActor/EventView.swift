public import Filtering
import RegistrarEvents

/// What of an event a subscription's filter may look at, and its mask may keep: the type, and the members of `data` by
/// their names there.
public enum EventProperty: String, FilterProperty {
    case type
    // Of a user's connection.
    case userID = "user_id"
    case connectionID = "connection_id"
    case sessionID = "session_id"
    case app
    case caps
    // Of a sipuser's device.
    case sipuserID = "sipuser_id"
    case login
    case contactID = "contact_id"
    case contactURI = "contact_uri"
    case instanceID = "instance_id"
    case regID = "reg_id"
    case contactParams = "contact_params"
    case userAgent = "user_agent"
    case transport
    case path
    case callID = "call_id"
    case cseq
    // Of both.
    case peerAddress = "peer_address"
    case peerPort = "peer_port"
    case ttl
    case reason

    /// Also as it is written in the event: `data.user_id`.
    public init?(name: String) {
        self.init(rawValue: name.hasPrefix("data.") && name != "data.type" ? String(name.dropFirst(5)) : name)
    }
}

/// An event about a contact, unpacked.
struct EventView: Sendable {
    let entry: LogEntry
    let registration: Registration
    let type: EventTypes

    /// - Returns: nil for an event about no contact.
    init?(_ entry: LogEntry, _ registration: Registration) {
        guard let type = EventTypes(entry.change, registration.key.account.kind) else { return nil }
        self.entry = entry
        self.registration = registration
        self.type = type
    }

    var account: String { registration.key.account.name }

    /// The encoded notification without its head.
    func tail(keeping mask: Mask<EventProperty>?, domain: DomainName, epoch: UInt64) -> [UInt8] {
        guard let mask else {
            return EventJSON.tail(of: entry, registration: registration, domain: domain, epoch: epoch)
        }
        return EventJSON.tail(of: entry, type: typeName, domain: domain, epoch: epoch) { json in
            json.members(of: self, keeping: mask.without(.type))
        }
    }

    private var typeName: String {
        switch (entry.change, registration.details) {
        case (.registered, .user): "user_registered"
        case (.registered, .sipuser): "sipuser_registered"
        case (.unregistered, .user): "user_unregistered"
        case (.unregistered, .sipuser): "sipuser_unregistered"
        case (.clear, _): "clear"
        }
    }
}

extension EventView: Filterable {
    func value(of property: EventProperty) -> JSONValue {
        switch property {
        case .type: .string(typeName)
        case .ttl: ttl
        case .reason: reason
        case .userID, .connectionID, .sessionID, .app, .caps, .sipuserID, .login, .contactID, .contactURI,
            .instanceID, .regID, .contactParams, .userAgent, .transport, .path, .callID, .cseq, .peerAddress,
            .peerPort:
            switch registration.details {
            case .user(let user): value(of: property, user)
            case .sipuser(let sip): value(of: property, sip)
            }
        }
    }

    private func value(of property: EventProperty, _ user: UserDetails) -> JSONValue {
        switch property {
        case .userID: .string(registration.key.account.name)
        case .connectionID: .string(registration.key.contact)
        case .sessionID: .string(user.sessionID)
        case .app: .string(user.app)
        case .caps: .array(user.caps.map { .string($0) })
        case .peerAddress: .string(user.peerAddress)
        case .peerPort: .integer(Int64(user.peerPort))
        case .type, .sipuserID, .login, .contactID, .contactURI, .instanceID, .regID, .contactParams, .userAgent,
            .transport, .path, .callID, .cseq, .ttl, .reason:
            .null
        }
    }

    private func value(of property: EventProperty, _ sip: SIPUserDetails) -> JSONValue {
        switch property {
        case .sipuserID: .string(registration.key.account.name)
        case .login: .string(sip.login)
        case .contactID: .string(registration.key.contact)
        case .contactURI: .string(sip.contactURI)
        case .instanceID: .string(sip.instanceID)
        case .regID: .integer(Int64(sip.regID))
        case .contactParams: .string(sip.parameters)
        case .userAgent: .string(sip.userAgent)
        case .transport: .string(sip.transport)
        case .path: .array(sip.path.map { .string($0) })
        case .callID: .string(sip.callID)
        case .cseq: .integer(Int64(sip.cseq))
        case .peerAddress: .string(sip.peerAddress)
        case .peerPort: .integer(Int64(sip.peerPort))
        case .type, .userID, .connectionID, .sessionID, .app, .caps, .ttl, .reason: .null
        }
    }

    private var ttl: JSONValue {
        guard case .registered(_, let ttl, _) = entry.change else { return .null }
        return .integer((Int64(ttl) + 999) / 1_000)
    }

    private var reason: JSONValue {
        guard case .unregistered(_, let reason) = entry.change else { return .null }
        return .string(reason.name)
    }
}
